// @ts-check
// The models and what runs them: unpacked from the page itself, handed to the worker, asked for pictures.
"use strict";

/** @typedef {{rows: Float32Array, shape: number[], ms: number}} Made */
/** @typedef {{slot: string, rank: number, job: any, send: Transferable[], done: (made: any) => void, failed: (why: Error) => void}} Waiting */

/**
 * The bytes of one of the page's packed parts: base64 of gzip.
 * @param {string} name
 * @returns {Promise<ArrayBuffer>}
 */
async function unpacked(name) {
  const element = document.getElementById(`packed-${name}`);
  if (!element) throw new Error(`the page has no part ${name}`);
  const text = atob((element.textContent || "").trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).arrayBuffer();
}

/**
 * One worker and what waits for it. Of jobs with one slot only the newest is done: whoever waits for an older one gets
 * null. Lower ranks go first.
 */
class Runner {
  constructor() {
    /** @type {Waiting[]} */
    this.queue = [];
    /** @type {Waiting | null} */
    this.busy = null;
    /** @type {Map<string, Promise<any>>} */
    this.loaded = new Map();
    this.count = 0;
    /** @type {Worker | null} */
    this.worker = null;
    this.started = this.start();
  }

  async start() {
    const source = document.getElementById("worker-source");
    const [script, wasm] = await Promise.all([unpacked("runtime-script"), unpacked("runtime-wasm")]);
    const code = new Blob([(source && source.textContent) || ""], { type: "text/javascript" });
    this.worker = new Worker(URL.createObjectURL(code));
    this.worker.onmessage = (event) => this.finish(event.data);
    this.worker.onerror = (event) => this.finish({ error: event.message || "the worker stopped" });
    await this.ask("start", 0, { kind: "start", script, wasm }, [script, wasm]);
  }

  /**
   * @param {string} slot
   * @param {number} rank
   * @param {any} job
   * @param {Transferable[]} send
   * @returns {Promise<any>}
   */
  ask(slot, rank, job, send = []) {
    return new Promise((done, failed) => {
      const older = this.queue.findIndex((waiting) => waiting.slot === slot);
      if (older >= 0) this.queue.splice(older, 1)[0].done(null);
      this.queue.push({ slot, rank, job, send, done, failed });
      this.next();
    });
  }

  next() {
    if (this.busy || !this.worker || !this.queue.length) return;
    let first = 0;
    for (let i = 1; i < this.queue.length; i++) if (this.queue[i].rank < this.queue[first].rank) first = i;
    this.busy = this.queue.splice(first, 1)[0];
    this.worker.postMessage({ id: ++this.count, ...this.busy.job }, this.busy.send);
  }

  /** @param {any} reply */
  finish(reply) {
    const busy = this.busy;
    this.busy = null;
    if (busy) reply.error ? busy.failed(new Error(reply.error)) : busy.done(reply);
    this.next();
  }

  /**
   * @param {string} graph
   * @param {number} rank
   */
  load(graph, rank = 0) {
    let loading = this.loaded.get(graph);
    if (!loading) {
      loading = (async () => {
        const bytes = await unpacked(graph);
        await this.started;
        await this.ask(`load ${graph}`, rank, { kind: "load", graph, bytes }, [bytes]);
      })();
      this.loaded.set(graph, loading);
    }
    return loading;
  }

  /**
   * What a graph makes of rows of numbers, `shape` being that of one row, and with classes of their labels; null where
   * a newer job of the slot came.
   * @param {string} graph
   * @param {Float32Array} rows
   * @param {number[]} shape
   * @param {string} slot
   * @param {number} rank
   * @param {BigInt64Array | null} labels one a row
   * @returns {Promise<Made | null>}
   */
  async run(graph, rows, shape, slot, rank, labels) {
    await this.load(graph, rank);
    const size = shape.reduce((a, b) => a * b, 1);
    return this.ask(slot, rank, { kind: "run", graph, rows, shape: [rows.length / size, ...shape], labels });
  }
}
