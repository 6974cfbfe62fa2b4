"use strict";
// The start of the page: events, keys, and the first state.

const BUILD = { step: buildStep, training: buildTraining, look: buildLook, wrong: buildWrong };

function chooseTool(name) {
  for (const one of Object.keys(BUILD)) {
    $(`tab-${one}`).setAttribute("aria-selected", String(one === name));
    $(`tab-${one}`).tabIndex = one === name ? 0 : -1;
    $(`tool-${one}`).hidden = one !== name;
  }
  if (!$(`tool-${name}`).hasChildNodes()) BUILD[name]();
}

function connectTools() {
  const names = Object.keys(BUILD);
  names.forEach((name, i) => {
    $(`tab-${name}`).addEventListener("click", () => chooseTool(name));
    $(`tab-${name}`).addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      const next = names[(i + step + names.length) % names.length];
      chooseTool(next);
      $(`tab-${next}`).focus();
    });
  });
  chooseTool("step");
}

function connect() {
  $("slider").addEventListener("input", (event) => slide(Number(event.target.value)));
  $("play").addEventListener("click", play);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !$("dialog").open) closeExplanation();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    for (const one of strip.cards.values()) one.version = null;
    refreshThumbs();
    drawStage();
  });
  if (!app.source.isLive) return;
  $("open-gallery").addEventListener("click", openGallery);
  $("open-pad").addEventListener("click", openPad);
  $("file").addEventListener("change", (event) => {
    openFile(event.target.files[0]);
    event.target.value = "";
  });
  $("file").parentElement.addEventListener("keydown", (event) => {
    if (event.key === "Enter" || event.key === " ") $("file").click();
  });
  $("label").addEventListener("change", (event) => change("label", { label: event.target.value }));
  acceptDrops();
}

async function start() {
  connect();
  app.state = await app.source.state();
  document.title = `${app.state.network} – minicnn`;
  if (!app.source.isLive) {
    document.body.classList.add("exported");
    exportedImages();
  }
  drawPicture();
  buildStrip();
  await select(strip.visible[1].path);
  if (app.source.isLive) connectTools();
  document.body.dataset.ready = "true";
}

attempt(start);
