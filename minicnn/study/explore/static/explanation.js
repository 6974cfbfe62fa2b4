"use strict";
// The panel that shows how one number was made.

const explanation = { trail: [], shown: null, view: {} };

const LIMIT = 100; // terms in a page of the table
const FIRST_PAGE = { offset: 0, limit: LIMIT, order: "stated", map: -1 };

function openExplanation(path, what, index, isBack = false) {
  const here = { path, what, index };
  if (!isBack) explanation.trail.push(here);
  explanation.view = FIRST_PAGE;
  return attempt(refreshExplanation);
}

async function refreshExplanation() {
  const here = explanation.trail[explanation.trail.length - 1];
  if (!here) return;
  try {
    explanation.shown = await app.source.explain(here.path, here.what, here.index, explanation.view);
  } catch (error) {
    if (!explanation.shown || explanation.shown.path !== here.path) explanation.trail.pop();
    throw error;
  }
  const { shown } = explanation;
  drawExplanation();
  await showInStage(shown);
  if (explanation.shown === shown) markCell(shown);
}

/** Bring the array of the number into view, where a term has led to another layer. */
async function showInStage(found) {
  const side = isActivation(found.what) && !found.what.startsWith("d") ? "forward" : "backward";
  if (stage.path !== found.path) await select(found.path, stage.way);
  const isShown = $(side).view?.what === found.what && $(side).view.layer.path === found.path;
  if (isShown || !choices(layerAt(found.path), side).includes(found.what)) return;
  stage.chosen[side] = found.what;
  await drawStage();
}

function closeExplanation() {
  if ($("explanation").hidden) return;
  $("explanation").hidden = true;
  document.body.classList.remove("explaining");
  explanation.trail = [];
  explanation.shown = null;
  for (const box of document.querySelectorAll(".mark, .patch")) box.remove();
  const { opener } = explanation;
  (opener?.isConnected ? opener : $("forward").querySelector(".maps canvas"))?.focus();
}

function backExplanation() {
  if (explanation.trail.length < 2) return;
  explanation.trail.pop();
  const { path, what, index } = explanation.trail[explanation.trail.length - 1];
  openExplanation(path, what, index, true);
}

function drawExplanation() {
  const found = explanation.shown, panel = $("explanation");
  // While training goes on, the panel is drawn again and again, and must not take the focus.
  const takesFocus = panel.hidden || panel.contains(document.activeElement);
  if (panel.hidden) explanation.opener = document.activeElement;
  const body = element("div", "explanation-body");
  body.append(formulaOf(found), resultOf(found));
  const drawing = windowOf(found), reads = readsOf(found);
  if (drawing) body.append(drawing);
  (drawing?.querySelector(".grids") ?? body).append(reads);
  if (found.note) body.append(element("p", "note", found.note));
  if (found.terms.length) body.append(termsOf(found));
  if (found.source) body.append(sourceOf(found.source));
  panel.replaceChildren(headOf(found), body);
  panel.hidden = false;
  document.body.classList.add("explaining");
  keepInView(strip.cards.get(stage.path)); // the strip has become narrower
  if (takesFocus) panel.focus({ preventScroll: true });
}

function headOf(found) {
  const head = element("header");
  const title = element("h2", "", found.title, { id: "explanation-title" });
  const back = button("←", backExplanation, "icon", { "aria-label": "Back to the number before" });
  back.disabled = explanation.trail.length < 2;
  const close = button("×", closeExplanation, "icon", { "aria-label": "Close" });
  head.append(back, title, close);
  return head;
}

function formulaOf(found) {
  return element("p", "formula", found.formula || found.layer);
}

const KINDS = {
  sum: (n) => `sum of ${count(n)} ${n === 1 ? "term" : "terms"}`,
  selection: (n) => `selected from ${count(n)} ${n === 1 ? "number" : "numbers"}`,
  function: () => "argument",
  paths: (n) => (n === 1 ? "comes from" : `sum of ${count(n)} paths`),
  none: () => "",
};

/** The sum, what is done with it, and the number that the pass has. */
function resultOf(found) {
  const list = element("dl", "result");
  const row = (name, value, id) => {
    list.append(element("dt", "", name), element("dd", "", format(value, 9), { "data-value": id }));
  };
  if (found.kind !== "none") {
    row(KINDS[found.kind](found.terms_count), found.sum, "sum");
    if (found.then) row(found.then, found.total, "total");
  }
  row("in the traced pass", found.engine, "engine");
  if (found.kind !== "none") {
    list.append(element("dt", "", "difference"), element("dd", "", format(found.difference, 2), { "data-value": "difference" }));
  }
  return list;
}

// --- the table of terms ---

