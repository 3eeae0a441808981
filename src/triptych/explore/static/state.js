// @ts-check
// What the page shows, as a value that fits into the address: nothing of a person's own picture is in it.
"use strict";

/**
 * A code: sample `pick` of the seed's 64, scaled by the temperature, some dimensions set by hand.
 * @typedef {{seed: number, pick: number, heat: number, edits: Map<string, number>}} Place
 */
/** @typedef {{place: Place, a: Place | null, b: Place | null, at: number | null, field: boolean, frames: Map<number, number>, given: Map<number, number[]>}} State */

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

/** @param {Map<number, number[]>} given */
function givenToText(given) {
  const six = (/** @type {number} */ value) => Number(value.toPrecision(6));
  return [...given].map(([group, values]) => [group, ...values.map(six)].join("_")).join("*");
}

/** @param {string | null} text */
function givenFromText(text) {
  /** @type {Map<number, number[]>} */
  const given = new Map();
  for (const one of (text || "").split("*")) {
    const [group, ...values] = one.split("_").map(Number);
    if (Number.isInteger(group) && values.length && values.every(Number.isFinite)) given.set(group, values);
  }
  return given;
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
  if (state.given.size) words.set("given", givenToText(state.given));
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
    given: givenFromText(words.get("given")),
  };
  if (!state.a || !state.b) state.at = null;
  return state;
}

/** @type {Map<string, Float32Array>} */
const drawn = new Map();

/**
 * The seed's noise, n rows of so many numbers; kept for the last few seeds.
 * @param {number} seed
 * @param {number} takes
 * @param {number} n
 */
function noiseOf(seed, takes, n) {
  const name = `${seed} ${takes} ${n}`;
  let noise = drawn.get(name);
  if (!noise) {
    if (drawn.size > 24) drawn.clear();
    noise = torchNormal(seed, n * takes);
    drawn.set(name, noise);
  }
  return noise;
}

/**
 * Between two codes: along the great arc, lengths changing evenly; straight where there is none, or `straight` is asked.
 * @param {Float32Array} a
 * @param {Float32Array} b
 * @param {number} t
 * @param {boolean} straight
 */
function between(a, b, t, straight) {
  const length = (/** @type {Float32Array} */ v) => Math.sqrt(v.reduce((sum, x) => sum + x * x, 0));
  const [la, lb] = [length(a), length(b)];
  const dot = a.reduce((sum, x, i) => sum + x * b[i], 0) / (la * lb);
  const angle = Math.acos(Math.min(1, Math.max(-1, dot)));
  const curved = !straight && a.length > 2 && Math.sin(angle) > 1e-4;
  const long = la + t * (lb - la);
  const [wa, wb] = curved
    ? [(Math.sin((1 - t) * angle) / Math.sin(angle) / la) * long, (Math.sin(t * angle) / Math.sin(angle) / lb) * long]
    : [1 - t, t];
  return a.map((x, i) => wa * x + wb * b[i]);
}
