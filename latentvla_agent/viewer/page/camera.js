// The picture of the front camera, with paths on the road in it.
"use strict";

const NEAR = 0.8; // metres in front of the camera; what is nearer is not drawn
const RIBBON = 0.9; // half its width in metres
const PHOTO_UNITS = 1000; // width of the drawing

function drawCamera(sketch, agents, scene) {
  if (!sketch.projection && sketch.noPhoto !== "") return el("p", { class: "soft empty" }, sketch.noPhoto || "made without pictures of the front camera");
  const photo = el("img", { src: scenePath(scene, "jpg"), alt: `front camera in scene ${store.site.tokens[scene]}`, loading: "lazy", draggable: "false" });
  const frame = el("div", { class: "camera" }, photo);
  if (!sketch.projection) {
    frame.append(el("p", { class: "soft" }, "no path: the log holds no calibration of this camera"));
    return frame;
  }
  photo.addEventListener("load", () => frame.append(drawPaths(sketch, agents, scene, photo.naturalHeight / photo.naturalWidth, frame)), { once: true });
  return frame;
}

function drawPaths(sketch, agents, scene, ratio, frame) {
  const height = PHOTO_UNITS * ratio;
  const toPicture = makeProjection(sketch.projection, PHOTO_UNITS, height);
  const paths = svg("svg", { viewBox: `0 0 ${PHOTO_UNITS} ${height}`, "aria-hidden": "true" });
  if (CHOSEN.human) paths.append(svg("path", { class: "photo-human", d: traceLine(humanLine(sketch), toPicture) }));
  const movers = [];
  for (const agent of agents) {
    const plan = findPlan(sketch, agent.name);
    if (!plan) continue;
    const group = svg("g", { color: agentColor(agent.number) });
    const line = planLine(plan);
    group.append(svg("path", { class: "photo-ribbon", d: traceRibbon(line, toPicture) }));
    group.append(svg("path", { class: "photo-plan", d: traceLine(line, toPicture) }));
    for (const pose of planDots(plan)) drawDot(group, toPicture(pose), "photo-dot", 6);
    const marker = svg("g", {});
    const simulated = posesOf(plan.simulated);
    const infraction = firstInfraction(agent.data, scene);
    if (infraction.kind) drawDot(group, toPicture(simulated[Math.min(infraction.step, simulated.length - 1)]), `photo-moment ${infraction.kind.style}`, 13);
    movers.push((time) => {
      marker.replaceChildren();
      if (time > 0) drawDot(marker, toPicture(poseAt(simulated, time, store.site.stepSeconds)), "photo-now", 10);
    });
    group.append(marker);
    paths.append(group);
  }
  frame.setTime = (time) => movers.forEach((move) => move(time));
  frame.setTime(state.time);
  return paths;
}

function drawDot(group, point, style, radius) {
  if (point) group.append(svg("circle", { class: style, cx: point[0].toFixed(1), cy: point[1].toFixed(1), r: radius }));
}

// A function from points {x, y} of the road to the picture, null for what is behind or far out of it.
// A pinhole with the distortion that OpenCV describes (radial k1, k2, k3 and tangential p1, p2).
function makeProjection({ pose, lens, distortion, ground }, width, height) {
  const [k1, k2, p1, p2, k3] = distortion;
  return ({ x, y }) => {
    const [right, down, depth] = [0, 4, 8].map((row) => pose[row] * x + pose[row + 1] * y + pose[row + 2] * ground + pose[row + 3]);
    if (depth < NEAR) return null;
    const [u, v] = [right / depth, down / depth];
    const r2 = u * u + v * v;
    if (r2 > 4) return null;
    const radial = 1 + r2 * (k1 + r2 * (k2 + r2 * k3));
    const bentU = u * radial + 2 * p1 * u * v + p2 * (r2 + 2 * u * u);
    const bentV = v * radial + p1 * (r2 + 2 * v * v) + 2 * p2 * u * v;
    return [(lens[0] * bentU + lens[2]) * width, (lens[1] * bentV + lens[3]) * height];
  };
}

function traceLine(poses, toPicture) {
  let data = "";
  let is_open = false;
  for (const pose of poses) {
    const point = toPicture(pose);
    if (point) data += `${is_open ? "L" : "M"}${point[0].toFixed(1)},${point[1].toFixed(1)}`;
    is_open = point !== null;
  }
  return data;
}

// The strip of road that the ego's middle covers, as far as it is in front of the camera.
function traceRibbon(poses, toPicture) {
  const [left, right] = [[], []];
  for (const pose of poses) {
    const aside = { x: -Math.sin(pose.heading) * RIBBON, y: Math.cos(pose.heading) * RIBBON };
    const ends = [1, -1].map((sign) => toPicture({ x: pose.x + sign * aside.x, y: pose.y + sign * aside.y }));
    if (!ends[0] || !ends[1]) continue;
    left.push(ends[0]);
    right.unshift(ends[1]);
  }
  return left.length < 2 ? "" : `M${[...left, ...right].map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`;
}
