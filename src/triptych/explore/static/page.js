// @ts-check
// The page: its controls, what moves when one is moved, and the state in the address.
"use strict";

const REACH = 3;
const SLIDERS = 8;

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

class Page {
  /** @param {any} about */
  constructor(about) {
    this.about = about;
    this.runner = new Runner();
    this.state = fromFragment(location.hash);
    this.cards = about.models.map(
      (/** @type {any} */ model, /** @type {number} */ i) =>
        new Card(
          model,
          i,
          this.runner,
          (pick) => this.change((place) => (place.pick = pick)),
          (frame) => this.scrub(i, frame),
        ),
    );
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.playing = false;
    this.saving = 0;
    /** @type {(() => void)[]} */
    this.syncs = [];
    this.times = { first: 0, moves: /** @type {number[]} */ ([]), samples: /** @type {number[]} */ ([]) };
    byId("cards").append(...this.cards.map((/** @type {Card} */ card) => card.element));
    this.makeControls();
    addEventListener("hashchange", () => this.restore());
    matchMedia("(prefers-color-scheme: dark)").onchange = () => this.repaint();
  }

  // ---------------------------------------------------------------------------------------- changes

  /**
   * Change the code at hand; what depends on it follows.
   * @param {(place: Place) => void} how
   */
  change(how) {
    const { seed, heat } = this.state.place;
    this.state.at = null;
    this.stop();
    how(this.state.place);
    const other = seed !== this.state.place.seed || heat !== this.state.place.heat;
    if (other) this.forgetOwn();
    this.moved(other);
  }

  forgetOwn() {
    for (const card of this.cards) card.own = null;
  }

  /** @param {boolean} samples whether the seed's samples are others now */
  async moved(samples) {
    const began = performance.now();
    this.sync();
    const drawn = Promise.all(this.cards.map((/** @type {Card} */ card) => card.refresh(this.state)));
    await drawn.catch((error) => this.say(String(error)));
    this.times.moves.push(performance.now() - began);
    if (!samples) return;
    const all = Promise.all(this.cards.map((/** @type {Card} */ card) => card.refreshSamples(this.state)));
    await all.catch((error) => this.say(String(error)));
    this.times.samples.push(performance.now() - began);
  }

  /** @param {number} model @param {number} frame */
  async scrub(model, frame) {
    const card = this.cards[model];
    card.setFrame(frame);
    if (card.frame === card.model.frames.length - 1) this.state.frames.delete(model);
    else this.state.frames.set(model, card.frame);
    this.sync();
    await card.refresh(this.state);
    await Promise.all([card.refreshSamples(this.state), card.refreshField(this.state), card.refreshPath(this.state)]);
  }

  sync() {
    for (const sync of this.syncs) sync();
    clearTimeout(this.saving);
    this.saving = setTimeout(() => history.replaceState(null, "", `#${toFragment(this.state)}`), 250);
  }

  restore() {
    this.state = fromFragment(location.hash);
    this.forgetOwn();
    this.all();
  }

  async all() {
    for (const [i, card] of this.cards.entries()) {
      card.setFrame(this.state.frames.get(i) ?? card.model.frames.length - 1);
    }
    await this.moved(true);
    for (const card of this.cards) {
      await card.refreshPath(this.state);
      await card.refreshField(this.state);
    }
  }

  repaint() {
    for (const card of this.cards) {
      if (card.plane) card.refreshField(this.state).then(() => card.redraw());
    }
  }

  /** @param {string} text */
  say(text) {
    byId("status").textContent = text;
  }

  // --------------------------------------------------------------------------------------- controls

  makeControls() {
    byId("controls").append(this.sampleControls(), ...this.latentControls(), this.walkControls());
    const own = this.ownControls();
    if (own) byId("controls").append(own);
    if (this.cards.some((/** @type {Card} */ card) => card.plane && card.model.field)) {
      const box = make("input", { type: "checkbox" });
      box.onchange = () => {
        this.state.field = box.checked;
        this.sync();
        for (const card of this.cards) card.refreshField(this.state);
      };
      this.syncs.push(() => (box.checked = this.state.field));
      const text = "density of flows, score of critics";
      byId("controls").append(make("label", { className: "check" }, [box, text]));
    }
  }

