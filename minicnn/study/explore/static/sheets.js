"use strict";
// An array as maps of rows and columns, whatever its axes are.

/** True for x, y and their gradients; a layer that joins has x1, x2, ... and dx1, dx2, ... */
const isActivation = (name) => /^d?(y|x\d*)$/.test(name);

/** How an array is drawn: `maps` of height x width cells.
 *
 * index(map, row, column): the place in the array. locate(index): the map, row and column of a place.
 */
function sheetOf(shape, what) {
  const name = what.replace("value.", "");
  const isMaps = isActivation(name);
  if (shape.length >= 4 && isMaps) { // the axes behind rows and columns are counted through
    const [, height, width, ...rest] = shape;
    return {
      maps: product(rest), height, width, isPaged: true,
      index: (m, r, c) => [0, r, c, ...placeOf(m, rest)],
      locate: ([, r, c, ...place]) => ({ map: countOf(place, rest), row: r, column: c }),
      caption: rest.length > 1 ? (m) => placeOf(m, rest).join(", ") : undefined,
    };
  }
  if (shape.length === 3 && isMaps) {
    const [, height, width] = shape;
    return {
      maps: 1, height, width, isMatrix: true,
      index: (m, r, c) => [0, r, c],
      locate: ([, r, c]) => ({ map: 0, row: r, column: c }),
    };
  }
  if (shape.length === 4) { // weights: one kernel per pair of an output and an input map
    const [height, width, inputs, outputs] = shape;
    return {
      maps: inputs * outputs, height, width, isPaged: true,
      index: (m, r, c) => [r, c, m % inputs, Math.floor(m / inputs)],
      locate: ([r, c, i, k]) => ({ map: k * inputs + i, row: r, column: c }),
      caption: (m) => (inputs === 1 ? `${m}` : `${m % inputs}→${Math.floor(m / inputs)}`),
    };
  }
  if (shape.length === 2 && !isMaps) { // weights of a linear layer: a row per output
    const [inputs, outputs] = shape;
    return {
      maps: 1, height: outputs, width: inputs, isMatrix: true, isTransposed: true,
      index: (m, r, c) => [c, r],
      locate: ([i, k]) => ({ map: 0, row: k, column: i }),
    };
  }
  const length = product(shape);
  const width = length <= WRITTEN ? Math.min(length, 5) : Math.ceil(Math.sqrt(length * 3));
  return {
    maps: 1, height: Math.ceil(length / width), width, length, isVector: true,
    index: (m, r, c) => placeOf(r * width + c, shape),
    locate: (index) => {
      const at = countOf(index, shape);
      return { map: 0, row: Math.floor(at / width), column: at % width };
    },
  };
}

const product = (numbers) => numbers.reduce((a, b) => a * b, 1);

/** The place of the element of that number, the last axis counted first; and its number. */
function placeOf(at, shape) {
  const place = [];
  for (const size of [...shape].reverse()) {
    place.unshift(at % size);
    at = Math.floor(at / size);
  }
  return place;
}

const countOf = (place, shape) => place.reduce((at, i, axis) => at * shape[axis] + i, 0);

const WRITTEN = 24; // numbers of a vector that are written into its cells, five in a row
const MOST_CELLS = 4e6; // of an array that is drawn as a whole

/** The numbers of `count` maps from `first` on, `[height * width, ...]`, with the array's colors. */
async function readMaps(path, what, shape, first, count) {
  const sheet = sheetOf(shape, what);
  const size = sheet.height * sheet.width;
  if (!sheet.isPaged && size > MOST_CELLS) {
    throw new Failure(`${path}: ${what} has ${size.toLocaleString("en-US")} numbers, too many to draw: click one of the output instead`);
  }
  const found = await array(path, what, sheet.isPaged ? first : 0, sheet.isPaged ? count : 1);
  let data = found.data;
  if (sheet.isTransposed) {
    data = new Float32Array(size);
    for (let c = 0; c < sheet.width; c++) {
      for (let r = 0; r < sheet.height; r++) data[r * sheet.width + c] = found.data[c * sheet.height + r];
    }
  }
  const maps = [];
  if (!sheet.isPaged) maps.push(data);
  else for (let i = 0; (i + 1) * size <= data.length; i++) maps.push(data.subarray(i * size, (i + 1) * size));
  return { sheet, maps, scale: scaleOf(found.low, found.high, isSigned(what, found.low), found.peak) };
}

const isSigned = (what, low) => low < 0 || !isActivation(what) || what.startsWith("d");

function shapeText(shape) {
  return shape.length ? shape.slice(shape[0] === 1 && shape.length > 1 ? 1 : 0).join(" × ") : "one number";
}

const TITLES = {
  y: "output y", x: "input x", dy: "gradient of y: dy", dx: "gradient of x: dx",
};

function titleOf(what) {
  if (what in TITLES) return TITLES[what];
  if (isActivation(what)) return what.startsWith("d") ? `gradient of ${what.slice(1)}: ${what}` : `input ${what}`;
  return what.startsWith("value.") ? `${what.slice(6)}` : `d${what}`;
}
