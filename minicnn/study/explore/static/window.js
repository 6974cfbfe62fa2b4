"use strict";
// The drawing of a sum over a window: patch times kernel, one input map at a time; and where the
// window lies on the map that is read.

const MOST_SIDE = 11; // cells of a window whose numbers are written out

function windowOf(found) {
  if (!found.maps.length || found.window.length < 2) return null;
  const cells = found.window.map((term) => ({ term, at: term.factors[0].index }));
  const rows = [...new Set(cells.map((cell) => cell.at[1]))].sort((a, b) => a - b);
  const columns = [...new Set(cells.map((cell) => cell.at[2]))].sort((a, b) => a - b);
  if (rows.length > MOST_SIDE || columns.length > MOST_SIDE) return null;
  if (rows.length * columns.length < cells.length) return null; // several terms per cell
  const box = element("section", "window");
  box.append(mapChoice(found));
  const grids = element("div", "grids");
  const widest = Math.max(...found.window.map((term) => term.factors.length));
  for (let i = 0; i < widest; i++) {
    if (i > 0) grids.append(element("span", "sign", "×"));
    const name = found.window[0].factors[i]?.name ?? "";
    grids.append(gridOf(cells, rows, columns, (term) => term.factors[i]?.value ?? null, name, found));
  }
  if (widest > 1) {
    grids.append(element("span", "sign", "="));
    grids.append(gridOf(cells, rows, columns, (term) => term.value, "products", found));
  }
  box.append(grids);
  return box;
}

function mapChoice(found) {
  const [, terms, sum] = found.maps.find(([map]) => map === found.map);
  const array = found.window[0].factors[0].name;
  const head = element("h3", "", `Map ${found.map} of ${array}`);
  const line = element("p", "map-sum");
  const rank = found.maps.findIndex(([map]) => map === found.map);
  if (found.kind === "sum" && terms > 1) line.append(`its ${terms} products add ${format(sum)}`);
  if (found.maps.length > 1) {
    line.append(` · rank ${rank + 1} of ${found.maps.length} maps by size`);
    if (app.source.isLive) {
      const go = (to) => () => {
        explanation.view = { ...explanation.view, map: found.maps[to][0] };
        attempt(refreshExplanation);
      };
      const previous = button("‹", go(rank - 1), "icon", { "aria-label": "Map with the next larger sum" });
      const next = button("›", go(rank + 1), "icon", { "aria-label": "Map with the next smaller sum" });
      previous.disabled = rank === 0;
      next.disabled = rank === found.maps.length - 1;
      line.append(" ", previous, next);
    }
  }
  const box = element("div", "map-choice");
  box.append(head, line);
  return box;
}

/** One factor of all terms as a table of colored numbers. */
function gridOf(cells, rows, columns, valueOf, name, found) {
  const figure = element("figure", "grid");
  const table = element("table");
  const values = cells.map((cell) => valueOf(cell.term)).filter((v) => v !== null);
  const isSigned = ["w", "dy", "products"].includes(name) || values.some((v) => v < 0);
  const scale = scaleOf(...rangeOf(values), isSigned);
  const text = columnFormat(values, 3);
  for (const r of rows) {
    const line = element("tr");
    for (const c of columns) {
      const cell = cells.find((one) => one.at[1] === r && one.at[2] === c);
      const value = cell ? valueOf(cell.term) : null;
      const box = element("td", cell && found.kind === "selection" && cell.term.chosen ? "won" : "", value === null ? "" : text(value));
      if (value !== null) {
        box.style.background = cssColor(scale, value);
        box.style.color = inkOn(scale, value);
      } else box.className = "none";
      line.append(box);
    }
    table.append(line);
  }
  figure.append(table, element("figcaption", "", name));
  return figure;
}

// --- where it lies ---

/** The maps that the number is made of, with a frame around what is read. */
function readsOf(found) {
  const list = element("div", "reads");
  for (const read of found.reads) {
    const layer = layerAt(read.path);
    if (!layer) continue;
    const what = read.what in layer.arrays && isActivation(read.what)
      ? read.what : `value.${read.what}`;
    const shape = what.startsWith("value.") ? layer.parameters[read.what] : layer.arrays[what];
    if (!shape || shape.length !== 4 || !isActivation(read.what)) continue;
    const figure = element("figure", "read");
    list.append(figure);
    attempt(() => drawRead(figure, layer, what, shape, read.ranges, found));
  }
  return list;
}

async function drawRead(figure, layer, what, shape, ranges, found) {
  const [first, end] = ranges[3];
  const map = found.map !== null && found.map >= first && found.map < end ? found.map : first;
  const { sheet, maps, scale } = await readMaps(layer.path, what, shape, map, 1);
  const frame = element("div", "frame");
  const canvas = element("canvas", "", null, {
    role: "img",
    "aria-label":
      `${layer.path || "image"}: ${titleOf(what)}, map ${map}: rows ${ranges[1][0]} to ${ranges[1][1] - 1}, columns ${ranges[2][0]} to ${ranges[2][1] - 1} are read`,
  });
  paint(canvas, maps[0], sheet.height, sheet.width, scale);
  const side = 168 / Math.max(sheet.height, sheet.width);
  canvas.style.width = `${sheet.width * side}px`;
  canvas.style.height = `${sheet.height * side}px`;
  const patch = element("div", "patch-here");
  placeBox(patch, sheet, ...ranges[1], ...ranges[2]);
  frame.append(canvas, patch);
  const rest = end - first > 1 ? `, one of maps ${first} to ${end - 1}` : "";
  figure.append(frame, element("figcaption", "", `${what} of ${layer.path || "the image"}, map ${map}${rest}`));
}

/** Mark the cell in the stage, and what it reads, if these arrays are in view. */
function markCell(found) {
  for (const box of document.querySelectorAll(".mark, .patch")) box.remove();
  for (const side of ["forward", "backward"]) {
    const view = $(side).view;
    if (!view || !view.sheet) continue;
    if (view.layer.path === found.path && view.what === found.what) {
      const { map, row, column } = view.sheet.locate(found.index);
      addMark(view, map, "mark", row, row + 1, column, column + 1);
    }
    for (const read of found.reads) {
      if (view.layer.path !== read.path || view.what !== read.what || read.ranges.length !== 4) continue;
      for (let map = read.ranges[3][0]; map < read.ranges[3][1]; map++) {
        addMark(view, map, "patch", ...read.ranges[1], ...read.ranges[2]);
      }
    }
  }
  markCards(found);
}

function addMark(view, map, kind, ...cells) {
  const one = view.tiles.get(map);
  if (!one) return;
  const box = element("div", kind);
  placeBox(box, view.sheet, ...cells);
  one.canvas.parentElement.append(box);
}

/** Mark what is read on the cards of the layers before. */
function markCards(found) {
  for (const read of found.reads) {
    const layer = layerAt(read.path), one = strip.cards.get(read.path);
    if (!one || read.ranges.length !== 4 || read.what !== outputOf(layer)) continue;
    const [, height, width] = layer.arrays[read.what];
    for (const canvas of one.querySelectorAll(".thumb.forward canvas")) {
      const box = element("span", "patch");
      placeBox(box, { height, width }, ...read.ranges[1], ...read.ranges[2]);
      canvas.parentElement.append(box);
    }
  }
}