  sampleControls() {
    const seed = make("input", { type: "number", min: "0", max: String(2 ** 32 - 1), step: "1", id: "seed" });
    seed.onchange = () => this.change((place) => (place.seed = whole(seed.value, 0, 2 ** 32 - 1)));
    const next = make("button", { type: "button", textContent: "Next seed" });
    next.onclick = () => this.change((place) => (place.seed = (place.seed + 1) % 2 ** 32));
    const pick = slider("sample", [0, DRAWN - 1, 1], (value) => this.change((place) => (place.pick = value)));
    const heat = slider("temperature", [0.05, 2, 0.05], (value) => this.change((place) => (place.heat = value)));
    this.syncs.push(() => {
      seed.value = String(this.state.place.seed);
      pick.set(this.state.place.pick);
      heat.set(this.state.place.heat);
    });
    const label = make("label", { htmlFor: "seed", textContent: "seed" });
    const row = make("p", { className: "row" }, [label, seed, next]);
    return make("fieldset", {}, [make("legend", { textContent: "Sample" }), row, pick.element, heat.element]);
  }

  /** A set of sliders for each size of latent space. */
  latentControls() {
    const sizes = new Map();
    for (const card of this.cards) {
      sizes.set(card.model.latent, [...(sizes.get(card.model.latent) || []), card]);
    }
    return [...sizes].map(([latent, cards]) => this.latentControl(latent, cards, sizes.size > 1));
  }

  /** @param {number} latent @param {Card[]} cards @param {boolean} several */
  latentControl(latent, cards, several) {
    const [first] = cards;
    const order = first.model.order.slice(0, SLIDERS);
    const value = (/** @type {number} */ j) => {
      const edited = this.state.place.edits.get(`${latent}.${j}`);
      if (edited !== undefined) return edited;
      const code = codeOf(first.model, this.state.place, first.own);
      return (code[j] - centre(first.model, j)) / spread(first.model, j);
    };
    const edit = (/** @type {number} */ j, /** @type {number} */ to) =>
      this.change((place) => place.edits.set(`${latent}.${j}`, within(to, -REACH, REACH, 0)));
    const sliders = order.map((/** @type {number} */ j) => {
      const made = slider(`z${j}`, [-REACH, REACH, 0.05], (to) => edit(j, to));
      this.syncs.push(() => made.set(value(j)));
      return made.element;
    });
    const reset = make("button", { type: "button", textContent: "Back to the sample" });
    reset.onclick = () => {
      for (const card of cards) card.own = null;
      this.change((place) => order.forEach((/** @type {number} */ j) => place.edits.delete(`${latent}.${j}`)));
    };
    const names = cards.map((card) => card.model.name).join(", ");
    const legend = several ? `Latent dimensions of ${names}` : "Latent dimensions";
    const about = order.length < latent ? `the ${order.length} of ${latent} that change the output most` : "";
    return make("fieldset", {}, [
      make("legend", { textContent: legend }),
      ...(about ? [make("p", { className: "soft", textContent: about })] : []),
      ...sliders,
      ...(order.length > 1 ? [this.pad(order, value, edit)] : []),
      reset,
    ]);
  }

  /**
   * Two dimensions at once, under the pointer or the arrow keys.
   * @param {number[]} order
   * @param {(j: number) => number} value
   * @param {(j: number, to: number) => void} edit
   */
  pad(order, value, edit) {
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
    this.syncs.push(place);
    return make("div", { className: "plane" }, [pad, make("p", { className: "row" }, selects)]);
  }

  walkControls() {
    const pin = (/** @type {"a" | "b"} */ end) => {
      const button = make("button", { type: "button" });
      button.onclick = () => {
        this.state[end] = copied(this.state.place);
        this.say(`pinned as ${end.toUpperCase()}`);
        this.sync();
        for (const card of this.cards) card.refreshPath(this.state);
      };
      this.syncs.push(() => (button.textContent = `${this.state[end] ? "Pin again" : "Pin"} as ${end.toUpperCase()}`));
      return button;
    };
    const along = slider("from A to B", [0, 1, 0.01], (value) => this.walkTo(value));
    const play = make("button", { type: "button" });
    play.onclick = () => (this.still.matches ? this.step() : this.playing ? this.stop() : this.play());
    this.syncs.push(() => {
      const ready = Boolean(this.state.a && this.state.b);
      along.range.disabled = play.disabled = !ready;
      along.set(this.state.at ?? 0);
      play.textContent = this.still.matches ? "Step" : this.playing ? "Stop" : "Play";
    });
    const row = make("p", { className: "row" }, [pin("a"), pin("b"), play]);
    return make("fieldset", {}, [make("legend", { textContent: "Walk" }), row, along.element]);
  }

  /** @param {number} t */
  async walkTo(t) {
    this.state.at = t;
    await this.moved(false);
  }

  step() {
    this.walkTo(((this.state.at ?? -0.1) + 0.1) % 1.0001);
  }

