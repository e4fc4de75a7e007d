// One scene: from above, by the front camera, over time, and in numbers; two agents side by side.
"use strict";

async function showCard() {
  stopPlaying();
  const card = byId("card");
  const { scene } = state;
  if (scene < 0) {
    card.replaceChildren(el("p", { class: "soft empty" }, "No scene matches; drop a filter."));
    return;
  }
  const sketch = await loadScene(scene);
  if (scene !== state.scene) return; // another one was chosen meanwhile
  const agents = shownAgents();
  const parts = sketch.problem ? [el("p", { class: "status bad" }, `Not drawn: ${sketch.problem}`), tabulate(agents, scene)] : drawScene(sketch, agents, scene);
  card.replaceChildren(writeTitle(sketch, scene), ...parts);
}

function writeTitle(sketch, scene) {
  const tags = [...store.tags.keys()].filter((tag) => membersOf(tag)[scene] && !tag.startsWith("speed: "));
  const speed = sketch.speed === undefined ? [] : [el("span", { class: "chip" }, `ego at ${sketch.speed.toFixed(1)} m/s`)];
  const copy = el("button", { type: "button", class: "plain", title: "Copy the link to exactly this view", onclick: (event) => copyLink(event.currentTarget) }, "Copy link");
  return el(
    "div", { class: "title-row" },
    el("h2", {}, "Scene ", el("code", {}, store.site.tokens[scene])),
    el("p", { class: "soft" }, logOf(scene)),
    el("div", { class: "chips" }, ...speed, ...tags.map((tag) => el("span", { class: "chip tag" }, tag)), copy),
  );
}

function copyLink(button) {
  const done = () => { button.textContent = "Copied"; setTimeout(() => { button.textContent = "Copy link"; }, 1500); };
  const failed = () => { button.textContent = "It is in the address bar"; };
  if (navigator.clipboard) navigator.clipboard.writeText(location.href).then(done, failed);
  else failed();
}

function drawScene(sketch, agents, scene) {
  const pictures = agents.map((agent) => drawBev(sketch, [agent], { scene }));
  const sides = agents.map((agent, i) => el("figure", { class: "agent-side", color: agentColor(agent.number) }, captionSide(agent, scene), pictures[i]));
  const camera = drawCamera(sketch, agents, scene);
  addZoom(pictures);
  const setTime = (time) => [...pictures, camera].forEach((one) => one.setTime && one.setTime(time));
  const beside = [camera, el("div", {}, tabulate(agents, scene))];
  return [
    el("div", { class: `views of-${agents.length}` }, ...sides, ...(agents.length === 2 ? beside : [el("div", { class: "stack" }, ...beside)])),
    drawTimeline(agents, scene, setTime),
    writeChoices(),
    ...writeThoughts(sketch, agents),
  ];
}

function captionSide(agent, scene) {
  const error = agent.data.error[scene];
  const score = el("b", { class: "big" }, error === null ? percent(agent.data.score[scene]) : "failed");
  return el("figcaption", {}, el("span", { class: "dot" }), el("strong", {}, agent.name), " ", score, error === null ? "" : el("span", { class: "soft" }, ` ${error}`));
}

// What the pictures show, to be switched.
function writeChoices() {
  const names = { proposals: "proposals (p)", human: "human's path (h)", simulated: "simulated path", reference: "reference plan" };
  const boxes = Object.entries(names).map(([key, label]) => el("label", {}, el("input", { type: "checkbox", checked: CHOSEN[key], onchange: (event) => { CHOSEN[key] = event.target.checked; redraw(); } }), ` ${label}`));
  return el("div", { class: "choices" }, ...boxes, el("span", { class: "soft" }, "Wheel and drag zoom and move, a double click resets."));
}

function tabulate(agents, scene) {
  const [first, second] = agents;
  const rows = store.site.columns.map((column, i) => [column.short, column.long, agents.map((agent) => agent.data.subScores[i][scene])]);
  rows.push([store.site.metric, "the score", agents.map((agent) => agent.data.score[scene])]);
  const head = el("tr", {}, el("th", {}, ""), ...agents.map((agent) => el("th", { class: "agent", title: agent.name, color: agentColor(agent.number) }, el("span", { class: "dot" }), agent.name)), second ? el("th", {}, "difference") : null);
  const body = rows.map(([short, long, values]) => el(
    "tr", {},
    el("th", { scope: "row", title: long }, el("b", {}, short), " ", el("span", { class: "soft" }, long)),
    ...values.map((value) => el("td", { class: value < LOW_BELOW ? "lost" : "" }, percent(value))),
    second ? differenceCell(values[0] - values[1]) : null,
  ));
  const what = second ? `${first.name} minus ${second.name}` : `sub-scores of ${first.name}`;
  return el("table", { class: "numbers", "aria-label": what }, el("thead", {}, head), el("tbody", {}, ...body));
}

function differenceCell(difference) {
  const style = Number.isNaN(difference) || tellAhead(difference) === "equal" ? "even" : difference > 0 ? "up" : "down";
  return el("td", { class: `difference ${style}` }, points(difference));
}

// What the planners weighed: proposals and latent actions, where the run kept them.
function writeThoughts(sketch, agents) {
  if (sketch.problem) return [];
  const parts = [];
  for (const agent of agents) {
    const plan = findPlan(sketch, agent.name);
    if (!plan) continue;
    if (plan.proposals) {
      const scores = [...plan.proposalScores].sort((one, other) => one - other);
      parts.push(el("p", { class: "thought", color: agentColor(agent.number) }, el("span", { class: "dot" }), `${agent.name} chose among ${plural(plan.proposals.length, "proposal")}: it expected ${percent(scores[scores.length - 1])} of the chosen one, ${percent(scores[0])} of the least, ${percent(scores[scores.length >> 1])} in the middle.`));
    }
    if (plan.codes) parts.push(drawCodes(plan, agent));
  }
  return parts;
}

// Columns are the transitions of the future in the order of time, rows the codes of each; the fuller the colour, the surer.
function drawCodes(plan, agent) {
  const rows = plan.codes.length / plan.transitions;
  const grid = el("div", { class: "codes", role: "img", "aria-label": `latent actions of ${agent.name}: ${plan.codes.join(" ")}` });
  grid.style.gridTemplateColumns = `repeat(${plan.transitions}, 4.2rem)`;
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < plan.transitions; column += 1) {
      const index = column * rows + row;
      const cell = el("span", { class: "code", title: `transition ${column + 1}, code ${plan.codes[index]}, probability ${percent(plan.codeShares[index])}` }, String(plan.codes[index]));
      cell.style.setProperty("--hue", String((plan.codes[index] * 360) / 16));
      cell.style.setProperty("--sure", String(0.15 + 0.85 * plan.codeShares[index]));
      grid.append(cell);
    }
  }
  return el("div", { class: "thought", color: agentColor(agent.number) }, el("p", {}, el("span", { class: "dot" }), `Latent actions that ${agent.name} was told, ${plural(plan.transitions, "transition")} of the future from left to right; the fuller the colour, the surer.`), grid);
}
