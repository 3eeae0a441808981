// @ts-check
// A person's own picture, from a file or drawn: it never leaves the page.
"use strict";

/** @param {Page} page */
function ownControls(page) {
  const able = page.cards.filter((/** @type {Card} */ card) => card.model.encode);
  if (!able.length) return null;
  const shape = able[0].model.shape;
  const shown = make("canvas", { role: "img", "aria-label": "your picture", width: shape[2], height: shape[1] });
  Object.assign(shown, { className: "own", hidden: true });
  const again = make("button", { type: "button", textContent: "Encode again, as what is picked now", hidden: true });
  const take = async (/** @type {CanvasImageSource} */ source) => {
    for (const card of able) await card.reconstruct(exampleOf(source, card.model.shape));
    show(shown, pictureOf(exampleOf(source, shape), 0, shape));
    shown.hidden = false;
    page.change((place) => place.edits.clear());
    const names = able.map((/** @type {Card} */ card) => card.model.name + card.asGiven);
    page.say(`reconstructed by ${names.join(", ")}`);
    again.hidden = !able.some((/** @type {Card} */ card) => isConditioned(card.model));
    again.onclick = () => take(source);
  };
  const file = make("input", { type: "file", accept: "image/*", id: "own-file" });
  file.onchange = async () => {
    const [chosen] = file.files || [];
    if (!chosen) return;
    try {
      await take(await createImageBitmap(chosen));
    } catch (error) {
      page.say(`${chosen.name} cannot be read as a picture: ${error}`);
    }
  };
  const label = make("label", { htmlFor: "own-file", textContent: "a file" });
  const parts = [make("p", { className: "row" }, [label, file])];
  if (shape[1] <= 32 && shape[0] === 1) parts.push(drawingPad(take));
  const said = make("p", { className: "soft", textContent: "It never leaves this page, and is not in its address." });
  return make("fieldset", {}, [make("legend", { textContent: "Your picture" }), ...parts, shown, again, said]);
}

/** @param {(source: CanvasImageSource) => void} take */
function drawingPad(take) {
  const canvas = make("canvas", { width: 224, height: 224, role: "img", className: "drawing" });
  canvas.setAttribute("aria-label", "a place to draw with a pointer; a file does the same");
  const draw = context(canvas);
  const clear = () => {
    draw.fillStyle = "black";
    draw.fillRect(0, 0, canvas.width, canvas.height);
  };
  clear();
  Object.assign(draw, { strokeStyle: "white", lineWidth: 18, lineCap: "round", lineJoin: "round" });
  const at = (/** @type {PointerEvent} */ event) => {
    const box = canvas.getBoundingClientRect();
    const scale = canvas.width / box.width;
    return /** @type {[number, number]} */ ([(event.clientX - box.left) * scale, (event.clientY - box.top) * scale]);
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    draw.beginPath();
    draw.moveTo(...at(event));
  };
  canvas.onpointermove = (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    draw.lineTo(...at(event));
    draw.stroke();
  };
  canvas.onpointerup = () => take(canvas);
  const again = make("button", { type: "button", textContent: "Clear the drawing" });
  again.onclick = clear;
  return make("div", {}, [canvas, make("p", { className: "row" }, [again])]);
}
