"use strict";
// Maps of numbers: drawn on canvases, with a cursor for the mouse and the keyboard.

const FIRST_MAPS = 24;

/** The side of a cell in CSS pixels, so that a map is large enough to point at. */
function cellSize(sheet) {
  if (sheet.isVector && sheet.length <= WRITTEN) return 60;
  if (sheet.isMatrix) return Math.max(0.5, Math.min(10, 440 / Math.max(sheet.height, sheet.width)));
  if (sheet.isVector) return sheet.width <= 32 ? 14 : sheet.width <= 64 ? 8 : 5;
  const side = Math.max(sheet.height, sheet.width);
  if (side <= 8) return sheet.maps > 64 ? 8 : 12;
  return Math.max(0.5, Math.min(10, (side <= 32 ? 140 : 168) / side));
}

/** Fill a panel with the maps of an array. Returns an object that can move the cursor. */
async function showMaps(panel, layer, what) {
  const isValue = what.startsWith("value.");
  const shape = isValue ? layer.parameters[what.slice(6)] : layer.arrays[what];
  const grid = panel.querySelector(".maps");
  const asked = (panel.asked = {}); // an answer that comes after the next question is dropped
  const view = { panel, layer, what, shape, grid, tiles: new Map(), shown: 0 };
  const first = await readMaps(layer.path, what, shape, 0, FIRST_MAPS);
  if (panel.asked !== asked) return null;
  view.sheet = first.sheet;
  view.scale = first.scale;
  view.size = cellSize(first.sheet);
  grid.replaceChildren();
  panel.querySelector(".legend").replaceWith(legend(view.scale));
  addTiles(view, first.maps);
  return (panel.view = view);
}

function addTiles(view, maps) {
  const { sheet, grid } = view;
  grid.querySelector(".more")?.remove();
  maps.forEach((values, i) => grid.append(tile(view, view.shown + i, values)));
  view.shown += maps.length;
  const left = sheet.maps - view.shown;
  if (left > 0 && maps.length < FIRST_MAPS) {
    grid.append(element("p", "more", `the first ${count(view.shown)} of ${count(sheet.maps)} maps`));
  } else if (left > 0) {
    const text = `${Math.min(left, FIRST_MAPS)} more of ${count(sheet.maps)} maps`;
    grid.append(button(text, () => attempt(() => moreMaps(view)), "more"));
  }
}

async function moreMaps(view) {
  const next = await readMaps(view.layer.path, view.what, view.shape, view.shown, FIRST_MAPS);
  addTiles(view, next.maps);
}

function tile(view, map, values) {
  const { sheet } = view;
  const box = element("figure", "map");
  const frame = element("div", "frame");
  const canvas = element("canvas", "", null, {
    tabindex: map === 0 ? "0" : "-1",
    role: "img",
    "aria-label": mapName(view, map),
  });
  paint(canvas, sheet.length ? values.subarray(0, sheet.length) : values, sheet.height, sheet.width, view.scale);
  canvas.style.width = `${sheet.width * view.size}px`;
  canvas.style.height = `${sheet.height * view.size}px`;
  const cursor = element("div", "cursor");
  cursor.hidden = true;
  frame.append(canvas, cursor);
  if (sheet.length <= WRITTEN) frame.append(numbersOf(view, values));
  box.append(frame);
  if (sheet.maps > 1) box.append(element("figcaption", "", sheet.caption ? sheet.caption(map) : `${map}`));
  const one = { map, values, canvas, cursor, row: 0, column: 0, box };
  view.tiles.set(map, one);
  if (!app.source.isLive) markExplained(view, map, frame);
  canvas.addEventListener("pointermove", (event) => point(view, one, ...cellAt(canvas, sheet, event)));
  canvas.addEventListener("pointerleave", () => { if (document.activeElement !== canvas) cursor.hidden = true; });
  canvas.addEventListener("click", (event) => {
    if (point(view, one, ...cellAt(canvas, sheet, event))) explainCell(view, one);
  });
  canvas.addEventListener("focus", () => point(view, one, one.row, one.column));
  canvas.addEventListener("blur", () => (cursor.hidden = true));
  canvas.addEventListener("keydown", (event) => moveCursor(view, one, event));
  return box;
}

