// @ts-check
// One model on the page: its picture of the code at hand, its samples of the seed, its numbers.
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

const FIELD_SIDE = 72;
const PATIENCE = 60;

class Card {
  /**
   * @param {any} model
   * @param {number} index
   * @param {number} group place of the first model with the same classes
   * @param {Runner} runner
   * @param {(pick: number) => void} picked what to do with a chosen sample
   * @param {(frame: number) => void} scrubbed
   */
  constructor(model, index, group, runner, picked, scrubbed) {
    this.model = model;
    this.index = index;
    this.group = group;
    this.label = 0;
    this.runner = runner;
    this.plane = model.shape.length === 1;
    this.frame = model.frames.length - 1;
    /** @type {Float32Array | null} */
    this.own = null;
    /** @type {{field: ImageData | null, data: Float32Array | null, samples: Float32Array | null, path: Float32Array | null, here: Float32Array | null}} */
    this.layers = { field: null, data: null, samples: null, path: null, here: null };
    /** @type {{x: Float32Array, shape: number[]} | null} */
    this.training = null;
    this.pace = 20;
    this.asked = 0;
    this.canvas = make("canvas", { role: "img", className: "picture", width: 1, height: 1 });
    if (this.plane) this.canvas.width = this.canvas.height = 480;
    this.told = make("p", { className: "soft" });
    this.beside = make("div", { className: "beside", hidden: true });
    this.cells = this.plane ? [] : this.makeCells(picked);
    this.element = make("article", { className: "card", "aria-labelledby": `name-${index}` }, [
      make("h2", { id: `name-${index}`, textContent: model.name }),
      make("p", { className: "soft", textContent: model.about }),
      this.canvas,
      this.told,
      this.beside,
      ...this.scrubber(scrubbed),
      ...this.samples(),
      this.numbers(),
    ]);
  }

  get graph() {
    return this.model.frames[this.frame].graph;
  }

  get file() {
    return this.model.name.replace(/[^\w.-]+/g, "-");
  }

  samples() {
    const save = make("button", { type: "button", textContent: "Save as PNG" });
    save.setAttribute("aria-label", `Save as PNG the picture of ${this.model.name}`);
    save.onclick = () => download(this.canvas, `${this.file}.png`);
    const row = make("p", { className: "row" }, [save]);
    if (this.plane) return [row];
    const sheet = make("button", { type: "button", textContent: "Save the 64" });
    sheet.setAttribute("aria-label", `Save the 64 samples of ${this.model.name} as PNG`);
    sheet.onclick = () => download(this.sheet(), `${this.file}-64.png`);
    row.append(sheet);
    const grid = make("div", { className: "grid", role: "radiogroup" }, this.cells);
    grid.setAttribute("aria-label", `64 samples of the seed by ${this.model.name}; the arrow keys choose one`);
    return [row, grid];
  }

