// @ts-check
// Packed parts to bytes: in the page, and in the worker.
"use strict";

/** @param {string} text base64 */
function fromBase64(text) {
  const fast = /** @type {any} */ (Uint8Array).fromBase64;
  if (fast) return /** @type {Uint8Array<ArrayBuffer>} */ (fast.call(Uint8Array, text));
  const letters = atob(text.trim());
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
  return bytes;
}

/** @param {string} text base64 of gzip */
function unpackedStream(text) {
  return new Blob([fromBase64(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
}