/** The numbers of a short vector, over its cells. */
function numbersOf(view, values) {
  const { sheet, scale } = view;
  const box = element("div", "numbers", null, { "aria-hidden": "true" });
  box.style.gridTemplateColumns = `repeat(${sheet.width}, 1fr)`;
  for (const value of values.subarray(0, sheet.length)) {
    const one = element("span", "", format(value, 3));
    one.style.color = inkOn(scale, value);
    box.append(one);
  }
  return box;
}

/** A dot on every cell that an exported page explains. */
function markExplained(view, map, frame) {
  const [path, what] = app.source.origin(view.layer.path, view.what.replace("value.", ""));
  for (const place of app.state.explained[path]?.[what] ?? []) {
    const at = view.sheet.locate(place ? place.split(",").map(Number) : []);
    if (at.map !== map) continue;
    const dot = element("div", "dot");
    placeBox(dot, view.sheet, at.row, at.row + 1, at.column, at.column + 1);
    frame.append(dot);
  }
}

function mapName(view, map) {
  const of = view.sheet.maps > 1 ? `, map ${map} of ${view.sheet.maps}` : "";
  return `${view.layer.path || "image"}: ${titleOf(view.what)}${of}, ${view.sheet.height} by ${view.sheet.width} cells`;
}

function cellAt(canvas, sheet, event) {
  const box = canvas.getBoundingClientRect();
  const inside = (at, cells) => Math.min(cells - 1, Math.max(0, Math.floor(at * cells)));
  return [
    inside((event.clientY - box.top) / box.height, sheet.height),
    inside((event.clientX - box.left) / box.width, sheet.width),
  ];
}

/** Move the cursor of a map, and show the number there; false behind the end of a vector. */
function point(view, one, row, column) {
  const { sheet } = view;
  const at = row * sheet.width + column;
  if (sheet.length && at >= sheet.length) return false;
  [one.row, one.column] = [row, column];
  placeBox(one.cursor, sheet, row, row + 1, column, column + 1);
  const name = `${view.layer.path || "image"}: ${nameIn(view.what)}[${sheet.index(one.map, row, column).join(", ")}]`;
  $("hover").textContent = `${name} = ${format(one.values[at])}`;
  return true;
}

function nameIn(what) {
  return what.startsWith("value.") ? what.slice(6) : isActivation(what) ? what : `d${what}`;
}

/** Put a frame around the cells of rows and columns; the ends are not included. */
function placeBox(box, sheet, row, rowEnd, column, columnEnd) {
  box.hidden = false;
  box.style.top = `${(100 * row) / sheet.height}%`;
  box.style.height = `${(100 * (rowEnd - row)) / sheet.height}%`;
  box.style.left = `${(100 * column) / sheet.width}%`;
  box.style.width = `${(100 * (columnEnd - column)) / sheet.width}%`;
}

const MOVES = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

function moveCursor(view, one, event) {
  const { sheet } = view;
  if (event.key in MOVES) {
    const [down, right] = MOVES[event.key];
    const row = Math.min(sheet.height - 1, Math.max(0, one.row + down));
    const column = Math.min(sheet.width - 1, Math.max(0, one.column + right));
    point(view, one, row, column);
  } else if (event.key === "PageDown" || event.key === "PageUp") {
    const next = view.tiles.get(one.map + (event.key === "PageDown" ? 1 : -1));
    if (next) {
      [next.row, next.column] = [one.row, one.column];
      next.canvas.focus();
    }
  } else if (event.key === "Enter") {
    explainCell(view, one);
  } else {
    return;
  }
  event.preventDefault();
}

function explainCell(view, one) {
  const index = view.sheet.index(one.map, one.row, one.column);
  // A parameter is explained by its gradient, which has the same places.
  const what = view.what.replace("value.", "");
  if (what in view.layer.arrays) openExplanation(view.layer.path, what, index);
  else tell(`${view.layer.path}: ${what} is not trained: it has no gradient that could be explained`);
}
