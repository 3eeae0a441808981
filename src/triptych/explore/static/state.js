// @ts-check
// What the page shows, as a value that fits into the address: nothing of a person's own picture is in it.
"use strict";

/**
 * A code: sample `pick` of the seed's 64, scaled by the temperature, some dimensions set by hand.
 * @typedef {{seed: number, pick: number, heat: number, edits: Map<string, number>}} Place
 */
/** @typedef {{place: Place, a: Place | null, b: Place | null, at: number | null, field: boolean, frames: Map<number, number>, classes: Map<number, number>}} State */

const DRAWN = 64;
const SHOWN_POINTS = 512;

/** @returns {Place} */
function firstPlace() {
  return { seed: 0, pick: 0, heat: 1, edits: new Map() };
}

/** @param {Place} place @returns {Place} */
function copied(place) {
  return { ...place, edits: new Map(place.edits) };
}

/** @param {number} value */
function short(value) {
  return String(Number(value.toFixed(3)));
}

/** @param {Place} place */
function placeToText(place) {
  const edits = [...place.edits].map(([name, value]) => `${name}:${short(value)}`).join(",");
  return [place.seed, place.pick, short(place.heat), ...(edits ? [edits] : [])].join("_");
}

/** @param {string | null} text @returns {Place | null} */
function placeFromText(text) {
  if (!text) return null;
  const [seed, pick, heat, edits] = text.split("_");
  const place = firstPlace();
  place.seed = whole(seed, 0, 2 ** 32 - 1);
  place.pick = whole(pick, 0, DRAWN - 1);
  place.heat = within(Number(heat ?? 1), 0.05, 2, 1);
  for (const edit of (edits || "").split(",")) {
    const [name, value] = edit.split(":");
    if (/^\d+\.\d+$/.test(name)) place.edits.set(name, within(Number(value), -9, 9, 0));
  }
  return place;
}

/** @param {string | undefined} text @param {number} low @param {number} high */
function whole(text, low, high) {
  return Math.round(within(Number(text), low, high, low));
}

/** @param {number} value @param {number} low @param {number} high @param {number} otherwise */
function within(value, low, high, otherwise) {
  return Number.isFinite(value) ? Math.min(high, Math.max(low, value)) : otherwise;
}

/** @param {Map<number, number>} pairs */
function pairsToText(pairs) {
  return [...pairs].map((pair) => pair.join(".")).join("_");
}

/** @param {string | null} text */
function pairsFromText(text) {
  /** @type {Map<number, number>} */
  const pairs = new Map();
  for (const pair of (text || "").split("_")) {
    const [name, value] = pair.split(".").map(Number);
    if (Number.isInteger(name) && Number.isInteger(value)) pairs.set(name, value);
  }
  return pairs;
}

/** @param {State} state */
function toFragment(state) {
  const words = new URLSearchParams();
  words.set("z", placeToText(state.place));
  if (state.a) words.set("a", placeToText(state.a));
  if (state.b) words.set("b", placeToText(state.b));
  if (state.at !== null) words.set("at", short(state.at));
  if (!state.field) words.set("field", "off");
  if (state.frames.size) words.set("frames", pairsToText(state.frames));
  if (state.classes.size) words.set("classes", pairsToText(state.classes));
  return words.toString();
}

/** @param {string} fragment @returns {State} */
function fromFragment(fragment) {
  const words = new URLSearchParams(fragment.replace(/^#/, ""));
  const at = words.get("at");
  const state = {
    place: placeFromText(words.get("z")) || firstPlace(),
    a: placeFromText(words.get("a")),
    b: placeFromText(words.get("b")),
    at: at === null ? null : within(Number(at), 0, 1, 0),
    field: words.get("field") !== "off",
    frames: pairsFromText(words.get("frames")),
    classes: pairsFromText(words.get("classes")),
  };
  if (!state.a || !state.b) state.at = null;
  return state;
}

/** @type {Map<string, Float32Array>} */
const drawn = new Map();

/**
 * The seed's noise for a number of latent dimensions, row by row; kept for the last few seeds.
 * @param {number} seed
 * @param {number} latent
 * @param {number} n
 */
function noiseOf(seed, latent, n) {
  const name = `${seed} ${latent} ${n}`;
  let noise = drawn.get(name);
  if (!noise) {
    if (drawn.size > 24) drawn.clear();
    noise = torchNormal(seed, n * latent);
    drawn.set(name, noise);
  }
  return noise;
}

/**
 * n codes of a seed, (n, latent): draws of the model's prior.
 * @param {any} model
 * @param {number} seed
 * @param {number} heat
 * @param {number} n
 */
function codesOf(model, seed, heat, n) {
  const noise = noiseOf(seed, model.latent, n);
  const codes = new Float32Array(noise.length);
  for (let i = 0; i < n; i++) fromNoise(model, noise, i * model.latent, heat, codes);
  return codes;
}

/** @param {any} model @param {Float32Array} noise @param {number} start @param {number} heat @param {Float32Array} out */
function fromNoise(model, noise, start, heat, out) {
  const d = model.latent;
  for (let j = 0; j < d; j++) {
    if (!model.root) {
      out[start + j] = heat * noise[start + j];
      continue;
    }
    let sum = 0;
    for (let k = 0; k < d; k++) sum += model.root[j * d + k] * noise[start + k];
    out[start + j] = model.mean[j] + heat * sum;
  }
}

/**
 * The code of a place for one model, (latent,).
 * @param {any} model
 * @param {Place} place
 * @param {Float32Array | null} own the code of a person's own picture instead of a sample's
 */
function codeOf(model, place, own = null) {
  const d = model.latent;
  const code = new Float32Array(d);
  if (own) code.set(own);
  else {
    const noise = noiseOf(place.seed, d, DRAWN).subarray(place.pick * d, (place.pick + 1) * d);
    fromNoise(model, noise, 0, place.heat, code);
  }
  for (const [name, value] of place.edits) {
    const [latent, j] = name.split(".").map(Number);
    if (latent === d && j < d) code[j] = centre(model, j) + value * spread(model, j);
  }
  return code;
}

/** @param {any} model @param {number} j */
function centre(model, j) {
  return model.mean ? model.mean[j] : 0;
}

/** @param {any} model @param {number} j */
function spread(model, j) {
  return model.sd ? model.sd[j] : 1;
}

/**
 * Between two codes: along the great arc, lengths changing evenly; straight where there is none.
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @param {number} t
 */
function between(a, b, t) {
  const length = (/** @type {Float32Array} */ v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  const [la, lb] = [length(a), length(b)];
  const dot = a.reduce((sum, x, i) => sum + x * b[i], 0) / (la * lb);
  const angle = Math.acos(Math.min(1, Math.max(-1, dot)));
  const curved = a.length > 2 && Math.sin(angle) > 1e-4;
  const long = la + t * (lb - la);
  const [wa, wb] = curved
    ? [(Math.sin((1 - t) * angle) / Math.sin(angle) / la) * long, (Math.sin(t * angle) / Math.sin(angle) / lb) * long]
    : [1 - t, t];
  return a.map((x, i) => wa * x + wb * b[i]);
}
