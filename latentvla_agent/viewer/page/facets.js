// The left pane: what scenes can be filtered by, with how many of those shown have it.
"use strict";

const BINS = 20; // of the histogram of scores

function showFilters() {
  const pane = byId("filters");
  const a = store.agents.get(state.a);
  const parts = [drawHistogram(a), listSubScores(a)];
  if (state.b >= 0) parts.push(listAhead(a, store.agents.get(state.b)));
  parts.push(...listTags());
  const focused = document.activeElement && pane.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  pane.replaceChildren(...parts, el("button", { type: "button", class: "reset", title: "Drop all filters (r)", onclick: () => { resetFilters(); refresh(); } }, "Drop all filters"));
  if (focused) [...pane.querySelectorAll("[data-key]")].find((one) => one.dataset.key === focused)?.focus();
}

function listSubScores(a) {
  const list = el("div", { class: "facet" }, el("h2", {}, "Sub-scores"));
  store.site.columns.forEach((column, i) => {
    const values = a.subScores[i];
    const count = countMatches((scene) => values[scene] < values.limit);
    const loss = values.limit === LOW_BELOW ? `below ${100 * LOW_BELOW}:` : "lost";
    list.append(facetButton({
      key: `column ${i}`,
      label: column.short,
      title: `${column.long}: one click for those that lost it, two for those that kept it`,
      note: state.kept.has(i) ? "kept" : `${loss} ${count.toLocaleString("en")}`,
      share: count,
      pressed: state.lost.has(i) || state.kept.has(i),
      click: () => cycleColumn(i),
    }));
  });
  const failed = countMatches((scene) => a.error[scene] !== null);
  if (failed || state.failed) {
    list.append(facetButton({ key: "failed", label: "failed", note: failed.toLocaleString("en"), share: failed, pressed: state.failed, click: () => { state.failed = !state.failed; } }));
  }
  return list;
}

// Any, lost, kept, any.
function cycleColumn(i) {
  if (state.lost.delete(i)) state.kept.add(i);
  else if (!state.kept.delete(i)) state.lost.add(i);
}

function listAhead(a, b) {
  const names = [["a", `${store.site.agents[state.a].name} ahead`], ["b", `${store.site.agents[state.b].name} ahead`], ["equal", "equal scores"]];
  const list = el("div", { class: "facet" }, el("h2", {}, "Who is ahead"));
  for (const [key, label] of names) {
    const count = countMatches((scene) => tellAhead(a.score[scene] - b.score[scene]) === key);
    list.append(facetButton({ key: `ahead ${key}`, label, note: count.toLocaleString("en"), share: count, pressed: state.ahead === key, click: () => { state.ahead = state.ahead === key ? "" : key; } }));
  }
  return list;
}

// One group per word before the colon; what has none are the tags of the split.
function listTags() {
  const groups = new Map();
  for (const tag of store.tags.keys()) {
    const [group, name] = tag.includes(": ") ? tag.split(/: (.*)/s) : ["tags of the split", tag];
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push([tag, name]);
  }
  return [...groups].sort(([one], [other]) => (one === "tags of the split" ? -1 : other === "tags of the split" ? 1 : 0)).map(([group, tags]) => {
    const list = el("div", { class: "facet" }, el("h2", {}, group[0].toUpperCase() + group.slice(1)));
    for (const [tag, name] of tags) {
      const members = membersOf(tag);
      const count = countMatches((scene) => members[scene]);
      list.append(facetButton({ key: `tag ${tag}`, label: name, note: count.toLocaleString("en"), share: count, pressed: state.tags.has(tag), click: () => { if (!state.tags.delete(tag)) state.tags.add(tag); } }));
    }
    return list;
  });
}

function facetButton({ key, label, title, note, share, pressed, click }) {
  const width = found.matches.length ? (100 * share) / found.matches.length : 0;
  const bar = el("span", { class: "share" });
  bar.style.width = `${width}%`;
  return el(
    "button",
    { type: "button", class: "choice", title, "aria-pressed": String(pressed), "data-key": key, onclick: () => { click(); refresh(); } },
    bar, el("span", { class: "name" }, label), el("span", { class: "count" }, note),
  );
}

function countMatches(test) {
  let count = 0;
  for (const scene of found.matches) if (test(scene)) count += 1;
  return count;
}

// Scenes of the whole split per score, those that match darker; a click on a bar keeps its scores alone.
function drawHistogram(a) {
  const all = countBins(a, a.score.keys());
  const shown = countBins(a, found.matches);
  const top = Math.max(1, ...all);
  const chart = svg("svg", { class: "histogram", viewBox: `0 0 ${BINS * 10} 66`, role: "img", "aria-label": "scenes per score" });
  for (let bin = 0; bin < BINS; bin += 1) {
    const is_in = (bin + 0.5) / BINS > state.low && (bin + 0.5) / BINS < state.high;
    const group = svg("g", { class: is_in ? "bin" : "bin out", color: agentColor(state.a), onclick: () => pickBin(bin) });
    group.append(svg("title", {}, `score ${5 * bin} to ${5 * bin + 5}: ${shown[bin]} shown of ${plural(all[bin], "scene")}`));
    group.append(svg("rect", { class: "hit", x: 10 * bin, y: 0, width: 10, height: 54 }));
    for (const [style, count] of [["all", all[bin]], ["shown", shown[bin]]]) {
      const height = count ? Math.max(1.5, 52 * Math.sqrt(count / top)) : 0;
      group.append(svg("rect", { class: style, x: 10 * bin + 0.5, y: 54 - height, width: 9, height }));
    }
    chart.append(group);
  }
  for (const [x, text, anchor] of [[0, "0", "start"], [BINS * 5, "50", "middle"], [BINS * 10, "100", "end"]]) {
    chart.append(svg("text", { x, y: 64, "text-anchor": anchor }, text));
  }
  const range = state.low > 0 || state.high < 1 ? ` ${Math.round(100 * state.low)} to ${Math.round(100 * state.high)}` : "";
  return el("div", { class: "facet" }, el("h2", { title: "heights go with the root of the count" }, `${store.site.metric} of ${store.site.agents[state.a].name}${range}`), chart);
}

function countBins(a, scenes) {
  const counts = new Array(BINS).fill(0);
  for (const scene of scenes) counts[Math.min(BINS - 1, Math.floor(a.score[scene] * BINS + 1e-6))] += 1;
  return counts;
}

// A click keeps one bar, a click beside the kept ones widens them, a click on the only one brings all back.
function pickBin(bin) {
  const low = bin / BINS;
  const high = (bin + 1) / BINS;
  const only = Math.abs(state.low - low) < 1e-6 && Math.abs(state.high - high) < 1e-6;
  const is_inside = low > state.low - 1e-6 && high < state.high + 1e-6;
  if (only) [state.low, state.high] = [0, 1];
  else if (is_inside) [state.low, state.high] = [low, high];
  else [state.low, state.high] = [Math.min(state.low, low), Math.max(state.high, high)];
  refresh();
}
