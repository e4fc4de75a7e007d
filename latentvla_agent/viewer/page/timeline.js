// The four seconds that are scored: where infractions begin, and a slider that moves everything.
"use strict";

const PLAY_MS = 100; // between two steps while it plays: as fast as it was

const player = { timer: 0 };

// `setTime(time)` is called whenever the time has changed.
function drawTimeline(agents, scene, setTime) {
  const { steps, stepSeconds } = store.site;
  const slider = el("input", { type: "range", id: "time", min: 0, max: steps, step: 1, value: Math.round(state.time / stepSeconds), "aria-label": "time in the scene" });
  const clock = el("output", { class: "clock" });
  const show = () => {
    state.time = Number(slider.value) * stepSeconds;
    clock.textContent = `${state.time.toFixed(1)} s`;
    setTime(state.time);
  };
  slider.addEventListener("input", () => { stopPlaying(); show(); });
  const play = el("button", { type: "button", id: "play", title: "Play (space)", "aria-label": "play", onclick: () => togglePlaying(slider, show) }, "▶");
  const lanes = agents.map((agent) => drawLane(agent, scene, (step) => { stopPlaying(); slider.value = step; show(); }));
  const scale = el("div", { class: "scale-line", "aria-hidden": "true" });
  for (let second = 0; second <= steps * stepSeconds; second += 1) {
    const tick = el("span", {}, `${second} s`);
    tick.style.left = `${(100 * second) / (steps * stepSeconds)}%`;
    scale.append(tick);
  }
  show();
  return el("div", { class: "timeline" }, el("div", { class: "controls" }, play, slider, clock), el("div", { class: "lanes" }, ...lanes, scale));
}

// A line of an agent with its infractions; a click on one goes to its moment.
function drawLane(agent, scene, goTo) {
  const lane = el("div", { class: "lane-line", color: agentColor(agent.number) });
  const said = [];
  for (const kind of KINDS) {
    const step = agent.data[kind.key][scene];
    if (Number.isNaN(step)) continue;
    const text = `${kind.label} ${seconds(step)}`;
    said.push(text);
    const mark = el("button", { type: "button", class: `mark ${kind.style}`, title: `${text}: show`, "aria-label": text, onclick: () => goTo(step) });
    mark.style.left = `${(100 * step) / store.site.steps}%`;
    lane.append(mark);
  }
  return el("div", { class: "lane-row" }, lane, el("span", { class: "soft" }, said.length ? said.join(", ") : "no infraction"));
}

function togglePlaying(slider, show) {
  if (player.timer) {
    stopPlaying();
    return;
  }
  if (Number(slider.value) >= store.site.steps) slider.value = 0;
  player.timer = setInterval(() => {
    slider.value = Number(slider.value) + 1;
    show();
    if (Number(slider.value) >= store.site.steps) stopPlaying();
  }, PLAY_MS);
  byId("play").textContent = "⏸";
}

function stopPlaying() {
  clearInterval(player.timer);
  player.timer = 0;
  const button = byId("play");
  if (button) button.textContent = "▶";
}