function termsOf(found) {
  const box = element("section", "terms");
  const head = element("div", "terms-head");
  head.append(element("h3", "", found.kind === "selection" ? "Candidates" : "Terms"));
  if (found.terms_count > 2 && app.source.isLive) head.append(orderButton());
  box.append(head, tableOf(found));
  if (found.terms_count > found.terms.length) box.append(pagesOf(found));
  return box;
}

function orderButton() {
  const isLargest = explanation.view.order === "largest";
  return button(isLargest ? "in the order of the sum" : "largest first", () => {
    explanation.view = { ...explanation.view, order: isLargest ? "stated" : "largest", offset: 0 };
    attempt(refreshExplanation);
  });
}

function pagesOf(found) {
  const end = found.offset + found.terms.length;
  const bar = element("p", "pages", `${count(found.offset + 1)} to ${count(end)} of ${count(found.terms_count)} `);
  if (!app.source.isLive) return bar;
  const go = (offset) => () => {
    explanation.view = { ...explanation.view, offset };
    attempt(refreshExplanation);
  };
  if (found.offset > 0) bar.append(button("previous", go(Math.max(0, found.offset - LIMIT))));
  if (end < found.terms_count) bar.append(button("next", go(end)));
  return bar;
}

function tableOf(found) {
  const table = element("table");
  const width = Math.max(...found.terms.map((term) => term.factors.length));
  const columns = Array.from({ length: width }, (_, i) =>
    columnFormat(found.terms.map((term) => term.factors[i]?.value ?? NaN)));
  const last = columnFormat(found.terms.map((term) => term.value ?? NaN), 6);
  const scale = scaleOf(...rangeOf(found.terms.map((term) => term.value)), true);
  for (const term of found.terms) table.append(rowOf(found, term, columns, last, scale));
  return table;
}

function rangeOf(values) {
  let low = Infinity, high = -Infinity;
  for (const v of values) if (Number.isFinite(v)) [low, high] = [Math.min(low, v), Math.max(high, v)];
  return low <= high ? [low, high] : [0, 0];
}

function rowOf(found, term, columns, last, scale) {
  const row = element("tr", term.chosen ? "" : "unchosen");
  columns.forEach((text, i) => {
    const factor = term.factors[i];
    if (!factor) return row.append(element("td"), element("td"));
    const name = element("td", "factor");
    if (i > 0) name.append(element("span", "times", "× "));
    name.append(factorElement(found, factor, term));
    row.append(name, element("td", "number", text(factor.value)));
  });
  if (!term.factors.length) row.append(element("td", "factor", term.label));
  const value = element("td", "number value", last(term.value));
  value.style.setProperty("--bar", cssColor(scale, term.value));
  if (found.kind === "selection" && term.chosen) value.append(element("span", "won", " ← selected"));
  row.append(value);
  return row;
}

/** A link to the number behind a factor. */
function factorElement(found, factor, term) {
  const target = targetOf(found, factor, term);
  const path = target && target[0] !== found.path ? `${target[0] || "image"}: ` : "";
  const text = factor.index ? `${path}${factor.name}[${factor.index.join(", ")}]` : factor.name;
  if (!target) return element("span", "", text);
  const isGradient = !isActivation(target[1]);
  const title = isGradient ? { title: `the gradient of ${text}` } : {};
  return button(text, () => attempt(() => follow(target)), "link", title);
}

/** The number that a factor is: its layer, array and place; null if it is no element of an array. */
function targetOf(found, factor, term) {
  if (!factor.index) return null;
  const path = pathOf(found, factor, term), layer = layerAt(path);
  const { name } = factor;
  if (!layer || !(name in layer.arrays)) return null;
  if (app.source.has && !app.source.has(path, name, factor.index)) return null;
  const isItself = path === found.path && name === found.what && String(factor.index) === String(found.index);
  return isItself ? null : [path, name, factor.index];
}

/** The layer of a factor: that of the number, but for paths, whose terms name another one. */
function pathOf(found, factor, term) {
  if (found.kind !== "paths") return found.path;
  const path = term.label.split(`.${factor.name}[`)[0];
  if (path === "network") return "";
  return layerAt(path) ? path : found.path;
}

/** Go on to a factor. x of a layer is y of the one before it: then to that one at once. */
async function follow(target) {
  const found = await app.source.explain(...target, FIRST_PAGE);
  const isOnePath = found.kind === "paths" && found.terms_count === 1;
  const next = isOnePath && targetOf(found, found.terms[0].factors[0], found.terms[0]);
  return openExplanation(...(next || target));
}

// --- the lines of the source ---

function sourceOf(source) {
  const box = element("details", "source");
  box.append(element("summary", "", `${source.file}, lines ${source.first} to ${source.last}`));
  const code = element("pre");
  source.code.replace(/\n$/, "").split("\n").forEach((line, i) => {
    code.append(element("span", "line-number", String(source.first + i).padStart(4)), ` ${line}\n`);
  });
  box.append(code);
  return box;
}
