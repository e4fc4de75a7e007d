// What is shown, and its way into the address and back: every state has a link.
"use strict";

const LOST_BELOW = 0.99995; // scores are kept to 1/10,000
const LOW_BELOW = 0.8; // of a sub-score that is graded, as ego progress is: hardly ever is it whole
const STEPS_OF_OTHERS = [0, 0.5, 1];

const state = {};

function resetFilters() {
  Object.assign(state, { text: "", lost: new Set(), kept: new Set(), tags: new Set(), ahead: "", low: 0, high: 1, failed: false });
}

function resetState() {
  resetFilters();
  Object.assign(state, { a: 0, b: -1, scene: -1, sort: "score", descending: false, view: "rows", time: 0, problem: "" });
}

// Of a link: "a=ipad&b=human&scene=<token>&lost=DAC,TTC&kept=NC&tag=…&ahead=a&low=0&high=50&find=…&sort=DAC&order=desc".
function writeHash() {
  const parts = new URLSearchParams();
  const { site } = store;
  const put = (name, value) => value !== "" && parts.append(name, value);
  put("a", site.agents[state.a].name);
  if (state.b >= 0) put("b", site.agents[state.b].name);
  if (state.scene >= 0) put("scene", site.tokens[state.scene]);
  put("lost", [...state.lost].map((i) => site.columns[i].short).join(","));
  put("kept", [...state.kept].map((i) => site.columns[i].short).join(","));
  for (const tag of state.tags) put("tag", tag);
  put("ahead", state.ahead);
  if (state.failed) put("failed", "1");
  if (state.low > 0) put("low", String(Math.round(100 * state.low)));
  if (state.high < 1) put("high", String(Math.round(100 * state.high)));
  put("find", state.text);
  if (state.sort !== "score") put("sort", state.sort);
  if (state.descending) put("order", "desc");
  if (state.view !== "rows") put("view", state.view);
  const hash = `#${parts}`;
  if (hash !== location.hash) history.replaceState(null, "", hash);
}

function readHash() {
  resetState();
  const parts = new URLSearchParams(location.hash.slice(1));
  const { site } = store;
  const unknown = [];
  const find = (name, known) => {
    const text = parts.get(name);
    if (text === null) return -1;
    const position = known.indexOf(text);
    if (position < 0) unknown.push(`${name} ${text}`);
    return position;
  };
  const names = site.agents.map((agent) => agent.name);
  state.a = Math.max(0, find("a", names));
  state.b = find("b", names);
  state.scene = find("scene", site.tokens);
  const columns = site.columns.map((column) => column.short);
  for (const name of ["lost", "kept"]) {
    for (const short of (parts.get(name) || "").split(",").filter(Boolean)) {
      if (columns.includes(short)) state[name].add(columns.indexOf(short));
      else unknown.push(`${name} ${short}`);
    }
  }
  for (const tag of parts.getAll("tag")) {
    if (store.tags.has(tag)) state.tags.add(tag);
    else unknown.push(`tag ${tag}`);
  }
  if (["a", "b", "equal"].includes(parts.get("ahead")) && state.b >= 0) state.ahead = parts.get("ahead");
  state.failed = parts.get("failed") === "1";
  state.low = readShare(parts.get("low"), 0);
  state.high = readShare(parts.get("high"), 1);
  state.text = parts.get("find") || "";
  state.sort = listSorts().some((sort) => sort.key === parts.get("sort")) ? parts.get("sort") : "score";
  state.descending = parts.get("order") === "desc";
  state.view = parts.get("view") === "pictures" ? "pictures" : "rows";
  state.problem = unknown.length ? `The link names what is not here: ${unknown.join(", ")}.` : "";
}

function readShare(text, otherwise) {
  const value = text === null ? NaN : Number(text) / 100;
  return value >= 0 && value <= 1 ? value : otherwise;
}
