// @ts-check
// Runs in a worker of its own, so that the page never waits for a network: one job at a time, in the order they come.
"use strict";

/** @type {any} */
let runtime = null;
/** @type {Map<string, any>} */
const sessions = new Map();

/**
 * @param {any} job what to do: `start` the runtime, or `run` a graph on rows of numbers; its bytes come with the first job of it
 * @returns {Promise<any>}
 */
async function work(job) {
  if (job.kind === "start") {
    const [script, wasm] = await Promise.all(
      [job.script, job.wasm].map((text) => new Response(unpackedStream(text)).arrayBuffer()),
    );
    // a worker of a page from the disk may import only what it makes itself
    runtime = await import(URL.createObjectURL(new Blob([script], { type: "text/javascript" })));
    runtime.env.wasm.numThreads = 1; // more need headers that a file does not have
    runtime.env.wasm.proxy = false;
    runtime.env.wasm.wasmBinary = wasm;
    runtime.env.logLevel = "error";
    return {};
  }
  if (job.bytes) {
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
    sessions.set(job.graph, await runtime.InferenceSession.create(new Uint8Array(job.bytes), options));
  }
  const session = sessions.get(job.graph);
  if (!session) throw new Error(`the graph ${job.graph} could not be read`);
  const began = performance.now();
  const [rowsName, givenName] = session.inputNames;
  const feeds = { [rowsName]: new runtime.Tensor("float32", job.rows, job.shape) };
  if (job.given) feeds[givenName] = new runtime.Tensor(job.given.kind, job.given.values, job.given.shape);
  const made = await session.run(feeds);
  const out = made[session.outputNames[0]];
  const rows = new Float32Array(out.data);
  return { rows, shape: out.dims, ms: performance.now() - began };
}

self.onmessage = async (event) => {
  const job = event.data;
  try {
    const done = await work(job);
    self.postMessage({ id: job.id, ...done }, done.rows ? { transfer: [done.rows.buffer] } : {});
  } catch (error) {
    self.postMessage({ id: job.id, error: String(error) });
  }
};
