// @ts-check
// What the page is made of: elements, sliders, and the table of a model's numbers.
"use strict";

/**
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [set] properties; names with a dash are attributes
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElementTagNameMap[T]}
 */
function make(tag, set = {}, children = []) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(set)) {
    if (name.includes("-") || name === "role") element.setAttribute(name, value);
    else Object.assign(element, { [name]: value });
  }
  element.append(...children);
  return element;
}

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
 * @param {(value: number) => string} [said] how a value reads, if not as the number that it is
 */
function slider(label, [min, max, step], moved, said) {
  const range = make("input", { type: "range", min: String(min), max: String(max), step: String(step) });
  const output = make("output");
  const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
  range.oninput = () => moved(Number(range.value));
  const element = make("label", { className: "slider" }, [make("span", { textContent: label }), range, output]);
  /** @param {number} value */
  const set = (value) => {
    range.value = String(value);
    output.textContent = said ? said(value) : value.toFixed(digits);
    if (said) range.setAttribute("aria-valuetext", said(value));
  };
  return { element, range, set };
}

/**
 * A model's verdict, and below it the table of its numbers.
 * @param {any} model
 */
function numbersOf(model) {
  const rows = model.numbers.map((/** @type {any} */ number) =>
    make("tr", {}, [
      make("th", { scope: "row", textContent: number.title }),
      make("td", { textContent: number.value }),
      make("td", { textContent: number.floor }),
    ]),
  );
  const head = make("tr", {}, [
    make("th", { scope: "col", textContent: "number" }),
    make("th", { scope: "col", textContent: "value" }),
    make("th", { scope: "col", textContent: "floor" }),
  ]);
  const table = make("table", {}, [make("thead", {}, [head]), make("tbody", {}, rows)]);
  const shown = make("div", { className: "scroll", tabIndex: 0, role: "region" }, [table]);
  shown.setAttribute("aria-label", `Numbers of ${model.name}`);
  const [first, ...more] = model.verdict;
  return make("details", {}, [
    make("summary", { textContent: first }),
    ...more.map((/** @type {string} */ line) => make("p", { textContent: line })),
    ...(rows.length ? [shown] : []),
  ]);
}

/**
 * The three training pictures nearest to one picture.
 * @param {Float32Array} x
 * @param {{x: Float32Array, shape: number[]}} training
 */
function nearestTo(x, { x: all, shape }) {
  const size = x.length;
  const best = [];
  for (let i = 0; i * size < all.length; i++) {
    let sum = 0;
    for (let k = 0; k < size; k++) sum += (x[k] - all[i * size + k]) ** 2;
    best.push({ i, sum });
  }
  best.sort((a, b) => a.sum - b.sum);
  const nearest = best.slice(0, 3).map(({ i, sum }) => {
    const canvas = make("canvas", { role: "img" });
    canvas.setAttribute("aria-label", `training picture ${i}, at a distance of ${Math.sqrt(sum).toFixed(2)}`);
    show(canvas, pictureOf(all, i, shape));
    return canvas;
  });
  return [make("span", { textContent: "nearest in training:" }), ...nearest];
}
