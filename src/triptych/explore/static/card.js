// @ts-check
// One model on the page: its picture of the code at hand, its samples of the seed, its numbers.
"use strict";

const FIELD_SIDE = 72;
const PATIENCE = 60;
const KEPT = 24;

class Card {
  /**
   * @param {any} model
   * @param {number} index
   * @param {number} group place of the first model that is conditioned on the same
   * @param {Runner} runner
   * @param {(pick: number) => void} picked what to do with a chosen sample
   * @param {(frame: number) => void} scrubbed
   */
  constructor(model, index, group, runner, picked, scrubbed) {
    this.model = model;
    this.index = index;
    this.group = group;
    this.given = conditionOf(model);
    this.runner = runner;
    this.plane = model.shape.length === 1;
    /** @type {Map<string, {rows: Float32Array | null, ready: Promise<void>}>} codes of seeds that the model makes of noise */
    this.drawn = new Map();
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
      numbersOf(model),
    ]);
  }

  /** The checkpoint at hand: its graphs, and where its codes lie. */
  get here() {
    return this.model.frames[this.frame];
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

  /** @param {number} frame */
  setFrame(frame) {
    this.frame = Math.min(Math.max(frame, 0), this.model.frames.length - 1);
    this.sayFrame();
  }

  /** @param {number[] | undefined} chosen */
  setGiven(chosen) {
    this.given = conditionOf(this.model, chosen);
  }

  /** What is given at hand, as words behind others; nothing of a model conditioned on nothing. */
  get asGiven() {
    const text = conditionText(this.model, this.given);
    return text && ` ${this.model.classes.length ? "as" : "given"} ${text}`;
  }

  /**
   * What a graph of this model makes of rows, given what is at hand unless y says otherwise.
   * @param {string} graph
   * @param {Float32Array} rows
   * @param {number[]} shape of one row
   * @param {string} slot
   * @param {number} rank
   * @param {number | ArrayLike<number>} y
   */
  async run(graph, rows, shape, slot, rank, y = this.given) {
    const n = rows.length / shape.reduce((a, b) => a * b, 1);
    return this.runner.run(graph, rows, shape, slot, rank, givenTo(this.model, y, n));
  }

  // ------------------------------------------------------------------------------------------ codes

  get count() {
    return this.plane ? SHOWN_POINTS : DRAWN;
  }

  /**
   * Codes of a seed's samples at temperature 1, (n, latent): the noise itself, or what the model made of it; null where
   * it was not asked yet.
   * @param {number} seed
   */
  base(seed) {
    const { codes } = this.here;
    if (!codes) return noiseOf(seed, this.model.latent, this.count);
    return this.drawn.get(this.drawing(seed))?.rows || null;
  }

  /** @param {number} seed */
  drawing(seed) {
    return `${this.here.codes} ${seed} ${this.given}`;
  }

  /**
   * Draw the codes that a state needs, each seed's once.
   * @param {State} state
   */
  async prepare(state) {
    const seeds = new Set([state.place, state.a, state.b].flatMap((place) => (place ? [place.seed] : [])));
    for (const seed of seeds) {
      if (this.base(seed)) continue;
      const name = this.drawing(seed);
      if (!this.drawn.has(name)) this.drawn.set(name, { rows: null, ready: this.draw(name, seed) });
      await this.drawn.get(name)?.ready;
    }
    for (const name of this.drawn.keys()) if (this.drawn.size > KEPT) this.drawn.delete(name);
  }

  /** @param {string} name @param {number} seed */
  async draw(name, seed) {
    const { codes, takes } = this.here;
    try {
      const made = await this.run(codes, noiseOf(seed, takes, this.count), [takes], `codes ${this.index} ${name}`, 0);
      const drawn = this.drawn.get(name);
      if (made && drawn) drawn.rows = made.rows;
    } catch (error) {
      this.drawn.delete(name);
      throw error;
    }
  }


  /** @param {number} j */
  centre(j) {
    return this.here.centre ? this.here.centre[j] : 0;
  }

  /** @param {number} j */
  spread(j) {
    return this.here.sd ? this.here.sd[j] : 1;
  }

  /**
   * Codes brought nearer to their centre, or further from it.
   * @param {Float32Array} codes (n, latent)
   * @param {number} heat
   */
  heated(codes, heat) {
    if (heat === 1) return codes;
    const d = this.model.latent;
    return codes.map((value, i) => this.centre(i % d) + heat * (value - this.centre(i % d)));
  }

  /**
   * The code of a place, (latent,).
   * @param {Place} place
   * @param {Float32Array | null} own the code of a person's own picture instead of a sample's
   */
  codeOf(place, own = null) {
    const d = this.model.latent;
    const base = this.base(place.seed);
    const code = own || (base && this.heated(base.slice(place.pick * d, (place.pick + 1) * d), place.heat));
    const edited = Float32Array.from({ length: d }, (_, j) => (code ? code[j] : this.centre(j)));
    for (const [name, value] of place.edits) {
      const [latent, j] = name.split(".").map(Number);
      if (latent === d && j < d) edited[j] = this.centre(j) + value * this.spread(j);
    }
    return edited;
  }

  /** @param {State} state */
  code(state) {
    if (state.at === null || !state.a || !state.b) return this.codeOf(state.place, this.own);
    return between(this.codeOf(state.a), this.codeOf(state.b), state.at, !this.model.spherical);
  }

  // ----------------------------------------------------------------------------------------- shown

  /** @param {State} state */
  async refresh(state) {
    await this.prepare(state);
    const made = await this.run(this.here.graph, this.code(state), [this.model.latent], `main ${this.index}`, 0);
    if (!made) return;
    this.told.textContent = `decoded in ${made.ms < 10 ? made.ms.toFixed(1) : made.ms.toFixed(0)} ms`;
    const where = state.at !== null ? "a point of the walk" : this.own ? "your picture" : `sample ${state.place.pick}`;
    const edits = state.place.edits.size ? ", some dimensions set by hand" : "";
    if (this.plane) {
      this.layers.here = this.points(made.rows);
      this.redraw();
      const at = [...this.layers.here].map((v) => v.toFixed(2)).join(", ");
      this.canvas.setAttribute("aria-label", `samples${this.asGiven} over the data; ${where}${edits} is at (${at})`);
      return;
    }
    const picture = pictureOf(made.rows, 0, this.model.shape);
    show(this.canvas, picture);
    this.canvas.setAttribute("aria-label", `${where} of seed ${state.place.seed}${this.asGiven}${edits}`);
    this.cells.forEach((cell, i) => {
      cell.setAttribute("aria-checked", String(i === state.place.pick));
      cell.tabIndex = i === state.place.pick ? 0 : -1;
    });
    if (this.training) this.beside.replaceChildren(...nearestTo(made.rows, this.training));
    this.beside.hidden = !this.training;
  }

  /**
   * Points of the plane, (n, 2): what a model of two columns makes, or that of one column over the first number that it
   * is given.
   * @param {Float32Array} rows
   */
  points(rows) {
    if (this.model.shape[0] === 2) return rows;
    return Float32Array.from({ length: 2 * rows.length }, (_, i) => (i % 2 ? rows[(i - 1) / 2] : this.given[0]));
  }

  /**
   * The inverse of `points`: rows, and what each is given where that is in the point.
   * @param {Float32Array} points
   * @returns {[Float32Array, number[]]}
   */
  split(points) {
    if (this.model.shape[0] === 2) return [points, this.given];
    const rows = points.filter((_, i) => i % 2);
    return [rows, Array.from(rows, (_, i) => [points[2 * i], ...this.given.slice(1)]).flat()];
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
    const n = this.count;
    await this.prepare(state);
    const base = this.base(state.place.seed);
    if (!base || asked !== this.asked) return;
    const codes = this.heated(base, state.place.heat);
    for (let done = 0, count = this.plane ? n : 4; done < n; done += count) {
      if (done) count = this.plane ? n : Math.max(1, Math.min(n - done, Math.round(PATIENCE / this.pace)));
      const rows = codes.slice(done * latent, (done + count) * latent);
      const made = await this.run(this.here.graph, rows, [latent], `samples ${this.index}`, done ? 2 : 1);
      if (!made || asked !== this.asked) return;
      this.pace = Math.max(0.2, made.ms / count);
      if (this.plane) this.layers.samples = this.points(made.rows);
      else for (let i = 0; i < count; i++) this.showCell(done + i, pictureOf(made.rows, i, this.model.shape));
    }
    if (this.plane) this.redraw();
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
      await this.prepare(state);
      const [a, b] = [this.codeOf(state.a), this.codeOf(state.b)];
      const way = (/** @type {number} */ i) => between(a, b, i / 64, !this.model.spherical);
      const codes = Array.from({ length: 65 }, (_, i) => [...way(i)]).flat();
      const rows = new Float32Array(codes);
      const made = await this.run(this.here.graph, rows, [this.model.latent], `path ${this.index}`, 1);
      if (!made) return;
      this.layers.path = this.points(made.rows);
    }
    this.redraw();
  }

  /** @param {State} state */
  async refreshField(state) {
    if (!this.plane || !this.model.field) return;
    const last = this.frame === this.model.frames.length - 1;
    if (!state.field || !last) this.layers.field = null;
    else {
      const [rows, y] = this.split(raster(this.model.view, FIELD_SIDE));
      const made = await this.run(this.model.field.graph, rows, this.model.shape, `field ${this.index}`, 3, y);
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
}
