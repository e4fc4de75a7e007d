// Which scenes match, and in what order.
"use strict";

const TIE = 5e-5; // scores that differ by less are equal

const found = { matches: [], members: new Map(), lowered: null };

function listSorts() {
  const sorts = [{ key: "score", label: "score" }];
  if (state.b >= 0) sorts.push({ key: "difference", label: "difference of scores" }, { key: "score-b", label: "score of the other" });
  for (const column of store.site.columns) sorts.push({ key: column.short, label: column.long });
  sorts.push({ key: "infraction", label: "time of the first infraction" }, { key: "order", label: "log and time" });
  return sorts;
}

function membersOf(tag) {
  if (!found.members.has(tag)) found.members.set(tag, decodeMembers(store.tags.get(tag), store.site.tokens.length));
  return found.members.get(tag);
}

// Fill `found.matches`; scores of both agents must have been loaded.
function findMatches() {
  const { site } = store;
  const a = store.agents.get(state.a);
  const b = state.b >= 0 ? store.agents.get(state.b) : null;
  const tags = [...state.tags].map(membersOf);
  const lost = [...state.lost].map((i) => a.subScores[i]);
  const kept = [...state.kept].map((i) => a.subScores[i]);
  const text = state.text.trim().toLowerCase();
  const logs = decodeLogs();
  const matches = [];
  for (let i = 0; i < site.tokens.length; i += 1) {
    if (a.score[i] < state.low - TIE || a.score[i] > state.high + TIE) continue;
    if (state.failed && a.error[i] === null) continue;
    if (!tags.every((members) => members[i])) continue;
    if (!lost.every((column) => column[i] < column.limit) || !kept.every((column) => column[i] >= column.limit)) continue;
    if (b && state.ahead && tellAhead(a.score[i] - b.score[i]) !== state.ahead) continue;
    if (text && !site.tokens[i].toLowerCase().includes(text) && !site.logs[logs[i]].toLowerCase().includes(text)) continue;
    matches.push(i);
  }
  found.matches = sortMatches(matches, a, b);
}

function tellAhead(difference) {
  return Math.abs(difference) < TIE ? "equal" : difference > 0 ? "a" : "b";
}

function decodeLogs() {
  if (!found.lowered) found.lowered = decodeNumbers(store.site.logOf);
  return found.lowered;
}

// Scenes without the value come last either way; equal ones stay in the order of logs and time.
function sortMatches(matches, a, b) {
  const value = sortValue(a, b);
  const sign = state.descending ? -1 : 1;
  const keys = new Float64Array(store.site.tokens.length);
  for (const i of matches) {
    const own = value(i);
    keys[i] = Number.isNaN(own) ? Infinity : sign * own;
  }
  return matches.sort((i, j) => (keys[i] < keys[j] ? -1 : keys[i] > keys[j] ? 1 : i - j));
}

function sortValue(a, b) {
  if (state.sort === "order") return (i) => i;
  if (state.sort === "infraction") return (i) => firstInfraction(a, i).step;
  if (state.sort === "difference" && b) return (i) => a.score[i] - b.score[i];
  if (state.sort === "score-b" && b) return (i) => b.score[i];
  const column = store.site.columns.findIndex((one) => one.short === state.sort);
  return column < 0 ? (i) => a.score[i] : (i) => a.subScores[column][i];
}

const KINDS = [
  { key: "collision", label: "collision", style: "collision" },
  { key: "ttc", label: "TTC", style: "ttc" },
  { key: "offRoad", label: "off road", style: "off_road" },
];

// The earliest of the infractions of an agent in a scene: {step, kind}, step NaN for none.
function firstInfraction(agent, scene) {
  let first = { step: NaN, kind: null };
  for (const kind of KINDS) {
    const step = agent[kind.key][scene];
    if (!Number.isNaN(step) && !(step >= first.step)) first = { step, kind };
  }
  return first;
}

// Numbers of the columns in which an agent lost something in a scene.
function lostColumns(agent, scene) {
  return agent.subScores.flatMap((column, i) => (column[scene] < column.limit ? [i] : []));
}

function meanScore(agent, scenes) {
  let sum = 0;
  for (const scene of scenes) sum += agent.score[scene];
  return scenes.length ? sum / scenes.length : NaN;
}
