"use strict";
// The network as a strip of cards: blocks can be folded, small maps are read when they are in view.

const FOLD_ABOVE = 24; // layers; the blocks of larger networks begin folded
const strip = { root: [], folded: new Set(), visible: [], cards: new Map() };

/** The layers as a tree, from their dotted paths. */
function treeOf(layers) {
  const nodes = new Map(layers.map((layer) => [layer.path, { layer, children: [] }]));
  const roots = [];
  for (const [path, node] of nodes) {
    const parts = path.split(".");
    let parent = null;
    while (parts.length > 1 && !parent) {
      parts.pop();
      parent = nodes.get(parts.join("."));
    }
    (parent ? parent.children : roots).push(node);
  }
  return roots;
}

function buildStrip() {
  const layers = app.state.layers;
  strip.root = treeOf(layers);
  strip.folded = new Set();
  const leaves = layers.filter((layer) => !layer.container).length;
  if (leaves > FOLD_ABOVE) for (const node of strip.root) if (node.children.length) fold(node);
  drawStrip();
}

function fold(node) {
  strip.folded.add(node.layer.path);
  node.children.filter((child) => child.children.length).forEach(fold);
}

function drawStrip() {
  strip.cards.clear();
  strip.visible = [];
  observer.disconnect();
  $("strip").replaceChildren(...strip.root.map(nodeElement));
  $("slider").max = 2 * strip.visible.length - 1;
}

function nodeElement(node) {
  const { layer } = node;
  if (!node.children.length) return card(layer);
  const isFolded = strip.folded.has(layer.path);
  const toggle = button(isFolded ? "+" : "–", () => toggleBlock(layer.path), "fold", {
    "aria-expanded": String(!isFolded),
    "aria-label": `${isFolded ? "Unfold" : "Fold"} ${layer.path}`,
  });
  const box = element("div", isFolded ? "block folded" : "block");
  if (isFolded) {
    box.append(card(layer, leavesOf(node)), toggle);
    return box;
  }
  const head = element("div", "block-head");
  head.append(toggle, element("span", "", `${layer.path}`), element("span", "kind", layer.kind));
  const inside = element("div", "block-inside");
  inside.append(...node.children.map(nodeElement), card(layer));
  box.append(head, inside);
  return box;
}

function leavesOf(node) {
  return node.children.length ? node.children.reduce((sum, child) => sum + leavesOf(child), 0) : 1;
}

function toggleBlock(path) {
  if (strip.folded.has(path)) strip.folded.delete(path);
  else strip.folded.add(path);
  const chosen = stage.path;
  drawStrip();
  select(strip.cards.has(chosen) ? chosen : path, stage.way);
  document.querySelector(`[aria-label$=" ${CSS.escape(path)}"].fold`)?.focus();
}

function card(layer, leaves = 0) {
  const name = layer.path ? layer.path.split(".").pop() : "image";
  const one = element("button", "card", null, {
    type: "button",
    "data-path": layer.path,
    "aria-label": `${layer.path || "image"}, ${layer.kind}, ${shapeText(layer.arrays[outputOf(layer)])}`,
  });
  const pictures = element("span", "pictures");
  for (const what of ["forward", "backward"]) pictures.append(element("span", `thumb ${what}`));
  one.append(
    element("span", "name", layer.container && !leaves ? `${name} output` : name),
    element("span", "kind", leaves ? `${layer.kind}, ${leaves} layers` : layer.kind),
    pictures,
    element("span", "shape", shapeText(layer.arrays[outputOf(layer)])),
  );
  one.addEventListener("click", () => select(layer.path, stage.way));
  one.addEventListener("keydown", walkCards);
  strip.cards.set(layer.path, one);
  strip.visible.push(layer);
  observer.observe(one);
  return one;
}

function walkCards(event) {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  event.preventDefault();
  const at = strip.visible.findIndex((layer) => layer.path === event.currentTarget.dataset.path);
  const next = strip.visible[at + step];
  if (next) {
    select(next.path, stage.way);
    strip.cards.get(next.path).focus();
  }
}

/** What a card shows: the output and its gradient; of the image, the image and its gradient. */
const outputOf = (layer) => ("y" in layer.arrays ? "y" : "x");
const gradientOf = (layer) => ("dy" in layer.arrays ? "dy" : "dx");

// --- small maps ---

const THUMBS = 4;
const observer = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) {
      entry.target.inView = entry.isIntersecting;
      if (entry.isIntersecting) drawInTurn(entry.target);
    }
  },
  { rootMargin: "100px 300px" },
);

// One card after the other: a click is answered before the cards that are still to be drawn.
let turn = Promise.resolve();

function drawInTurn(one) {
  const draw = () => one.inView && one.isConnected && attempt(() => drawThumbs(one));
  turn = turn.then(draw).catch((error) => reportError(error));
}

function layerAt(path) {
  return app.state.layers.find((layer) => layer.path === path);
}

async function drawThumbs(one) {
  const version = app.state.version;
  if (one.version === version) return;
  one.version = version;
  const layer = layerAt(one.dataset.path);
  for (const way of ["forward", "backward"]) {
    const what = way === "forward" ? outputOf(layer) : gradientOf(layer);
    const place = one.querySelector(`.thumb.${way}`);
    if (!(what in layer.arrays)) continue;
    const found = await readMaps(layer.path, what, layer.arrays[what], 0, THUMBS);
    if (app.state.version !== version) return;
    place.replaceChildren(...found.maps.map((values) => {
      const canvas = element("canvas", "", null, { "aria-hidden": "true" });
      const { sheet } = found;
      paint(canvas, sheet.length ? values.subarray(0, sheet.length) : values, sheet.height, sheet.width, found.scale);
      const frame = element("span", "thumb-frame");
      frame.append(canvas);
      return frame;
    }));
    place.classList.toggle("vector", Boolean(found.sheet.isVector));
  }
}

/** After a new pass: draw what is in view again. */
function refreshThumbs() {
  for (const one of strip.cards.values()) if (one.inView) drawInTurn(one);
}
