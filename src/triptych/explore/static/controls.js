// @ts-check
// What the controls are made of, and those of the sample.
"use strict";

/** @param {string} id @returns {HTMLElement} */
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * A labelled slider and its number.
 * @param {string} label
 * @param {[number, number, number]} scale least, most, step
 * @param {(value: number) => void} moved
 */
function slider(label, [min, max, step], moved) {
  const range = make("input", { type: "range", min: String(min), max: String(max), step: String(step) });
  const output = make("output");
  range.oninput = () => moved(Number(range.value));
  const element = make("label", { className: "slider" }, [make("span", { textContent: label }), range, output]);
  /** @param {number} value */
  const set = (value) => {
    range.value = String(value);
    output.textContent = step < 1 ? value.toFixed(2) : String(value);
  };
  return { element, range, set };
}

/** @param {Page} page */
function sampleControls(page) {
  const seed = make("input", { type: "number", min: "0", max: String(2 ** 32 - 1), step: "1", id: "seed" });
  seed.onchange = () => page.change((place) => (place.seed = whole(seed.value, 0, 2 ** 32 - 1)));
  const next = make("button", { type: "button", textContent: "Next seed" });
  next.onclick = () => page.change((place) => (place.seed = (place.seed + 1) % 2 ** 32));
  const pick = slider("sample", [0, DRAWN - 1, 1], (value) => page.change((place) => (place.pick = value)));
  const heat = slider("temperature", [0.05, 2, 0.05], (value) => page.change((place) => (place.heat = value)));
  page.syncs.push(() => {
    seed.value = String(page.state.place.seed);
    pick.set(page.state.place.pick);
    heat.set(page.state.place.heat);
  });
  const label = make("label", { htmlFor: "seed", textContent: "seed" });
  const row = make("p", { className: "row" }, [label, seed, next]);
  return make("fieldset", {}, [
    make("legend", { textContent: "Sample" }),
    ...classControls(page),
    row,
    pick.element,
    heat.element,
  ]);
}
