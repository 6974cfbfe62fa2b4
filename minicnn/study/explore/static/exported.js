"use strict";
// The numbers of an exported page: scripts that are loaded when a layer is looked at.

(() => {
  const waiting = new Map(); // by "image-layer": what to do with the script's content
  const loaded = new Map();
  let image = 0;

  window.minicnnLoaded = (number, place, content) => waiting.get(`${number}-${place}`)(content);

  function load(place) {
    const key = `${image}-${place}`;
    if (!loaded.has(key)) {
      loaded.set(key, new Promise((resolve, reject) => {
        waiting.set(key, resolve);
        const script = document.createElement("script");
        script.src = `data/${key}.js`;
        script.onerror = () => reject(new Failure(`data/${key}.js is missing`));
        document.head.append(script);
      }));
    }
    return loaded.get(key);
  }

  async function unpack(text) {
    if (!text) return new ArrayBuffer(0);
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  const state = () => window.minicnnStates[image];
  const layerContent = (path) => load(state().layers.findIndex((layer) => layer.path === path));

  async function array(path, what, first, count) {
    let found = (await layerContent(path)).arrays[what];
    while (found.same) found = (await layerContent(found.same[0])).arrays[found.same[1]];
    found.numbers ??= new Float32Array(await unpack(found.data));
    if (!found.numbers.length) throw new Failure(`${what} of ${path} is too large for this page`);
    if (found.sent.length !== 3) return { ...found, data: found.numbers };
    const size = found.sent[1] * found.sent[2];
    return { ...found, data: found.numbers.subarray(first * size, (first + count) * size) };
  }

  /** The array that x or dy of a layer is. */
  function origin(path, what) {
    let found = [path, what];
    while (state().origins[found[0]]?.[found[1]]) found = state().origins[found[0]][found[1]];
    return found;
  }

  function has(path, what, index) {
    const [place, name] = origin(path, what);
    return Boolean(state().explained[place]?.[name]?.includes(index.join(",")));
  }

  async function explain(path, what, index) {
    const [place, name] = origin(path, what);
    if (!has(path, what, index)) {
      throw new Failure("This static page explains only the cells that have a dot.");
    }
    const content = await layerContent(place);
    content.pages ??= JSON.parse(new TextDecoder().decode(await unpack(content.explanations)));
    return content.pages[`${name}|${index.join(",")}`];
  }

  window.minicnnExport = {
    isLive: false, array, explain, has, origin,
    state: async () => state(),
    picture: () => `data/${image}.png`,
    images: () => window.minicnnStates.map((one) => one.image.text),
    choose: (number) => (image = number),
  };
})();

/** The images of the page, to choose from. */
function exportedImages() {
  const box = $("exported-images");
  const texts = app.source.images();
  box.hidden = texts.length < 2;
  box.replaceChildren(...texts.map((text, i) => {
    const choice = button("", async () => {
      app.source.choose(i);
      await show({ ...(await app.source.state()), version: i + 1 });
    }, "thumbnail", { "aria-label": text });
    choice.append(element("img", "", null, { src: `data/${i}.png`, alt: "" }));
    return choice;
  }));
}
