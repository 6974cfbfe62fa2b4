"use strict";
// What matters in the image for a class.

const METHODS = {
  saliency: ["Saliency", "How much each pixel changes the score of the class: the largest |dS/dx| of its channels (Simonyan et al. 2013)."],
  guided_backprop: ["Guided backpropagation", "The gradient of the score, without the paths that lower it (Springenberg et al. 2014)."],
  grad_cam: ["Grad-CAM", "The last maps, weighted by what they do for the class (Selvaraju et al. 2017)."],
  occlusion: ["Occlusion", "How far the probability of the class falls if a square is covered (Zeiler and Fergus 2013)."],
  deconvnet: ["Deconvnet", "The pattern that caused the activation of one map of the layer in view (Zeiler and Fergus 2013)."],
};

function buildLook() {
  const panel = $("tool-look");
  const method = element("select", "", null, { id: "method" });
  for (const [value, [name]] of Object.entries(METHODS)) method.append(new Option(name, value));
  const label = element("label", "field", "Method");
  label.append(method);
  const class_ = element("label", "field", "Class");
  const classes = element("select", "", null, { id: "look-class" });
  classes.append(new Option("the most probable", -1));
  for (let i = 0; i < outputs(); i++) classes.append(new Option(nameOf(i), i));
  class_.append(classes);
  const unit = field("Map", "0", { min: "0" });
  unit.label.hidden = true;
  const text = element("p", "", METHODS.saliency[1]);
  const result = element("div", "look-result", null, { id: "look-result" });
  const go = button("Show", () => attempt(() => look(result, method.value, classes.value, unit.input.value)), "primary", { id: "look" });
  method.addEventListener("change", () => {
    text.textContent = METHODS[method.value][1];
    unit.label.hidden = method.value !== "deconvnet";
    class_.hidden = method.value === "deconvnet";
  });
  const row = element("div", "fields");
  row.append(label, class_, unit.label, go);
  panel.replaceChildren(row, text, result);
}

async function look(box, method, class_, unit) {
  box.setAttribute("aria-busy", "true");
  try {
    const found = await app.source.look(method, class_, stage.path, unit);
    drawLook(box, found, METHODS[method][0]);
  } finally {
    box.removeAttribute("aria-busy");
  }
}

function drawLook(box, found, name) {
  const [height, width, channels = 1] = found.sent;
  const isColor = channels === 3;
  const canvas = element("canvas", "", null, { role: "img", "aria-label": `${name}: ${found.text}` });
  const scale = scaleOf(found.low, found.high, isColor || found.low < 0, found.peak);
  if (isColor) paintColor(canvas, found, height, width, scale.high);
  else paint(canvas, found.data, height, width, scale);
  const input = element("img", "", null, { src: app.source.picture(), alt: "The image" });
  const side = 224 / Math.max(height, width);
  for (const one of [input, canvas]) {
    one.style.width = `${width * side}px`;
    one.style.height = `${height * side}px`;
  }
  const over = element("figure", "over");
  const behind = input.cloneNode(), veil = canvas.cloneNode();
  veil.getContext("2d").drawImage(canvas, 0, 0);
  over.append(behind, veil, element("figcaption", "", "both"));
  const left = element("figure"), right = element("figure");
  left.append(input, element("figcaption", "", "the image"));
  right.append(canvas, element("figcaption", "", found.text));
  const end = isColor ? element("p", "legend-text", `colors from ${format(scale.low, 3)} to ${format(scale.high, 3)}; gray is 0`) : legend(scale);
  box.replaceChildren(left, right, over, end);
}

/** Three channels of signed numbers as colors around gray. */
function paintColor(canvas, found, height, width, most) {
  [canvas.height, canvas.width] = [height, width];
  const context = canvas.getContext("2d"), image = context.createImageData(width, height);
  for (let i = 0; i < height * width; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = 127.5 * (1 + found.data[3 * i + c] / most);
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
}