  /** @param {(pick: number) => void} picked */
  makeCells(picked) {
    const [, h, w] = this.model.shape;
    return Array.from({ length: DRAWN }, (_, i) => {
      const cell = make("button", { type: "button", role: "radio", "aria-label": `sample ${i}` }, [
        make("canvas", { width: w, height: h }),
      ]);
      cell.onclick = () => picked(i);
      cell.onkeydown = (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: 8, ArrowUp: -8 }[event.key];
        if (!step || event.ctrlKey || event.altKey || event.metaKey) return;
        event.preventDefault();
        const to = (i + step + DRAWN) % DRAWN;
        picked(to);
        this.cells[to].focus();
      };
      return cell;
    });
  }

  /** All cells side by side. */
  sheet() {
    const [, h, w] = this.model.shape;
    const canvas = make("canvas", { width: 8 * (w + 2) - 2, height: 8 * (h + 2) - 2 });
    const draw = context(canvas);
    draw.fillStyle = "white";
    draw.fillRect(0, 0, canvas.width, canvas.height);
    this.cells.forEach((cell, i) => {
      const picture = cell.querySelector("canvas");
      if (picture) draw.drawImage(picture, (i % 8) * (w + 2), Math.floor(i / 8) * (h + 2));
    });
    return canvas;
  }

  /** @param {(frame: number) => void} scrubbed */
  scrubber(scrubbed) {
    const frames = this.model.frames;
    if (frames.length < 2) return [];
    const output = make("output");
    const range = make("input", { type: "range", min: "0", max: String(frames.length - 1), step: "1" });
    const say = () => {
      const images = Number(frames[this.frame].images).toLocaleString("en");
      range.value = String(this.frame);
      output.textContent = `${images} images`;
      range.setAttribute("aria-valuetext", `after ${images} images`);
    };
    range.oninput = () => scrubbed(Number(range.value));
    this.sayFrame = say;
    say();
    return [make("label", { className: "slider" }, [make("span", { textContent: "training" }), range, output])];
  }

  sayFrame() {}

  numbers() {
    const rows = this.model.numbers.map((/** @type {any} */ number) =>
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
    shown.setAttribute("aria-label", `Numbers of ${this.model.name}`);
    const [first, ...more] = this.model.verdict;
    return make("details", {}, [
      make("summary", { textContent: first }),
      ...more.map((/** @type {string} */ line) => make("p", { textContent: line })),
      ...(rows.length ? [shown] : []),
    ]);
  }

  /** @param {number} frame */
  setFrame(frame) {
    this.frame = Math.min(Math.max(frame, 0), this.model.frames.length - 1);
    this.sayFrame();
  }

  /** @param {number} label */
  setClass(label) {
    this.label = Math.min(Math.max(label, 0), Math.max(this.model.classes.length - 1, 0));
  }

  /** The class at hand as words behind others; nothing of a model without classes. */
  get asClass() {
    return this.model.classes.length ? ` as class ${this.model.classes[this.label]}` : "";
  }

  /**
   * What a graph of this model makes of rows, of the class at hand unless y says others.
   * @param {string} graph
   * @param {Float32Array} rows
   * @param {number[]} shape of one row
   * @param {string} slot
   * @param {number} rank
   * @param {number | ArrayLike<number>} y
   */
  async run(graph, rows, shape, slot, rank, y = this.label) {
    const n = rows.length / shape.reduce((a, b) => a * b, 1);
    return this.runner.run(graph, rows, shape, slot, rank, labelsOf(this.model, y, n));
  }

  /** @param {State} state */
  code(state) {
    if (state.at === null || !state.a || !state.b) return codeOf(this.model, state.place, this.own);
    return between(codeOf(this.model, state.a), codeOf(this.model, state.b), state.at);
  }

  /** @param {State} state */
  async refresh(state) {
    const made = await this.run(this.graph, this.code(state), [this.model.latent], `main ${this.index}`, 0);
    if (!made) return;
    this.told.textContent = `decoded in ${made.ms < 10 ? made.ms.toFixed(1) : made.ms.toFixed(0)} ms`;
    const where = state.at !== null ? "a point of the walk" : this.own ? "your picture" : `sample ${state.place.pick}`;
    const edits = state.place.edits.size ? ", some dimensions set by hand" : "";
    if (this.plane) {
      this.layers.here = made.rows;
      this.redraw();
      const at = [...made.rows].map((v) => v.toFixed(2)).join(", ");
      this.canvas.setAttribute("aria-label", `samples${this.asClass} over the data; ${where}${edits} is at (${at})`);
      return;
    }
    const picture = pictureOf(made.rows, 0, this.model.shape);
    show(this.canvas, picture);
    this.canvas.setAttribute("aria-label", `${where} of seed ${state.place.seed}${this.asClass}${edits}`);
    this.cells.forEach((cell, i) => {
      cell.setAttribute("aria-checked", String(i === state.place.pick));
      cell.tabIndex = i === state.place.pick ? 0 : -1;
    });
    this.showNearest(made.rows);
  }

  redraw() {
    drawPlane(this.canvas, this.model.view, this.layers);
  }

  /**
   * The seed's samples: a few first, the rest as they come.
   * @param {State} state
   */
  async refreshSamples(state) {
    const asked = ++this.asked;
    const { latent } = this.model;
    const n = this.plane ? SHOWN_POINTS : DRAWN;
    const codes = codesOf(this.model, state.place.seed, state.place.heat, n);
    /** @type {Float32Array} */
    const points = new Float32Array(2 * n);
    for (let done = 0, count = this.plane ? n : 4; done < n; done += count) {
      if (done) count = this.plane ? n : Math.max(1, Math.min(n - done, Math.round(PATIENCE / this.pace)));
      const rows = codes.slice(done * latent, (done + count) * latent);
      const made = await this.run(this.graph, rows, [latent], `samples ${this.index}`, done ? 2 : 1);
      if (!made || asked !== this.asked) return;
      this.pace = Math.max(0.2, made.ms / count);
      if (this.plane) points.set(made.rows, 2 * done);
      else for (let i = 0; i < count; i++) this.showCell(done + i, pictureOf(made.rows, i, this.model.shape));
    }
    if (this.plane) {
      this.layers.samples = points;
      this.redraw();
    }
  }

  /** @param {number} i @param {ImageData} picture */
  showCell(i, picture) {
    const canvas = this.cells[i].querySelector("canvas");
    if (canvas) show(canvas, picture);
  }

  /**
   * Where the walk leads through the plane.
   * @param {State} state
   */
  async refreshPath(state) {
    if (!this.plane) return;
    if (!state.a || !state.b) this.layers.path = null;
    else {
      const [a, b] = [codeOf(this.model, state.a), codeOf(this.model, state.b)];
      const codes = Array.from({ length: 65 }, (_, i) => [...between(a, b, i / 64)]).flat();
      const rows = new Float32Array(codes);
      const made = await this.run(this.graph, rows, [this.model.latent], `path ${this.index}`, 1);
      if (!made) return;
      this.layers.path = made.rows;
    }
    this.redraw();
  }

  /** @param {State} state */
  async refreshField(state) {
    if (!this.plane || !this.model.field) return;
    const last = this.frame === this.model.frames.length - 1;
    if (!state.field || !last) this.layers.field = null;
    else {
      const points = raster(this.model.view, FIELD_SIDE);
      const made = await this.run(this.model.field.graph, points, [2], `field ${this.index}`, 3);
      if (!made) return;
      this.layers.field = tinted(made.rows, this.model.field.density);
    }
    this.redraw();
  }

  /**
   * Encode a person's own picture; whether this model can.
   * @param {Float32Array} x
   */
  async reconstruct(x) {
    if (!this.model.encode) return false;
    const made = await this.run(this.model.encode, x, this.model.shape, `encode ${this.index}`, 0);
    if (made) this.own = made.rows;
    return true;
  }

  /** @param {Float32Array} x one picture */
  showNearest(x) {
    if (!this.training) return;
    const { x: all, shape } = this.training;
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
    this.beside.hidden = false;
    this.beside.replaceChildren(make("span", { textContent: "nearest in training:" }), ...nearest);
  }
}
