// @ts-check
// The page: its controls, what moves when one is moved, and the state in the address.
"use strict";

class Page {
  /** @param {any} about */
  constructor(about) {
    this.about = about;
    this.runner = runner;
    this.state = fromFragment(location.hash);
    const groups = conditionGroups(about.models);
    this.cards = about.models.map(
      (/** @type {any} */ model, /** @type {number} */ i) =>
        new Card(
          model,
          i,
          groups[i],
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
    /** @type {{first: number, all: number, moves: number[], samples: {all: number, each: number[]}[]}} */
    this.times = { first: 0, all: 0, moves: [], samples: [] };
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
    await this.prepare();
    const drawn = Promise.all(this.cards.map((/** @type {Card} */ card) => card.refresh(this.state)));
    await drawn.catch((error) => this.say(String(error)));
    this.times.moves.push(performance.now() - began);
    if (!samples) return;
    /** @type {number[]} */
    const each = [];
    const fill = async (/** @type {Card} */ card) => {
      await card.refreshSamples(this.state);
      each[card.index] = performance.now() - began;
    };
    await Promise.all(this.cards.map(fill)).catch((error) => this.say(String(error)));
    this.times.samples.push({ all: performance.now() - began, each });
  }

  /** Draw the codes that are needed, and show where they lie. */
  async prepare() {
    const ready = Promise.all(this.cards.map((/** @type {Card} */ card) => card.prepare(this.state)));
    await ready.catch((error) => this.say(String(error)));
    this.sync();
  }

  /** @param {number} model @param {number} frame */
  async scrub(model, frame) {
    const card = this.cards[model];
    card.setFrame(frame);
    if (card.frame === card.model.frames.length - 1) this.state.frames.delete(model);
    else this.state.frames.set(model, card.frame);
    await this.prepare();
    await this.renew([card]);
  }

  /**
   * Condition models on something else.
   * @param {Card[]} cards of one group
   * @param {number[]} chosen
   */
  async condition(cards, chosen) {
    this.state.given.set(cards[0].group, chosen);
    for (const card of cards) card.setGiven(chosen);
    await this.prepare();
    await this.renew(cards);
  }

  /**
   * Everything that some models show, since they are others now.
   * @param {Card[]} cards
   */
  async renew(cards) {
    const all = async (/** @type {Card} */ card) => {
      await card.refresh(this.state);
      await Promise.all([card.refreshSamples(this.state), card.refreshField(this.state), card.refreshPath(this.state)]);
    };
    await Promise.all(cards.map(all)).catch((error) => this.say(String(error)));
  }

  /** Checkpoints and conditions of the state, which the address may have brought. */
  choose() {
    for (const [i, card] of this.cards.entries()) {
      card.setFrame(this.state.frames.get(i) ?? card.model.frames.length - 1);
      card.setGiven(this.state.given.get(card.group));
    }
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
    this.choose();
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
    byId("controls").append(sampleControls(this), ...latentControls(this), walkControls(this));
    const own = ownControls(this);
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

  // ------------------------------------------------------------------------------------------ start

  async start() {
    this.choose();
    this.sync();
    const first = async (/** @type {Card} */ card) => {
      await card.refresh(this.state);
      this.times.first ||= performance.now();
    };
    await Promise.all(this.cards.map(first));
    this.times.all = performance.now();
    for (const card of this.cards) {
      if (card.plane && card.model.data) card.layers.data = new Float32Array(await unpacked(card.model.data));
    }
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
   * @param {number | string} model its place on the page, from 0, or its name
   * @returns {Card}
   */
  called(model) {
    const card = this.cards.find((/** @type {Card} */ c) => c.index === model || c.model.name === model);
    if (!card) throw new Error(`the page has no model ${model}`);
    return card;
  }

  /**
   * What a model makes of codes, (n, latent): pixels in [0, 1], or points.
   * @param {number | string} model its place on the page, from 0, or its name
   * @param {ArrayLike<number>} z
   * @param {number | ArrayLike<number>} [y] what they are given, else what is at hand: a class or a row of numbers for all,
   *   or one for each code
   */
  async decode(model, z, y) {
    const card = this.called(model);
    const { latent, name } = card.model;
    if (!z.length || z.length % latent) throw new Error(`${name} takes codes of ${latent} numbers; ${z.length} were given`);
    if (y !== undefined && !isConditioned(card.model)) throw new Error(`${name} takes no class and no numbers`);
    const slot = `asked ${Math.random()}`;
    const made = await card.run(card.here.graph, Float32Array.from(z), [latent], slot, 0, y);
    return made ? made.rows : null;
  }

  /**
   * Codes of a seed's samples by a model, (n, latent), as they are drawn.
   * @param {number | string} model its place on the page, from 0, or its name
   * @param {number} seed
   */
  async codes(model, seed) {
    const card = this.called(model);
    await card.prepare({ ...this.state, place: { ...firstPlace(), seed } });
    return card.base(seed);
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
  Object.assign(window, {
    triptych: {
      ready,
      models: about.models,
      times: page.times,
      decode: page.decode.bind(page),
      codes: page.codes.bind(page),
    },
  });
})();
