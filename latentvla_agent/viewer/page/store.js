// What the page knows: the site, scores of agents and single scenes. Files of a site are scripts that call `receive`,
// because a page that is opened from a disk may load nothing else.
"use strict";

const MAX_SCENES = 300; // kept in memory

const store = {
  site: null, // see site_data.describe_site
  tags: new Map(), // by name: which scenes have it, packed
  agents: new Map(), // by number: {score, subScores, collision, ttc, offRoad, error}
  scenes: new Map(), // by number, the least recently asked for first
  pending: new Map(), // by path: {promise, resolve}
};

function receive(kind, key, value) {
  if (kind === "site") {
    store.site = value;
    store.tags = new Map(value.tags);
    start();
    return;
  }
  const decoded = kind === "agent" ? decodeAgent(value) : value;
  const pending = store.pending.get(`${kind} ${key}`);
  if (pending) pending.resolve(decoded);
}

function loadScript(kind, key, path) {
  const name = `${kind} ${key}`;
  if (!store.pending.has(name)) {
    const entry = {};
    entry.promise = new Promise((resolve, reject) => {
      entry.resolve = resolve;
      const script = document.createElement("script");
      script.src = path;
      script.onload = () => { script.remove(); reject(new Error(`${path} holds nothing`)); };
      script.onerror = () => { script.remove(); reject(new Error(`${path} is missing`)); };
      document.head.append(script);
    });
    const forget = () => store.pending.delete(name);
    entry.promise.then(forget, forget);
    store.pending.set(name, entry);
  }
  return store.pending.get(name).promise;
}

async function loadAgent(number) {
  if (!store.agents.has(number)) {
    store.agents.set(number, await loadScript("agent", String(number), store.site.agents[number].file));
  }
  return store.agents.get(number);
}

async function loadScene(number) {
  if (!store.site.drawn) return { problem: store.site.notes.join(" ") };
  const known = store.scenes.get(number);
  if (known) {
    store.scenes.delete(number);
    store.scenes.set(number, known);
    return known;
  }
  let scene;
  try {
    scene = await loadScript("scene", String(number), scenePath(number, "js"));
    if (scene.token !== store.site.tokens[number]) throw new Error(`its file is of scene ${scene.token}`);
  } catch (error) {
    scene = { problem: error.message };
  }
  store.scenes.set(number, scene);
  if (store.scenes.size > MAX_SCENES) store.scenes.delete(store.scenes.keys().next().value);
  return scene;
}

function scenePath(number, suffix) {
  const folder = String(Math.floor(number / store.site.perFolder)).padStart(3, "0");
  return `scenes/${folder}/${number}.${suffix}`;
}

function decodeAgent(packed) {
  return {
    score: decodeNumbers(packed.score),
    subScores: packed.subScores.map(decodeSubScore),
    collision: decodeNumbers(packed.collision),
    ttc: decodeNumbers(packed.ttc),
    offRoad: decodeNumbers(packed.offRoad),
    error: decodeLevels(packed.error),
  };
}

// With the `limit` below which it counts as lost.
function decodeSubScore(column) {
  const values = decodeNumbers(column);
  const is_graded = values.some((value) => !Number.isNaN(value) && !STEPS_OF_OTHERS.includes(value));
  values.limit = is_graded ? LOW_BELOW : LOST_BELOW;
  return values;
}

// Numbers of a column (see columns.py), NaN where there is none.
function decodeNumbers(column) {
  const bytes = decodeBytes(column.data);
  if (column.levels) {
    const levels = column.levels.map((level) => (level === null ? NaN : level));
    return Float32Array.from(bytes, (position) => levels[position]);
  }
  const words = new Uint16Array(bytes.buffer);
  return Float32Array.from(words, (word) => (word === 0xffff ? NaN : word / column.scale));
}

function decodeLevels(column) {
  return Array.from(decodeBytes(column.data), (position) => column.levels[position]);
}

function decodeMembers(text, count) {
  const bytes = decodeBytes(text);
  const members = new Uint8Array(count);
  for (let i = 0; i < count; i += 1) members[i] = (bytes[i >> 3] >> (i & 7)) & 1;
  return members;
}

function decodeBytes(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let i = 0; i < letters.length; i += 1) bytes[i] = letters.charCodeAt(i);
  return bytes;
}
