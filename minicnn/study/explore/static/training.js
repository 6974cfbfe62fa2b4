"use strict";
// One step of SGD on the image in view, and training on the data set with curves that grow.

function field(text, value, attributes = {}) {
  const label = element("label", "field", text);
  const input = element("input", "", null, { type: "number", value, ...attributes });
  label.append(input);
  return { label, input };
}

function buildStep() {
  const panel = $("tool-step");
  const rate = field("Learning rate", "0.01", { min: "0", step: "any", id: "rate" });
  const result = element("div", "step-result", null, { id: "step-result", "aria-live": "polite" });
  const go = button("One step of SGD", () => attempt(async () => {
    const found = await post("step", { lr: rate.input.value });
    drawStep(result, found);
    await show(await app.source.state());
  }), "primary", { id: "step" });
  const restore = button("Restore the weights", () => change("restore").then(() => result.replaceChildren()));
  const row = element("div", "fields");
  row.append(rate.label, go, restore);
  panel.replaceChildren(
    element("p", "", "w ← w − rate · dw, for the image in view. The gradients dw are those that the page shows."), row, result);
}

function drawStep(box, { before, after, steps }) {
  const table = element("table");
  const head = element("tr");
  for (const text of ["", "before", "after", "change"]) head.append(element("th", "", text, { scope: "col" }));
  const loss = element("tr");
  const text = columnFormat([before.loss, after.loss], 7);
  loss.append(element("th", "", `loss for class ${before.loss_name}`, { scope: "row" }));
  for (const value of [before.loss, after.loss, after.loss - before.loss]) {
    loss.append(element("td", "number", text(value)));
  }
  const answer = element("tr");
  answer.append(element("th", "", "most probable class", { scope: "row" }));
  for (const { top } of [before, after]) {
    answer.append(element("td", "number", `${top[0].name} (${(100 * top[0].p).toFixed(1)}%)`));
  }
  table.append(head, loss, answer);
  box.replaceChildren(table, element("p", "", `${count(steps)} ${steps === 1 ? "step" : "steps"} since the weights were loaded.`));
}

// --- training ---

const training = { points: [], last: 0, timer: 0 };

function buildTraining() {
  const panel = $("tool-training");
  const rate = field("Learning rate", "0.02", { min: "0", step: "any" });
  const momentum = field("Momentum", "0.9", { min: "0", max: "0.99", step: "any" });
  const batch = field("Images per step", "32", { min: "1" });
  const speed = field("Steps per second", "10", { min: "0", title: "0: as many as possible" });
  const start = button("Start", () => attempt(async () => {
    const action = training.running ? "pause" : "start";
    const found = await post("training", {
      action, lr: rate.input.value, momentum: momentum.input.value,
      batch: batch.input.value, speed: speed.input.value,
    });
    training.points = found.points;
    training.last = found.last;
    await followTraining(found);
  }), "primary", { id: "train" });
  const restore = button("Restore the weights", () => change("restore").then(() => {
    training.points = [];
    training.last = 0;
    drawCurves();
  }));
  const row = element("div", "fields");
  row.append(rate.label, momentum.label, batch.label, speed.label, start, restore);
  const pictures = element("div", "training-pictures");
  pictures.append(
    figureOf("curves", "Loss of each batch, and the mean of 20", "canvas"),
    figureOf("live-filters", "Filters of the first layer", "div"),
    figureOf("live-gradients", "Their gradients, for the image in view", "div"),
  );
  panel.replaceChildren(
    element("p", "", "SGD on the training images, in random order. All maps and gradients of the page move with it."), row, pictures,
    element("p", "", "", { id: "train-text", "aria-live": "off" }));
  drawCurves();
  drawFilters();
}

function figureOf(id, text, tag) {
  const figure = element("figure");
  figure.append(element(tag, "", null, { id, role: "img", "aria-label": text }), element("figcaption", "", text));
  return figure;
}

