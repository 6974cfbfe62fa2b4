"use strict";
// Where the numbers come from: the server, or the files of an exported page (exported.js).

class Failure extends Error {}

async function ask(path, parameters = {}, options = {}) {
  const query = new URLSearchParams(parameters).toString();
  let answer;
  try {
    answer = await fetch(query ? `${path}?${query}` : path, options);
  } catch {
    throw new Failure("the server does not answer: has minicnn explore ended?");
  }
  if (answer.ok) return answer;
  let text = `${answer.status} ${answer.statusText}`;
  try {
    text = (await answer.json()).error || text;
  } catch {
    // the status says what there is to say
  }
  throw new Failure(text);
}

const askJson = async (path, parameters, options) => (await ask(path, parameters, options)).json();
const post = (path, parameters = {}, body = null) => askJson(path, parameters, { method: "POST", body });

async function readArray(answer) {
  const about = JSON.parse(answer.headers.get("X-Array"));
  return { ...about, data: new Float32Array(await answer.arrayBuffer()) };
}

const server = {
  isLive: true,
  state: () => askJson("state"),
  array: async (path, what, first, count) =>
    readArray(await ask("array", { path, what, first, count, v: app.state.version })),
  explain: (path, what, index, view) =>
    askJson("explain", { path, what, index: index.join(","), ...view }),
  look: async (method, class_, layer, unit) =>
    readArray(await ask("look", { method, class: class_, layer, unit })),
  picture: () => `image.png?v=${app.state.version}`,
  thumbnail: (split, index) => `thumbnail/${encodeURIComponent(split)}/${index}.png`,
};

const app = {
  source: window.minicnnExport || server,
  state: null,
  arrays: new Map(), // the answers of `array` for the version in view
};

/** A part of an array; what was asked for before is kept. */
function array(path, what, first = 0, count = 1) {
  const key = [app.state.version, path, what, first, count].join("|");
  if (!app.arrays.has(key)) {
    const found = app.source.array(path, what, first, count);
    found.catch(() => app.arrays.delete(key));
    app.arrays.set(key, found);
    if (app.arrays.size > 400) app.arrays.delete(app.arrays.keys().next().value);
  }
  return app.arrays.get(key);
}

let messageTimer = 0;

function tell(text) {
  $("message").textContent = text;
  $("message").hidden = false;
  clearTimeout(messageTimer);
  messageTimer = setTimeout(() => ($("message").hidden = true), 9000);
}

/** Run something that may fail; the page shows the sentence. */
async function attempt(action) {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    tell(error.message);
    return null;
  }
}
