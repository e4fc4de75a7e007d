// A scene from above: metres, the ego's rear axle at (0, 0) when the agent plans, its nose up.
"use strict";

const SHARE_AHEAD = 0.68; // of the height lies ahead of the ego, as in reports
const CHOSEN = { proposals: true, human: true, reference: false, simulated: true };

// `agents` as of shownAgents(); `scene` its number. Small pictures have neither labels nor motion.
function drawBev(sketch, agents, { scene, is_small = false }) {
  const { size } = sketch;
  const picture = svg("svg", { class: "bev", viewBox: viewBox(size), role: "img", "aria-label": describeBev(sketch, agents, scene) });
  for (const [style, data] of sketch.map) picture.append(svg("path", { class: style, d: data }));
  const movers = sketch.tracks.map((track) => drawTrack(track, picture));
  if (CHOSEN.reference && sketch.reference.length && !is_small) picture.append(drawLine("reference", posesOf(sketch.reference)));
  if (CHOSEN.human) picture.append(drawLine("human", humanLine(sketch)));
  const egos = [];
  for (const agent of agents) {
    const plan = findPlan(sketch, agent.name);
    if (plan) picture.append(drawAgent(plan, agent, scene, is_small, egos));
  }
  if (!egos.length) picture.append(svg("path", { class: "ego", d: egoBox() }));
  if (!is_small) picture.append(drawScale(size));
  picture.setTime = (time) => {
    for (const move of movers) move(time);
    for (const move of egos) move(time);
  };
  picture.setTime(is_small ? 0 : state.time);
  return picture;
}

function describeBev(sketch, agents, scene) {
  return `scene ${store.site.tokens[scene]} from above: ${agents.map((agent) => agent.name).join(" and ")}, ${plural(sketch.tracks.length, "road user")}`;
}

function viewBox(size) {
  return `${-size / 2} ${-size * SHARE_AHEAD} ${size} ${size}`;
}

function place(pose) {
  return `${(-pose.y).toFixed(2)},${(-pose.x).toFixed(2)}`;
}

function drawLine(style, poses) {
  return svg("path", { class: style, d: `M${poses.map(place).join(" ")}` });
}

function moveTo(element, pose) {
  element.style.display = pose ? "" : "none";
  if (pose) element.setAttribute("transform", `translate(${place(pose)}) rotate(${((-180 / Math.PI) * pose.heading).toFixed(2)})`);
}

// The box of a road user and, where it moves, its way; returns what moves it.
function drawTrack(track, picture) {
  if (track.first !== undefined) {
    const way = posesOf(track.poses).filter(Boolean);
    const length = Math.hypot(way[way.length - 1].x - way[0].x, way[way.length - 1].y - way[0].y);
    if (length > 0.5) picture.append(drawLine(`future ${track.style}`, way));
  }
  const [length, width] = track.size.map((value) => value / 100);
  const box = svg("path", { class: track.style, d: `M${-width / 2},${-length / 2}h${width}v${length}h${-width}Z` });
  picture.append(box);
  return (time) => moveTo(box, trackAt(track, time));
}

function egoBox() {
  const [front, rear, width] = store.site.ego;
  return `M${-width / 2},${-front}h${width}v${front + rear}h${-width}Z`;
}

function drawAgent(plan, agent, scene, is_small, egos) {
  const group = svg("g", { color: agentColor(agent.number) });
  if (CHOSEN.proposals && plan.proposals) group.append(drawProposals(plan));
  const simulated = posesOf(plan.simulated);
  if (CHOSEN.simulated && !is_small) group.append(drawLine("simulated", simulated));
  group.append(drawLine("side", planLine(plan)));
  group.append(svg("path", { class: "side-poses", d: planDots(plan).map((pose) => `M${place(pose)}h0`).join("") }));
  const ego = svg("path", { class: "ego own", d: egoBox() });
  group.append(ego);
  egos.push((time) => moveTo(ego, poseAt(simulated, time, store.site.stepSeconds)));
  const infraction = firstInfraction(agent.data, scene);
  if (infraction.kind) group.append(drawMoment(simulated, infraction, is_small));
  return group;
}

// The better the planner thinks of a proposal, the stronger its line; its score shows under the pointer.
function drawProposals(plan) {
  const group = svg("g", { class: "proposals" });
  const order = plan.proposalScores.map((score, index) => [score, index]).sort((one, other) => one[0] - other[0]);
  for (const [score, index] of order) {
    const line = drawLine("proposal", [ORIGIN, ...posesOf(plan.proposals[index])]);
    line.style.opacity = (0.12 + 0.55 * score ** 2).toFixed(2);
    line.append(svg("title", {}, `proposal ${index + 1}: the planner expects ${percent(score)}`));
    group.append(line);
  }
  return group;
}

// The ego box at the first infraction, and what it is.
function drawMoment(simulated, { step, kind }, is_small) {
  const pose = simulated[Math.min(step, simulated.length - 1)];
  const group = svg("g", {});
  const box = svg("path", { class: `moment ${kind.style}`, d: egoBox() });
  moveTo(box, pose);
  group.append(box);
  if (!is_small) {
    const is_right = pose.y >= 0;
    group.append(svg("text", { class: `label ${kind.style}`, x: -pose.y + (is_right ? 2.2 : -2.2), y: -pose.x - 1, "text-anchor": is_right ? "start" : "end", "font-size": 2.6 }, `${kind.label} ${seconds(step)}`));
  }
  return group;
}

function drawScale(size) {
  const [x, y] = [-size * 0.47, size * (1 - SHARE_AHEAD) - 0.035 * size];
  return svg(
    "g", {},
    svg("path", { class: "scale", d: `M${x},${y}h10` }),
    svg("text", { class: "scale", x, y: y - 0.02 * size, "font-size": 0.04 * size }, "10 m"),
  );
}

// Wheel and drag, the same for all pictures of a card; a double click shows the whole again.
function addZoom(pictures) {
  const first = pictures[0].viewBox.baseVal;
  const whole = [first.x, first.y, first.width, first.height];
  const show = (x, y, width, height) => pictures.forEach((picture) => picture.setAttribute("viewBox", `${x} ${y} ${width} ${height}`));
  for (const picture of pictures) {
    const scale = () => picture.viewBox.baseVal.width / picture.clientWidth;
    picture.addEventListener("wheel", (event) => {
      event.preventDefault();
      const box = picture.viewBox.baseVal;
      const factor = Math.min(110 / box.width, Math.max(12 / box.width, Math.exp(event.deltaY / 600)));
      const bounds = picture.getBoundingClientRect();
      const [x, y] = [box.x + (event.clientX - bounds.x) * scale(), box.y + (event.clientY - bounds.y) * scale()];
      show(x - (x - box.x) * factor, y - (y - box.y) * factor, box.width * factor, box.height * factor);
    }, { passive: false });
    picture.addEventListener("pointerdown", (event) => picture.setPointerCapture(event.pointerId));
    picture.addEventListener("pointermove", (event) => {
      if (!(event.buttons & 1)) return;
      const box = picture.viewBox.baseVal;
      show(box.x - event.movementX * scale(), box.y - event.movementY * scale(), box.width, box.height);
    });
    picture.addEventListener("dblclick", () => show(...whole));
  }
}
