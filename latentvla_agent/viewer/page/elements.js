// Makes elements; whatever comes from files goes in as text, never as HTML.
"use strict";

const SVG = "http://www.w3.org/2000/svg";

function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "color") element.style.setProperty("--agent", value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return element;
}

function byId(name) {
  return document.getElementById(name);
}

// Scores are shown times 100, as in every table of this project.
function percent(value) {
  return Number.isNaN(value) || value === undefined ? "–" : (100 * value).toFixed(1);
}

function points(value) {
  if (Number.isNaN(value)) return "–";
  const text = (100 * value).toFixed(1);
  return value > 0 && text !== "0.0" ? `+${text}` : text.replace("-0.0", "0.0");
}

function plural(count, noun) {
  return `${count.toLocaleString("en")} ${noun}${count === 1 ? "" : "s"}`;
}

const NUM_COLORS = 10; // of report_template

function agentColor(number) {
  return `var(--agent-${number % NUM_COLORS})`;
}

function seconds(step) {
  return `${(step * store.site.stepSeconds).toFixed(1)} s`;
}
