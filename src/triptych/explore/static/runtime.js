// @ts-check
// The models and what runs them: unpacked from the page itself, handed to the worker, asked for pictures. This script
// stands before the models, so that the worker begins while they are still being read.
"use strict";

/** @typedef {{rows: Float32Array, shape: number[], ms: number}} Made */
/** @typedef {{slot: string, rank: number, job: any, done: (made: any) => void, failed: (why: Error) => void}} Waiting */
/** @typedef {{kind: string, values: BigInt64Array | Float32Array, shape: number[]}} Given what rows are conditioned on */

/** When the whole file has been read. */
const allRead = new Promise((done) => addEventListener("DOMContentLoaded", done));

/**
 * The text of one of the page's packed parts: base64 of gzip.
 * @param {string} name
 * @returns {Promise<string>}
 */
async function packedText(name) {
  let element = document.getElementById(`packed-${name}`);
  if (!element) {
    await allRead;
    element = document.getElementById(`packed-${name}`);
  }
  if (!element) throw new Error(`the page has no part ${name}`);
  return element.textContent || "";
}

/** @param {string} name @returns {Promise<ArrayBuffer>} */
async function unpacked(name) {
  return new Response(unpackedStream(await packedText(name))).arrayBuffer();
}

/**
 * One worker and what waits for it. Of jobs with one slot only the newest is done: whoever waits for an older one gets
 * null. Lower ranks go first. A graph goes to the worker with the first job that needs it: what is asked of one model is not
 * kept waiting by another that is large.
 */
class Runner {
  constructor() {
    /** @type {Waiting[]} */
    this.queue = [];
    /** @type {Waiting | null} */
    this.busy = null;
    /** @type {Map<string, Promise<void>>} graphs that are unpacked, or being so */
    this.known = new Map();
    /** @type {Map<string, ArrayBuffer>} those that the worker does not have yet */
    this.unsent = new Map();
    this.count = 0;
    /** @type {Worker | null} */
    this.worker = null;
    this.started = this.start();
    this.started.catch(() => {}); // said by whoever asks for a picture
  }

  async start() {
    const source = ["unpack", "worker"].map((name) => document.getElementById(`${name}-source`)?.textContent || "");
    this.worker = new Worker(URL.createObjectURL(new Blob(source, { type: "text/javascript" })));
    this.worker.onmessage = (event) => this.finish(event.data);
    this.worker.onerror = (event) => this.finish({ error: event.message || "the worker stopped" });
    const [script, wasm] = await Promise.all([packedText("runtime-script"), packedText("runtime-wasm")]);
    await this.ask("start", 0, { kind: "start", script, wasm });
  }

  /**
   * @param {string} slot
   * @param {number} rank
   * @param {any} job
   * @returns {Promise<any>}
   */
  ask(slot, rank, job) {
    return new Promise((done, failed) => {
      const older = this.queue.findIndex((waiting) => waiting.slot === slot);
      if (older >= 0) this.queue.splice(older, 1)[0].done(null);
      this.queue.push({ slot, rank, job, done, failed });
      this.next();
    });
  }

  next() {
    if (this.busy || !this.worker || !this.queue.length) return;
    let first = 0;
    for (let i = 1; i < this.queue.length; i++) if (this.queue[i].rank < this.queue[first].rank) first = i;
    this.busy = this.queue.splice(first, 1)[0];
    const { job } = this.busy;
    const bytes = this.unsent.get(job.graph);
    this.unsent.delete(job.graph);
    this.worker.postMessage({ id: ++this.count, ...job, bytes }, bytes ? [bytes] : []);
  }

  /** @param {any} reply */
  finish(reply) {
    const busy = this.busy;
    this.busy = null;
    if (busy) reply.error ? busy.failed(new Error(reply.error)) : busy.done(reply);
    this.next();
  }

  /** @param {string} graph */
  async unpack(graph) {
    this.unsent.set(graph, await unpacked(graph));
  }

  /**
   * What a graph makes of rows of numbers, `shape` being that of one row, and of what they are given; null where a
   * newer job of the slot came.
   * @param {string} graph
   * @param {Float32Array} rows
   * @param {number[]} shape
   * @param {string} slot
   * @param {number} rank
   * @param {Given | null} given
   * @returns {Promise<Made | null>}
   */
  async run(graph, rows, shape, slot, rank, given) {
    if (!this.known.has(graph)) this.known.set(graph, this.unpack(graph));
    await Promise.all([this.known.get(graph), this.started]);
    const size = shape.reduce((a, b) => a * b, 1);
    return this.ask(slot, rank, { kind: "run", graph, rows, shape: [rows.length / size, ...shape], given });
  }
}

const runner = new Runner();
