// Starts the page, and brings state, list and card together.
"use strict";

let list = null;

async function start() {
  const { site } = store;
  document.title = site.title;
  byId("title").textContent = site.title;
  byId("facts").textContent = `${site.facts}, ${plural(site.tokens.length, "scene")} of ${plural(site.logs.length, "log")}`;
  list = new VirtualList(byId("list"), makeItem);
  readHash();
  listenToControls();
  document.addEventListener("keydown", onKey);
  window.addEventListener("hashchange", () => { readHash(); refresh(); });
  await refresh();
  document.documentElement.dataset.ready = "1";
}

// The file that starts the page is the last one that is written.
window.addEventListener("load", () => {
  if (!store.site) byId("title").textContent = "This site is not finished. The command latentvla show makes it.";
});

// Everything anew: after another agent, filter or order.
async function refresh() {
  const wanted = [state.a, state.b].filter((number) => number >= 0);
  try {
    await Promise.all(wanted.map(loadAgent));
  } catch (error) {
    state.problem = `Scores cannot be shown: ${error.message}.`;
    showNotes();
    return;
  }
  findMatches();
  const is_there = found.matches.includes(state.scene);
  if (!is_there) state.scene = found.matches.length ? found.matches[0] : -1;
  showControls();
  showNotes();
  showFilters();
  showStatus();
  list.setItems(found.matches);
  if (state.scene >= 0) list.reveal(found.matches.indexOf(state.scene));
  writeHash();
  await showCard();
}

// The pictures anew: after another choice of what they show.
function redraw() {
  if (state.view === "pictures") list.redraw();
  return showCard();
}

function selectScene(scene) {
  if (scene === state.scene) return;
  state.scene = scene;
  state.time = 0;
  list.reveal(found.matches.indexOf(scene));
  list.mark(scene);
  byId("list").setAttribute("aria-activedescendant", `item-${scene}`);
  writeHash();
  showCard();
}

function listenToControls() {
  byId("agent-a").addEventListener("change", (event) => chooseAgents(Number(event.target.value), state.b));
  byId("agent-b").addEventListener("change", (event) => chooseAgents(state.a, Number(event.target.value)));
  byId("swap").addEventListener("click", swapAgents);
  byId("help-button").addEventListener("click", openHelp);
  byId("search").addEventListener("input", (event) => { state.text = event.target.value; refresh(); });
  byId("sort").addEventListener("change", (event) => { state.sort = event.target.value; refresh(); });
  byId("direction").addEventListener("click", () => { state.descending = !state.descending; refresh(); });
  byId("view").addEventListener("click", switchView);
}

function chooseAgents(a, b) {
  state.a = a;
  state.b = a === b ? -1 : b;
  if (state.b < 0) {
    state.ahead = "";
    if (["difference", "score-b"].includes(state.sort)) state.sort = "score";
  }
  refresh();
}

function swapAgents() {
  if (state.b >= 0) chooseAgents(state.b, state.a);
}

function switchView() {
  state.view = state.view === "rows" ? "pictures" : "rows";
  refresh();
}

function showControls() {
  const { agents } = store.site;
  const options = (chosen) => agents.map((agent, i) => el("option", { value: i, selected: i === chosen }, `${agent.name} (${percent(agent.mean ?? NaN)})`));
  byId("agent-a").replaceChildren(...options(state.a));
  byId("agent-b").replaceChildren(el("option", { value: -1, selected: state.b < 0 }, "nobody"), ...options(state.b).filter((_, i) => i !== state.a));
  byId("agent-a").style.setProperty("--agent", agentColor(state.a));
  byId("agent-b").style.setProperty("--agent", state.b < 0 ? "var(--line)" : agentColor(state.b));
  byId("swap").disabled = state.b < 0;
  byId("sort").replaceChildren(...listSorts().map((sort) => el("option", { value: sort.key, selected: sort.key === state.sort }, sort.label)));
  byId("direction").textContent = state.descending ? "highest first" : "lowest first";
  byId("view").textContent = state.view === "rows" ? "Pictures" : "Rows";
  if (byId("search").value !== state.text) byId("search").value = state.text;
}

function showNotes() {
  const notes = [...store.site.notes, ...(state.problem ? [state.problem] : [])];
  byId("notes").hidden = notes.length === 0;
  byId("notes").textContent = notes.join(" ");
}

// In words, what the list holds and what it is worth.
function showStatus() {
  const { site } = store;
  const count = found.matches.length;
  const said = [`${count.toLocaleString("en")} of ${plural(site.tokens.length, "scene")}`];
  const conditions = listConditions();
  if (conditions.length) said[0] += ` with ${conditions.join(", ")}`;
  const means = shownAgents().map((agent) => [agent.name, meanScore(agent.data, found.matches)]);
  if (count) {
    said.push(`mean ${site.metric} there: ${means.map(([name, mean]) => `${name} ${percent(mean)}`).join(", ")}`);
    if (means.length === 2) said.push(`difference ${points(means[0][1] - means[1][1])}`);
  }
  byId("status").textContent = `${said.join("; ")}.`;
}

function listConditions() {
  const { columns, agents } = store.site;
  const name = agents[state.a].name;
  const parts = [...state.lost].map((i) => `${columns[i].short} lost by ${name}`);
  parts.push(...[...state.kept].map((i) => `${columns[i].short} kept by ${name}`), ...state.tags);
  if (state.low > 0 || state.high < 1) parts.push(`a score of ${Math.round(100 * state.low)} to ${Math.round(100 * state.high)}`);
  if (state.ahead) parts.push(state.ahead === "equal" ? "equal scores" : `${agents[state.ahead === "a" ? state.a : state.b].name} ahead`);
  if (state.failed) parts.push(`${name} failed`);
  if (state.text) parts.push(`“${state.text}”`);
  return parts;
}

function step(by) {
  const position = found.matches.indexOf(state.scene);
  const next = Math.min(found.matches.length - 1, Math.max(0, position + by));
  if (found.matches.length) selectScene(found.matches[next]);
}

function moveTime(by) {
  const slider = byId("time");
  if (!slider) return;
  slider.value = Number(slider.value) + by;
  slider.dispatchEvent(new Event("input"));
}

function toggle(choice) {
  CHOSEN[choice] = !CHOSEN[choice];
  redraw();
}

const ACTIONS = {
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  Home: () => step(-Infinity), End: () => step(Infinity),
  ArrowLeft: () => moveTime(-1), ArrowRight: () => moveTime(1), " ": () => byId("play")?.click(),
  s: swapAgents, g: switchView, p: () => toggle("proposals"), h: () => toggle("human"),
  "/": () => byId("search").focus(), r: () => { resetFilters(); refresh(); }, "?": openHelp,
};

function onKey(event) {
  const { target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || byId("help").open) return;
  if (target.matches("input[type=search]")) {
    if (event.key === "Escape" || event.key === "Enter") byId("list").focus();
    return;
  }
  if (target.matches("select") || (target.matches("button, input[type=checkbox]") && event.key === " ")) return;
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}
