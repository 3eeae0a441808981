// @ts-check
// Sliders of the latent dimensions, and a plane of two of them under the pointer.
"use strict";

const REACH = 3;
const SLIDERS = 8;

/**
 * A set of sliders for each size of latent space.
 * @param {Page} page
 */
function latentControls(page) {
  const sizes = new Map();
  for (const card of page.cards) {
    sizes.set(card.model.latent, [...(sizes.get(card.model.latent) || []), card]);
  }
  return [...sizes].map(([latent, cards]) => latentControl(page, latent, cards, sizes.size > 1));
}

/** @param {Page} page @param {number} latent @param {Card[]} cards @param {boolean} several */
function latentControl(page, latent, cards, several) {
  const [first] = cards;
  const order = first.model.order.slice(0, SLIDERS);
  const value = (/** @type {number} */ j) => {
    const edited = page.state.place.edits.get(`${latent}.${j}`);
    if (edited !== undefined) return edited;
    return (first.codeOf(page.state.place, first.own)[j] - first.centre(j)) / first.spread(j);
  };
  const edit = (/** @type {number} */ j, /** @type {number} */ to) =>
    page.change((place) => place.edits.set(`${latent}.${j}`, within(to, -REACH, REACH, 0)));
  const sliders = order.map((/** @type {number} */ j) => {
    const made = slider(`z${j}`, [-REACH, REACH, 0.05], (to) => edit(j, to));
    page.syncs.push(() => made.set(value(j)));
    return made.element;
  });
  const reset = make("button", { type: "button", textContent: "Back to the sample" });
  reset.onclick = () => {
    for (const card of cards) card.own = null;
    page.change((place) => order.forEach((/** @type {number} */ j) => place.edits.delete(`${latent}.${j}`)));
  };
  const names = cards.map((card) => card.model.name).join(", ");
  const legend = several ? `Latent dimensions of ${names}` : "Latent dimensions";
  const about = order.length < latent ? `the ${order.length} of ${latent} that change the output most` : "";
  return make("fieldset", {}, [
    make("legend", { textContent: legend }),
    ...(about ? [make("p", { className: "soft", textContent: about })] : []),
    ...sliders,
    ...(order.length > 1 ? [planeOf(page, order, value, edit)] : []),
    reset,
  ]);
}

/**
 * Two dimensions at once, under the pointer or the arrow keys.
 * @param {Page} page
 * @param {number[]} order
 * @param {(j: number) => number} value
 * @param {(j: number, to: number) => void} edit
 */
function planeOf(page, order, value, edit) {
  const chosen = [order[0], order[1]];
  const handle = make("span", { className: "handle" });
  const pad = make("div", { className: "pad", tabIndex: 0, role: "application" }, [handle]);
  const place = () => {
    const [x, y] = chosen.map((j) => within(value(j), -REACH, REACH, 0));
    handle.style.setProperty("left", `${(50 * (x + REACH)) / REACH}%`);
    handle.style.setProperty("top", `${(50 * (REACH - y)) / REACH}%`);
    const at = `z${chosen[0]} ${x.toFixed(2)}, z${chosen[1]} ${y.toFixed(2)}`;
    pad.setAttribute("aria-label", `plane of two dimensions, moved by the arrow keys: ${at}`);
  };
  /** @param {PointerEvent} event */
  const follow = (event) => {
    const box = pad.getBoundingClientRect();
    edit(chosen[0], ((event.clientX - box.left) / box.width) * 2 * REACH - REACH);
    edit(chosen[1], REACH - ((event.clientY - box.top) / box.height) * 2 * REACH);
  };
  pad.onpointerdown = (event) => {
    pad.setPointerCapture(event.pointerId);
    follow(event);
  };
  pad.onpointermove = (event) => {
    if (pad.hasPointerCapture(event.pointerId)) follow(event);
  };
  pad.onkeydown = (event) => {
    const steps = { ArrowRight: [0, 1], ArrowLeft: [0, -1], ArrowUp: [1, 1], ArrowDown: [1, -1] };
    const step = /** @type {Record<string, number[]>} */ (steps)[event.key];
    if (!step) return;
    event.preventDefault();
    edit(chosen[step[0]], value(chosen[step[0]]) + (event.shiftKey ? 0.5 : 0.1) * step[1]);
  };
  const selects = ["across", "up"].map((way, side) => {
    const options = order.map((j) => make("option", { value: String(j), textContent: `z${j}` }));
    const select = make("select", {}, options);
    select.value = String(chosen[side]);
    select.onchange = () => {
      chosen[side] = Number(select.value);
      place();
    };
    return make("label", {}, [`${way} `, select]);
  });
  page.syncs.push(place);
  return make("div", { className: "plane" }, [pad, make("p", { className: "row" }, selects)]);
}
