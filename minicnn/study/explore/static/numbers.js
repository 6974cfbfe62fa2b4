"use strict";
// Numbers as text, and numbers as colors.

const MINUS = "\u2212";

function withMinus(text) {
  return text.replace(/-/g, MINUS);
}

/** A number with 6 significant digits, or as many as given. */
function format(value, digits = 6) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return withMinus(String(value).replace("Infinity", "∞"));
  if (value === 0) return "0";
  if (Number.isInteger(value) && Math.abs(value) < 1e6) return withMinus(String(value));
  if (Math.abs(value) < 1e-4) return withMinus(value.toExponential(digits - 1));
  return withMinus(value.toPrecision(digits));
}

/** A function that writes each of these numbers with the same number of decimals. */
function columnFormat(values, digits = 5) {
  let most = 0;
  for (const v of values) if (Number.isFinite(v)) most = Math.max(most, Math.abs(v));
  if (most === 0) return (v) => format(v);
  if (most < 1e-3 || most >= 1e6) {
    return (v) => (v === 0 ? "0" : Number.isFinite(v) ? withMinus(v.toExponential(digits - 2)) : format(v));
  }
  const decimals = Math.max(0, digits - 1 - Math.max(0, Math.floor(Math.log10(most))));
  const fixed = (v) => v.toFixed(decimals).replace(/^-(0\.?0*)$/, "$1"); // no negative zero
  return (v) => (Number.isFinite(v) ? withMinus(fixed(v)) : format(v));
}

function count(value) {
  return value.toLocaleString("en-US");
}

// --- color scales ---

const SEQUENTIAL = ["#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#fde725"];
const DIVERGING = {
  light: ["#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b"],
  dark: ["#8ec5f0", "#3f86c0", "#24486b", "#20242b", "#6b3429", "#cf6048", "#ffb199"],
};
const STEPS = 512;
const tables = {};

function isDark() {
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

/** The colors of a scale as [r, g, b] times STEPS. */
function colorTable(diverging) {
  const stops = diverging ? DIVERGING[isDark() ? "dark" : "light"] : SEQUENTIAL;
  const key = stops.join();
  if (!tables[key]) {
    const rgb = stops.map((s) => [1, 3, 5].map((i) => parseInt(s.slice(i, i + 2), 16)));
    const table = new Uint8ClampedArray(STEPS * 3);
    for (let i = 0; i < STEPS; i++) {
      const at = (i / (STEPS - 1)) * (rgb.length - 1);
      const left = Math.min(rgb.length - 2, Math.floor(at));
      for (let j = 0; j < 3; j++) {
        table[3 * i + j] = rgb[left][j] + (at - left) * (rgb[left + 1][j] - rgb[left][j]);
      }
    }
    tables[key] = table;
  }
  return tables[key];
}

/** From a range of numbers to a scale: symmetric and diverging if some are negative.
 *
 * peak: the magnitude that has the full color, if it is smaller than the largest.
 */
function scaleOf(low, high, signed = low < 0, peak = Infinity) {
  const most = Math.max(Math.abs(low), Math.abs(high));
  const end = Math.min(most, peak ?? Infinity) || 1;
  if (signed) return { low: -end, high: end, diverging: true, isCut: end < most };
  return { low: Math.min(0, low), high: high > 0 ? end : 1, diverging: false, isCut: end < most };
}

function colorPlace(scale, value) {
  const share = (value - scale.low) / (scale.high - scale.low);
  return 3 * Math.round((STEPS - 1) * Math.min(1, Math.max(0, share || 0)));
}

function cssColor(scale, value) {
  const table = colorTable(scale.diverging), i = colorPlace(scale, value);
  return `rgb(${table[i]}, ${table[i + 1]}, ${table[i + 2]})`;
}

/** Black or white, whichever can be read on that color. */
function inkOn(scale, value) {
  const table = colorTable(scale.diverging), i = colorPlace(scale, value);
  const light = 0.299 * table[i] + 0.587 * table[i + 1] + 0.114 * table[i + 2];
  return light > 140 ? "#111" : "#fff";
}

/** Draw `height` x `width` numbers onto a canvas, one pixel each. */
function paint(canvas, values, height, width, scale) {
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height), data = image.data;
  const table = colorTable(scale.diverging);
  for (let i = 0; i < height * width; i++) {
    if (i >= values.length || Number.isNaN(values[i])) continue; // transparent: no number
    const place = colorPlace(scale, values[i]);
    data[4 * i] = table[place];
    data[4 * i + 1] = table[place + 1];
    data[4 * i + 2] = table[place + 2];
    data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}

/** A bar of the scale's colors with the numbers at its ends, and at 0. */
function legend(scale, text) {
  const box = element("div", "legend");
  const canvas = element("canvas");
  canvas.setAttribute("aria-hidden", "true");
  const values = Array.from({ length: 128 }, (_, i) => scale.low + (i / 127) * (scale.high - scale.low));
  paint(canvas, values, 1, 128, scale);
  const ends = [scale.low, ...(scale.diverging ? [0] : []), scale.high];
  const labels = element("div", "legend-labels");
  ends.forEach((end, i) => {
    const isLast = i === ends.length - 1, isCut = scale.isCut && end !== 0;
    const sign = isCut ? (isLast ? "\u2265 " : "\u2264 ") : ""; // larger numbers have the same color
    labels.append(element("span", "", sign + format(end, 3)));
  });
  box.append(canvas, labels);
  if (text) box.append(element("p", "legend-text", text));
  return box;
}

// --- elements ---

function element(tag, className = "", text = null, attributes = {}) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== null) made.textContent = text;
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  return made;
}

function button(text, action, className = "", attributes = {}) {
  const made = element("button", className, text, { type: "button", ...attributes });
  made.addEventListener("click", action);
  return made;
}

const $ = (id) => document.getElementById(id);
