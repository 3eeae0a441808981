// @ts-check
// PyTorch's random numbers, so that seed 3 in the page is `triptych sample RUN --seed 3`.
"use strict";

/**
 * A stream of 32-bit integers. Source: Matsumoto & Nishimura 1998, MT19937.
 * @param {number} seed
 * @returns {() => number}
 */
function mersenneTwister(seed) {
  const size = 624;
  const state = new Uint32Array(size);
  state[0] = seed >>> 0;
  for (let i = 1; i < size; i++) {
    const before = state[i - 1] ^ (state[i - 1] >>> 30);
    state[i] = (Math.imul(before, 1812433253) + i) >>> 0;
  }
  let at = size;
  return () => {
    if (at === size) {
      for (let i = 0; i < size; i++) {
        const y = (state[i] & 0x80000000) | (state[(i + 1) % size] & 0x7fffffff);
        state[i] = state[(i + 397) % size] ^ (y >>> 1) ^ (y & 1 ? 0x9908b0df : 0);
      }
      at = 0;
    }
    let y = state[at++];
    y ^= y >>> 11;
    y ^= (y << 7) & 0x9d2c5680;
    y ^= (y << 15) & 0xefc60000;
    return (y ^ (y >>> 18)) >>> 0;
  };
}

/**
 * `torch.randn(n, generator=torch.Generator().manual_seed(seed))` on the CPU, for n of 16 or more.
 * Sixteen at a time, the first eight the radii and the last eight the angles of Box and Muller's transform.
 * @param {number} seed
 * @param {number} n
 * @returns {Float32Array}
 */
function torchNormal(seed, n) {
  const next = mersenneTwister(seed);
  const uniform = () => (next() & 0xffffff) / 0x1000000;
  const x = new Float32Array(n);
  /** @param {number} start */
  const transform = (start) => {
    for (let j = start; j < start + 8; j++) {
      const radius = Math.sqrt(-2 * Math.log(1 - x[j]));
      const angle = 2 * Math.PI * x[j + 8];
      x[j] = radius * Math.cos(angle);
      x[j + 8] = radius * Math.sin(angle);
    }
  };
  for (let i = 0; i < n; i++) x[i] = uniform();
  for (let i = 0; i + 16 <= n; i += 16) transform(i);
  if (n % 16) {
    for (let i = n - 16; i < n; i++) x[i] = uniform();
    transform(n - 16);
  }
  return x;
}
