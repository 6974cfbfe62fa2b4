"use strict";
// The layer in view: its activations on one side, its gradients on the other; and the slider.

const stage = { path: null, way: "forward", chosen: { forward: null, backward: null } };

/** The place of a layer on the slider: forward from left to right, then backward. */
function sliderPlace(path, way) {
  const at = strip.visible.findIndex((layer) => layer.path === path);
  return way === "forward" ? at : 2 * strip.visible.length - 1 - at;
}

function slide(place) {
  const n = strip.visible.length;
  const way = place < n ? "forward" : "backward";
  stage.chosen = { forward: null, backward: null };
  select(strip.visible[way === "forward" ? place : 2 * n - 1 - place].path, way);
}

/** Show a layer. */
function select(path, way = "forward") {
  if (!strip.cards.has(path)) unfoldTo(path);
  const changed = stage.path !== path;
  if (changed) stage.chosen = { forward: null, backward: null };
  [stage.path, stage.way] = [path, way];
  const place = sliderPlace(path, way);
  $("slider").value = place;
  const layer = layerAt(path);
  $("position").textContent = path ? `${way} through ${path}` : "the image";
  $("slider").setAttribute("aria-valuetext", $("position").textContent);
  const at = strip.visible.findIndex((one) => one.path === path);
  strip.visible.forEach((one, i) => {
    const element = strip.cards.get(one.path);
    element.classList.toggle("chosen", one.path === path);
    element.setAttribute("aria-current", one.path === path ? "true" : "false");
    element.classList.toggle("ahead-forward", way === "forward" && i > at);
    element.classList.toggle("ahead-backward", way === "forward" || i < at);
  });
  keepInView(strip.cards.get(path));
  return drawStage();
}

function keepInView(one) {
  const box = $("strip").getBoundingClientRect(), own = one.getBoundingClientRect();
  if (own.left < box.left || own.right > box.right) {
    $("strip").scrollLeft += own.left - box.left - (box.width - own.width) / 2;
  }
}

function unfoldTo(path) {
  const parts = path.split(".");
  while (parts.length > 1) {
    parts.pop();
    strip.folded.delete(parts.join("."));
  }
  drawStrip();
}

/** The arrays that a side can show; weights on the left, their gradients on the right. */
function choices(layer, side) {
  const parameters = Object.keys(side === "forward" ? layer.parameters : layer.arrays).filter(
    (name) => !isActivation(name),
  );
  const prefix = side === "forward" ? "value." : "";
  const own = Object.keys(layer.arrays).filter(
    (name) => isActivation(name) && name.startsWith("d") === (side === "backward"),
  );
  own.sort((a, b) => b.includes("y") - a.includes("y")); // y before x
  return [...own, ...parameters.map((name) => prefix + name)];
}

function drawStage() {
  const layer = layerAt(stage.path);
  const shown = [];
  for (const side of ["forward", "backward"]) {
    const panel = $(side), all = choices(layer, side);
    const natural = stage.way === "forward" ? 0 : Math.min(1, all.length - 1);
    const what = all.includes(stage.chosen[side]) ? stage.chosen[side] : all[natural];
    const tabs = element("div", "choices", null, { role: "group", "aria-label": "Array" });
    for (const one of all) {
      tabs.append(button(nameIn(one), () => chooseArray(side, one), "", { "aria-pressed": String(one === what) }));
    }
    const head = element("header");
    const title = element("h3", "", side === "forward" ? "Activations" : "Gradients");
    head.append(title, tabs);
    const grid = panel.querySelector(".maps") || element("div", "maps");
    if (!what) {
      panel.replaceChildren(head, element("p", "", "Backward computes no gradient here."));
      continue;
    }
    const shape = what.startsWith("value.") ? layer.parameters[what.slice(6)] : layer.arrays[what];
    title.textContent = titleOf(what);
    title.append(element("span", "shape", shapeText(shape)));
    panel.replaceChildren(head, element("div", "legend"), grid);
    shown.push(attempt(() => showMaps(panel, layer, what)));
  }
  drawAbout(layer);
  return Promise.all(shown);
}

function drawAbout(layer) {
  const facts = [layer.path || "image", layer.kind];
  for (const [name, text] of Object.entries(layer.columns)) {
    if (text && !(name === "padding" && text === "0")) facts.push(name === "note" ? text : `${name} ${text}`);
  }
  $("hover").textContent = facts.join(" · ");
}

function chooseArray(side, what) {
  stage.chosen[side] = what;
  // What belongs together stands side by side: x and dx, y and dy, w and its gradient.
  const other = side === "forward" ? "backward" : "forward";
  const partner = side === "forward"
    ? (isActivation(what) ? `d${what}` : what.replace("value.", ""))
    : (isActivation(what) ? what.slice(1) : `value.${what}`);
  if (choices(layerAt(stage.path), other).includes(partner)) stage.chosen[other] = partner;
  drawStage().then(() => $(side).querySelector('[aria-pressed="true"]')?.focus());
}

// --- playing the pass ---

let playing = 0;

function play() {
  if (playing) {
    clearInterval(playing);
    playing = 0;
  } else {
    const slider = $("slider");
    if (Number(slider.value) >= Number(slider.max)) slide(0);
    playing = setInterval(() => {
      const next = Number(slider.value) + 1;
      if (next > Number(slider.max)) play();
      else slide(next);
    }, 900);
  }
  $("play").textContent = playing ? "\u23f8" : "\u25b6";
  $("play").setAttribute("aria-label", playing ? "Pause" : "Play the pass");
}
