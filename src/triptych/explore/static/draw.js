// @ts-check
// Pixels: pictures, the plane, and files of them.
"use strict";

/**
 * Picture i of rows (n, c, h, w) in [0, 1].
 * @param {Float32Array} rows
 * @param {number} i
 * @param {number[]} shape (c, h, w)
 */
function pictureOf(rows, i, [c, h, w]) {
  const pixels = new ImageData(w, h);
  const size = h * w;
  const start = i * c * size;
  for (let k = 0; k < size; k++) {
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[4 * k + channel] = Math.round(255 * rows[start + (c === 3 ? channel * size : 0) + k]);
    }
    pixels.data[4 * k + 3] = 255;
  }
  return pixels;
}

/** @param {HTMLCanvasElement} canvas @param {ImageData} pixels */
function show(canvas, pixels) {
  if (canvas.width !== pixels.width || canvas.height !== pixels.height) {
    canvas.width = pixels.width;
    canvas.height = pixels.height;
  }
  context(canvas).putImageData(pixels, 0, 0);
}

/** @param {HTMLCanvasElement} canvas */
function context(canvas) {
  const found = canvas.getContext("2d", { willReadFrequently: true });
  if (!found) throw new Error("this browser cannot draw");
  return found;
}

/** @param {string} name */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/**
 * The plane of a 2-D set: what lies behind, the data, samples, and where the code at hand goes.
 * @param {HTMLCanvasElement} canvas
 * @param {any} view centre [x, y] and half-width of what is shown
 * @param {{field: ImageData | null, data: Float32Array | null, samples: Float32Array | null, path: Float32Array | null, here: Float32Array | null}} layers
 */
function drawPlane(canvas, view, layers) {
  const side = canvas.width;
  const draw = context(canvas);
  const x = (/** @type {number} */ v) => ((v - view.centre[0]) / view.half + 1) * 0.5 * side;
  const y = (/** @type {number} */ v) => (1 - (v - view.centre[1]) / view.half) * 0.5 * side;
  draw.fillStyle = colour("paper");
  draw.fillRect(0, 0, side, side);
  if (layers.field) {
    const small = document.createElement("canvas");
    show(small, layers.field);
    draw.imageSmoothingEnabled = true;
    draw.drawImage(small, 0, 0, side, side);
  }
  /** @param {Float32Array | null} points @param {string} fill @param {number} size */
  const dots = (points, fill, size) => {
    draw.fillStyle = fill;
    for (let i = 0; points && i < points.length; i += 2) {
      draw.fillRect(x(points[i]) - size / 2, y(points[i + 1]) - size / 2, size, size);
    }
  };
  dots(layers.data, colour("data"), 2.5);
  dots(layers.samples, colour("sample"), 4);
  if (layers.path) {
    draw.strokeStyle = colour("here");
    draw.lineWidth = 2.5;
    draw.beginPath();
    for (let i = 0; i < layers.path.length; i += 2) draw.lineTo(x(layers.path[i]), y(layers.path[i + 1]));
    draw.stroke();
  }
  if (layers.here) {
    draw.beginPath();
    draw.arc(x(layers.here[0]), y(layers.here[1]), 9, 0, 2 * Math.PI);
    draw.fillStyle = colour("here");
    draw.fill();
    draw.lineWidth = 3;
    draw.strokeStyle = colour("paper");
    draw.stroke();
  }
}

/**
 * The points of a square raster, row by row from the top, (side², 2).
 * @param {any} view
 * @param {number} side
 */
function raster(view, side) {
  const points = new Float32Array(2 * side * side);
  for (let i = 0; i < side; i++) {
    for (let j = 0; j < side; j++) {
      points[2 * (i * side + j)] = view.centre[0] + view.half * ((2 * (j + 0.5)) / side - 1);
      points[2 * (i * side + j) + 1] = view.centre[1] + view.half * (1 - (2 * (i + 0.5)) / side);
    }
  }
  return points;
}

/**
 * Values over the raster as a tint: of a log density the upper 8 nats, of a critic's score its place between least and most.
 * @param {Float32Array} values
 * @param {boolean} density
 */
function tinted(values, density) {
  const side = Math.sqrt(values.length);
  const pixels = new ImageData(side, side);
  const finite = values.filter(Number.isFinite);
  const high = finite.reduce((a, b) => Math.max(a, b), -Infinity);
  const low = finite.reduce((a, b) => Math.min(a, b), Infinity);
  const [r, g, b] = colour(density ? "density" : "critic").split(/\s+/).map(Number);
  for (let i = 0; i < values.length; i++) {
    const share = density ? Math.max(0, 1 + (values[i] - high) / 8) : (values[i] - low) / (high - low || 1);
    pixels.data.set([r, g, b, Math.round(170 * (Number.isFinite(share) ? share : 0))], 4 * i);
  }
  return pixels;
}

/**
 * A canvas as a PNG file for the reader, small pictures enlarged by a whole factor.
 * @param {HTMLCanvasElement} canvas
 * @param {string} name
 */
function download(canvas, name) {
  const scale = Math.max(1, Math.floor(512 / canvas.width));
  const large = document.createElement("canvas");
  large.width = canvas.width * scale;
  large.height = canvas.height * scale;
  const draw = context(large);
  draw.imageSmoothingEnabled = false;
  draw.drawImage(canvas, 0, 0, large.width, large.height);
  large.toBlob((file) => {
    if (!file) return;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  });
}

/**
 * A person's picture as one example (c, h, w) in [0, 1].
 * @param {CanvasImageSource} source
 * @param {number[]} shape
 */
function exampleOf(source, [c, h, w]) {
  const canvas = document.createElement("canvas");
  canvas.width = w;
  canvas.height = h;
  const draw = context(canvas);
  draw.imageSmoothingQuality = "high";
  draw.drawImage(source, 0, 0, w, h);
  const pixels = draw.getImageData(0, 0, w, h).data;
  const x = new Float32Array(c * h * w);
  for (let k = 0; k < h * w; k++) {
    const [r, g, b] = pixels.slice(4 * k, 4 * k + 3);
    const values = c === 3 ? [r, g, b] : [0.299 * r + 0.587 * g + 0.114 * b];
    values.forEach((value, channel) => (x[channel * h * w + k] = value / 255));
  }
  return x;
}
