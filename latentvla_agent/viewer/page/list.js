// The list of matches. Only what is in sight exists as elements, so that 12,000 scenes scroll like twelve.
"use strict";

const ROW_HEIGHT = 46;
const TILE_WIDTH = 200;
const TILE_HEIGHT = 252;
const MARGIN_ROWS = 3; // beyond the border

class VirtualList {
  // `makeItem(scene, position)` gives the element of a scene.
  constructor(element, makeItem) {
    this.element = element;
    this.makeItem = makeItem;
    this.items = [];
    this.spacer = el("div", { class: "spacer" });
    this.shown = new Map(); // by position
    element.append(this.spacer);
    element.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.redraw()).observe(element);
  }

  setItems(items) {
    this.items = items;
    this.redraw();
  }

  measure() {
    const is_grid = state.view === "pictures";
    const width = this.element.clientWidth;
    const columns = is_grid ? Math.max(1, Math.floor(width / TILE_WIDTH)) : 1;
    return { columns, width: width / columns, height: is_grid ? TILE_HEIGHT : ROW_HEIGHT };
  }

  redraw() {
    const { columns, height } = this.measure();
    this.spacer.style.height = `${Math.ceil(this.items.length / columns) * height}px`;
    for (const item of this.shown.values()) item.remove();
    this.shown.clear();
    this.draw();
  }

  draw() {
    const { columns, width, height } = this.measure();
    const { scrollTop, clientHeight } = this.element;
    const first = Math.max(0, (Math.floor(scrollTop / height) - MARGIN_ROWS) * columns);
    const end = Math.min(this.items.length, (Math.ceil((scrollTop + clientHeight) / height) + MARGIN_ROWS) * columns);
    for (const [position, item] of this.shown) {
      if (position < first || position >= end) {
        item.remove();
        this.shown.delete(position);
      }
    }
    for (let position = first; position < end; position += 1) {
      if (this.shown.has(position)) continue;
      const item = this.makeItem(this.items[position], position);
      item.style.transform = `translate(${(position % columns) * width}px, ${Math.floor(position / columns) * height}px)`;
      item.style.width = `${width}px`;
      item.style.height = `${height}px`;
      this.shown.set(position, item);
      this.spacer.append(item);
    }
  }

  reveal(position) {
    const { columns, height } = this.measure();
    const top = Math.floor(position / columns) * height;
    const { scrollTop, clientHeight } = this.element;
    if (top < scrollTop) this.element.scrollTop = top;
    else if (top + height > scrollTop + clientHeight) this.element.scrollTop = top + height - clientHeight;
    this.draw();
  }

  mark(scene) {
    for (const [position, item] of this.shown) {
      item.setAttribute("aria-selected", String(this.items[position] === scene));
    }
  }
}

function makeItem(scene, position) {
  const make = state.view === "pictures" ? makeTile : makeRow;
  const item = make(scene, position);
  fill(item, { id: `item-${scene}`, role: "option", "aria-selected": String(scene === state.scene), onclick: () => selectScene(scene) }, []);
  return item;
}

function makeRow(scene, position) {
  const { site } = store;
  const agents = shownAgents();
  const scores = el("div", { class: "scores" }, ...agents.map(({ number, data }) => scoreBar(data.score[scene], agentColor(number), data.error[scene])));
  const tags = splitTags(scene).map((tag) => el("span", { class: "chip tag" }, tag));
  return el(
    "div", { class: "item row" },
    el("span", { class: "rank" }, (position + 1).toLocaleString("en")),
    scores,
    agents.length === 2 ? differenceChip(agents[0].data.score[scene] - agents[1].data.score[scene]) : null,
    el("div", { class: "what" }, el("div", { class: "chips" }, ...lostChips(agents[0].data, scene), ...tags), el("code", {}, site.tokens[scene]), " ", el("span", { class: "soft" }, logOf(scene))),
  );
}

function makeTile(scene) {
  const picture = el("div", { class: "picture" });
  const agents = shownAgents();
  loadScene(scene).then((sketch) => {
    picture.replaceChildren(sketch.problem ? el("p", { class: "soft" }, "not drawn") : drawBev(sketch, agents, { scene, is_small: true }));
  });
  const scores = agents.map(({ number, data }) => scoreBar(data.score[scene], agentColor(number), data.error[scene]));
  return el("div", { class: "item tile" }, picture, el("div", { class: "scores" }, ...scores), el("div", { class: "chips" }, ...lostChips(agents[0].data, scene), ...splitTags(scene).map((tag) => el("span", { class: "chip tag" }, tag))));
}

function scoreBar(score, color, error) {
  const bar = el("span", { class: "bar-fill" });
  bar.style.width = `${100 * score}%`;
  return el("span", { class: "score", color }, el("span", { class: "track-bar" }, bar), el("b", {}, error === null ? percent(score) : "failed"));
}

function differenceChip(difference) {
  const style = tellAhead(difference) === "equal" ? "even" : difference > 0 ? "up" : "down";
  return el("span", { class: `difference ${style}`, title: "difference of scores" }, points(difference));
}

function lostChips(agent, scene) {
  if (agent.error[scene] !== null) return [el("span", { class: "chip lost", title: agent.error[scene] }, "failed")];
  return lostColumns(agent, scene).map((i) => {
    const value = agent.subScores[i][scene];
    const column = store.site.columns[i];
    return el("span", { class: value < 0.5 ? "chip lost" : "chip", title: column.long }, `${column.short} ${Math.round(100 * value)}`);
  });
}

function splitTags(scene) {
  return [...store.tags.keys()].filter((tag) => !tag.includes(": ") && membersOf(tag)[scene]);
}

function logOf(scene) {
  return store.site.logs[decodeLogs()[scene]];
}

// The agents that are shown, one or two: {number, name, data}.
function shownAgents() {
  return [state.a, state.b].filter((number) => number >= 0).map((number) => ({ number, name: store.site.agents[number].name, data: store.agents.get(number) }));
}