  async play() {
    this.playing = true;
    let [t, way] = [this.state.at ?? 0, 1];
    while (this.playing && this.state.a && this.state.b) {
      const began = performance.now();
      await this.walkTo(t);
      await new Promise((resume) => requestAnimationFrame(resume));
      t += (way * (performance.now() - began)) / 4000;
      if (t >= 1 || t <= 0) way = t >= 1 ? -1 : 1;
      t = within(t, 0, 1, 0);
    }
  }

  stop() {
    this.playing = false;
  }

  // ------------------------------------------------------------------------------------ own picture

  ownControls() {
    const able = this.cards.filter((/** @type {Card} */ card) => card.model.encode);
    if (!able.length) return null;
    const shape = able[0].model.shape;
    const shown = make("canvas", { role: "img", "aria-label": "your picture", width: shape[2], height: shape[1] });
    Object.assign(shown, { className: "own", hidden: true });
    const take = async (/** @type {CanvasImageSource} */ source) => {
      for (const card of able) await card.reconstruct(exampleOf(source, card.model.shape));
      show(shown, pictureOf(exampleOf(source, shape), 0, shape));
      shown.hidden = false;
      this.change((place) => place.edits.clear());
      this.say(`reconstructed by ${able.map((/** @type {Card} */ card) => card.model.name).join(", ")}`);
    };
    const file = make("input", { type: "file", accept: "image/*", id: "own-file" });
    file.onchange = async () => {
      const [chosen] = file.files || [];
      if (!chosen) return;
      try {
        await take(await createImageBitmap(chosen));
      } catch (error) {
        this.say(`${chosen.name} cannot be read as a picture: ${error}`);
      }
    };
    const label = make("label", { htmlFor: "own-file", textContent: "a file" });
    const parts = [make("p", { className: "row" }, [label, file])];
    if (shape[1] <= 32 && shape[0] === 1) parts.push(this.drawingPad(take));
    const said = make("p", { className: "soft", textContent: "It never leaves this page, and is not in its address." });
    return make("fieldset", {}, [make("legend", { textContent: "Your picture" }), ...parts, shown, said]);
  }

  /** @param {(source: CanvasImageSource) => void} take */
  drawingPad(take) {
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

  // ------------------------------------------------------------------------------------------ start

  async start() {
    for (const card of this.cards) {
      const { model } = card;
      if (model.prior) {
        const numbers = new Float32Array(await unpacked(model.prior));
        [model.mean, model.root] = [numbers.slice(0, model.latent), numbers.slice(model.latent)];
      }
      if (card.plane && model.data) card.layers.data = new Float32Array(await unpacked(model.data));
    }
    this.sync();
    for (const [i, card] of this.cards.entries()) card.setFrame(this.state.frames.get(i) ?? card.frame);
    await Promise.all(this.cards.map((/** @type {Card} */ card) => card.refresh(this.state)));
    this.times.first = performance.now();
    this.say("");
    await this.all();
    for (const card of this.cards) {
      if (!card.model.training) continue;
      const bytes = new Uint8Array(await unpacked(card.model.training));
      card.training = { x: Float32Array.from(bytes, (v) => v / 255), shape: card.model.shape };
      await card.refresh(this.state);
    }
  }

  /**
   * What a model makes of codes, (n, latent): pixels in [0, 1], or points.
   * @param {number | string} model its place on the page, from 0, or its name
   * @param {ArrayLike<number>} z
   */
  async decode(model, z) {
    const card = this.cards.find((/** @type {Card} */ c) => c.index === model || c.model.name === model);
    if (!card) throw new Error(`the page has no model ${model}`);
    const slot = `asked ${Math.random()}`;
    const made = await this.runner.run(card.graph, Float32Array.from(z), [card.model.latent], slot, 0);
    return made ? made.rows : null;
  }
}

(() => {
  const about = JSON.parse(byId("about").textContent || "");
  byId("explorer").hidden = false;
  const page = new Page(about);
  const ready = page.start().catch((error) => page.say(`this browser cannot run the models: ${error}`));
  const notices = /** @type {HTMLDetailsElement} */ (byId("notices"));
  notices.ontoggle = async () => {
    byId("notices-text").textContent ||= new TextDecoder().decode(await unpacked("notices"));
  };
  const { models } = about;
  Object.assign(window, {
    triptych: {
      ready,
      models,
      times: page.times,
      decode: (/** @type {number | string} */ model, /** @type {ArrayLike<number>} */ z) => page.decode(model, z),
      codes: (/** @type {number} */ model, /** @type {number} */ seed) => codesOf(models[model], seed, 1, DRAWN),
    },
  });
})();