async function followTraining(found) {
  training.running = found.running;
  $("train").textContent = found.running ? "Pause" : "Start";
  clearTimeout(training.timer);
  if (found.error) tell(found.error);
  if (found.version !== app.state.version) {
    await show(await app.source.state());
    drawFilters();
  }
  drawCurves();
  if (found.running) training.timer = setTimeout(() => attempt(pollTraining), 250);
}

async function pollTraining() {
  const found = await askJson("training", { since: training.last });
  training.points.push(...found.points);
  training.last = found.last;
  await followTraining(found);
}

/** The first layer with kernels: its weights and their gradients. */
async function drawFilters() {
  const layer = app.state.layers.find((one) => one.parameters.w?.length === 4);
  if (!layer) return;
  for (const [id, what] of [["live-filters", "value.w"], ["live-gradients", "w"]]) {
    const shape = layer.parameters.w;
    if (what === "w" && !layer.arrays.w) continue;
    const found = await readMaps(layer.path, what, shape, 0, FIRST_MAPS);
    const kernels = element("div", "kernels");
    for (const values of found.maps) {
      const canvas = element("canvas", "kernel", null, { "aria-hidden": "true" });
      paint(canvas, values, found.sheet.height, found.sheet.width, found.scale);
      kernels.append(canvas);
    }
    $(id).replaceChildren(kernels, legend(found.scale));
  }
}

function drawCurves() {
  const canvas = $("curves");
  if (!canvas) return;
  const width = 420, height = 200, ratio = devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  const pen = canvas.getContext("2d");
  pen.scale(ratio, ratio);
  const style = getComputedStyle(document.body);
  const ink = style.color, faint = style.getPropertyValue("--line");
  const points = training.points.slice(-2000);
  const losses = points.map((p) => p[1]);
  const high = niceEnd(Math.max(1e-9, ...losses.slice().sort((a, b) => a - b).slice(0, Math.max(1, Math.ceil(0.99 * losses.length)))));
  const left = 44, right = 12, top = 10, bottom = 26;
  const first = points[0]?.[0] ?? 0, last = Math.max(first + 10, points[points.length - 1]?.[0] ?? 10);
  const x = (step) => left + ((step - first) / (last - first)) * (width - left - right);
  const y = (loss) => height - bottom - Math.min(1.02, loss / high) * (height - top - bottom);
  pen.font = `11px ${style.fontFamily}`;
  pen.lineWidth = 1;
  for (let i = 0; i <= 4; i++) {
    const value = (high * i) / 4;
    pen.strokeStyle = faint;
    pen.beginPath();
    pen.moveTo(left, y(value));
    pen.lineTo(width - right, y(value));
    pen.stroke();
    pen.fillStyle = ink;
    pen.textAlign = "right";
    pen.fillText(String(Number(value.toPrecision(3))), left - 6, y(value) + 4);
  }
  pen.textAlign = "left";
  pen.fillText(`step ${first}`, left, height - 8);
  pen.textAlign = "right";
  pen.fillText(`${last}`, width - right, height - 8);
  if (!points.length) return;
  line(pen, points.map((p) => [x(p[0]), y(p[1])]), faint, 1);
  let mean = 0;
  const smooth = points.map((p, i) => {
    const part = losses.slice(Math.max(0, i - 19), i + 1);
    mean = part.reduce((a, b) => a + b, 0) / part.length;
    return [x(p[0]), y(mean)];
  });
  line(pen, smooth, style.getPropertyValue("--accent"), 2);
  const hits = points.slice(-20).reduce((sum, p) => sum + p[2], 0) / Math.min(20, points.length);
  $("train-text").textContent = `step ${count(points[points.length - 1][0])}: mean loss ${format(mean, 3)}, ${(100 * hits).toFixed(1)}% of the images in the last 20 batches right`;
}

function line(pen, points, color, width) {
  pen.strokeStyle = color;
  pen.lineWidth = width;
  pen.beginPath();
  points.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
  pen.stroke();
}

/** The next of 1, 2, 4, 5, 10 times a power of ten. */
function niceEnd(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return power * [1, 2, 4, 5, 10].find((n) => n * power >= value * 0.999);
}
