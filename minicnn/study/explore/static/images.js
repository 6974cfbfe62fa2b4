"use strict";
// The image in view: chosen from the data set, drawn, or dropped; and what the network answers.

function drawPicture() {
  const { image, top, loss, loss_label, loss_name, input, parameters, network } = app.state;
  $("network").textContent = network;
  $("facts").textContent =
    `${input.join(" × ")} → ${count(outputs())} classes · ${count(parameters)} parameters` +
    (app.state.steps ? ` · after ${count(app.state.steps)} ${app.state.steps === 1 ? "step" : "steps"}` : "");
  $("input").src = app.source.picture();
  $("input").alt = `The image: ${image.text}`;
  $("input-text").textContent = image.label === null ? image.text : `${image.text}: ${nameOf(image.label)}`;
  $("loss").replaceChildren("loss ", element("b", "", format(loss), { "data-value": "loss" }), ` for class ${loss_name}`);
  $("answer").replaceChildren(...top.map((one) => answerRow(one, image.label)));
  drawLabels(loss_label);
}

/** The number of classes: that of the outputs, which the loss reads. */
const outputs = () => app.state.layers[app.state.layers.length - 1].arrays.x[1];

const nameOf = (label) => app.state.classes[label] ?? String(label);

function answerRow(one, label) {
  const row = element("li", one.class === label ? "right" : "");
  const bar = element("span", "bar");
  bar.style.width = `${100 * one.p}%`;
  row.append(bar, element("span", "class", one.name), element("span", "number", `${(100 * one.p).toFixed(1)}%`));
  return row;
}

function drawLabels(chosen) {
  const list = $("label");
  if (list.options.length !== outputs()) {
    list.replaceChildren(...Array.from({ length: outputs() }, (_, i) => new Option(nameOf(i), i)));
  }
  list.value = chosen;
}

/** Take the state after a change, and draw everything again. */
async function show(state) {
  if (!state) return;
  app.state = state;
  app.arrays.clear();
  drawPicture();
  refreshThumbs();
  await drawStage();
  if (explanation.trail.length) await attempt(refreshExplanation);
}

const change = (path, parameters, body) => attempt(async () => show(await post(path, parameters, body)));

// --- choosing ---

const PAGE = 24;

function openGallery() {
  const splits = Object.keys(app.state.data.splits);
  if (!splits.length) return tell("there is no data set: drop an image here, or start with --data");
  const dialog = $("dialog");
  dialog.replaceChildren();
  const split = element("select", "", null, { "aria-label": "Part of the data set" });
  for (const name of splits) split.append(new Option(`${app.state.data.name} ${name}`, name));
  const number = element("input", "", null, { type: "number", min: "0", value: "0", "aria-label": "First image" });
  const grid = element("div", "gallery");
  const fill = () => attempt(async () => {
    const found = await askJson("gallery", { split: split.value, first: number.value || 0, count: PAGE });
    number.max = found.count - 1;
    grid.replaceChildren(...found.images.map((one) => galleryImage(one, one.label)));
  });
  const turn = (by) => () => {
    const most = app.state.data.splits[split.value];
    number.value = Math.min(Math.max(0, most - PAGE), Math.max(0, Number(number.value) + by));
    fill();
  };
  const head = element("div", "dialog-head");
  head.append(split, button("‹", turn(-PAGE), "icon", { "aria-label": "Images before" }), number,
    button("›", turn(PAGE), "icon", { "aria-label": "Next images" }),
    button("×", () => dialog.close(), "icon", { "aria-label": "Close" }));
  split.addEventListener("change", () => { number.value = 0; fill(); });
  number.addEventListener("change", fill);
  dialog.append(head, grid);
  dialog.showModal();
  fill();
}

function galleryImage(one, text) {
  const choice = button("", () => {
    $("dialog").close();
    change("choose", { split: one.split, index: one.index });
  }, "thumbnail", { "aria-label": `${one.split} image ${one.index}: ${text}` });
  choice.append(element("img", "", null, { src: app.source.thumbnail(one.split, one.index), alt: "", loading: "lazy" }), element("span", "", text));
  return choice;
}

// --- drawing ---

const SIDE = 28, ZOOM = 10;

function openPad() {
  const dialog = $("dialog");
  const canvas = element("canvas", "pad", null, { width: SIDE * ZOOM, height: SIDE * ZOOM, role: "img", "aria-label": "Pad: draw with the mouse, a pen or a finger" });
  const pen = canvas.getContext("2d", { willReadFrequently: true });
  const clear = () => { pen.fillStyle = "#000"; pen.fillRect(0, 0, canvas.width, canvas.height); };
  clear();
  Object.assign(pen, { lineCap: "round", lineJoin: "round", strokeStyle: "#fff", lineWidth: 2.2 * ZOOM });
  let last = null;
  const at = (event) => {
    const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  };
  const stroke = (event) => {
    if (!last) return;
    const next = at(event);
    pen.beginPath();
    pen.moveTo(...last);
    pen.lineTo(next[0] + 0.01, next[1]);
    pen.stroke();
    last = next;
  };
  canvas.addEventListener("pointerdown", (event) => { canvas.setPointerCapture(event.pointerId); last = at(event); stroke(event); });
  canvas.addEventListener("pointermove", stroke);
  canvas.addEventListener("pointerup", () => { last = null; change("draw", {}, grayOf(pen)); });
  const head = element("div", "dialog-head");
  head.append(element("h2", "", "Draw"), button("Clear", clear), button("×", () => dialog.close(), "icon", { "aria-label": "Close" }));
  dialog.replaceChildren(head, canvas, element("p", "", "28 × 28 pixels, light on dark as in MNIST. The network answers after each stroke."));
  dialog.showModal();
}

/** The drawing in 28 x 28 gray levels: means over ZOOM x ZOOM pixels. */
function grayOf(pen) {
  const { data } = pen.getImageData(0, 0, SIDE * ZOOM, SIDE * ZOOM);
  const gray = new Uint8Array(SIDE * SIDE);
  for (let i = 0; i < gray.length; i++) {
    let sum = 0;
    for (let j = 0; j < ZOOM * ZOOM; j++) {
      const row = Math.floor(i / SIDE) * ZOOM + Math.floor(j / ZOOM), column = (i % SIDE) * ZOOM + (j % ZOOM);
      sum += data[4 * (row * SIDE * ZOOM + column)];
    }
    gray[i] = sum / (ZOOM * ZOOM);
  }
  return gray;
}

// --- files ---

function openFile(file) {
  if (file) change("file", { name: file.name }, file);
}

function acceptDrops() {
  document.addEventListener("dragover", (event) => { event.preventDefault(); document.body.classList.add("dropping"); });
  document.addEventListener("dragleave", () => document.body.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("dropping");
    openFile(event.dataTransfer.files[0]);
  });
}
