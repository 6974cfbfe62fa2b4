"use strict";
// The images that the network got wrong.

function buildWrong() {
  const panel = $("tool-wrong");
  const splits = Object.keys(app.state.data.splits);
  if (!splits.length) {
    panel.replaceChildren(element("p", "", "There is no data set: start minicnn explore with --data."));
    return;
  }
  const split = element("select", "", null, { "aria-label": "Part of the data set" });
  for (const name of splits) split.append(new Option(`${app.state.data.name} ${name}`, name));
  const result = element("div", "", null, { id: "wrong-result" });
  const go = button("Find mistakes", () => attempt(async () => {
    result.setAttribute("aria-busy", "true");
    try {
      drawWrong(result, await askJson("gallery", { split: split.value, wrong: 1 }));
    } finally {
      result.removeAttribute("aria-busy");
    }
  }), "primary", { id: "find-wrong" });
  const row = element("div", "fields");
  row.append(split, go);
  panel.replaceChildren(row, result);
}

function drawWrong(box, found) {
  const rate = (100 * found.count) / found.tested;
  const text = `${count(found.count)} of ${count(found.tested)} images wrong (${rate.toFixed(2)}%); the most confident mistakes first.`;
  const grid = element("div", "gallery");
  for (const one of found.images) {
    grid.append(galleryImage(one, `${one.label}, not ${one.guess} (${(100 * one.p).toFixed(0)}%)`));
  }
  box.replaceChildren(element("p", "", text), grid);
}
