// @ts-check
// The controls of the sample.
"use strict";

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
    ...conditionControls(page),
    row,
    pick.element,
    heat.element,
  ]);
}
