// What keys do and what lines mean.
"use strict";

const KEYS = [
  ["j  ↓", "next scene"], ["k  ↑", "scene before"], ["Home  End", "first, last scene"],
  ["←  →", "0.1 s back, on"], ["space", "play the scored four seconds"],
  ["s", "swap the agents"], ["g", "rows or pictures"], ["p  h", "proposals, human's path on or off"],
  ["/", "find a token or a log"], ["r", "drop all filters"], ["?", "this page"],
];
const LINES = [
  ["side", "planned path, a dot every 0.5 s"], ["simulated", "path that the scorer simulates of it"], ["proposal", "a proposal that was not chosen; the stronger, the better the planner thought of it"],
  ["human", "human"], ["reference", "reference plan (PDM-Closed)"], ["future vehicle", "way of a road user in the 4 s"], ["center", "centreline of the route"],
];
const AREAS = [
  ["ego own", "ego, at the time of the slider"], ["moment", "ego at its first infraction"], ["vehicle", "vehicle"], ["pedestrian", "pedestrian"], ["bicycle", "bicycle"],
  ["object", "other object"], ["route", "lanes of the route"], ["lane", "lane"], ["crossing", "intersection"], ["carpark", "car park"],
];

function openHelp() {
  const dialog = byId("help");
  const sample = (style, data) => svg("svg", { class: "bev key", viewBox: "0 0 34 18", color: agentColor(state.a), "aria-hidden": "true" }, svg("path", { class: style, d: data }));
  dialog.replaceChildren(
    el("form", { method: "dialog" }, el("button", { class: "close", title: "Close (Esc)" }, "Close")),
    el("h2", {}, "Keys"),
    el("dl", { class: "keys" }, ...KEYS.flatMap(([key, text]) => [el("dt", {}, el("kbd", {}, key)), el("dd", {}, text)])),
    el("h2", {}, "Lines and colours"),
    el("p", { class: "soft" }, "The ego drives upwards; paths are those of its rear axle. The front camera shows the planned path as a strip on the road, with a ring at the first infraction."),
    el("ul", { class: "legend" }, ...LINES.map(([style, text]) => el("li", {}, sample(style, "M2,9 32,9"), text)), ...AREAS.map(([style, text]) => el("li", {}, sample(style, "M8,3h18v12h-18z"), text))),
    el("h2", {}, "Numbers"),
    el("p", { class: "soft" }, `Scores are times 100, to 1/100. A failed scene counts 0. Of a sub-score, “lost” means below 100, and below ${100 * LOW_BELOW} where it is graded, as ego progress is. Times are those of the scorer's simulation, at 10 Hz.`),
  );
  dialog.showModal();
}
