// Poses over time. Flat lists of whole numbers (see sketches.py) become {x, y, heading} in metres and radians.
"use strict";

const HALF_SECOND = 0.5; // between poses of a log

function poseOf(flat, index) {
  const [x, y, heading] = flat.slice(3 * index, 3 * index + 3);
  return x === null || x === undefined ? null : { x: x / 100, y: y / 100, heading: heading / 1000 };
}

function posesOf(flat) {
  return Array.from({ length: Math.floor(flat.length / 3) }, (_, index) => poseOf(flat, index));
}

function between(one, other, share) {
  const turn = Math.atan2(Math.sin(other.heading - one.heading), Math.cos(other.heading - one.heading));
  return { x: one.x + share * (other.x - one.x), y: one.y + share * (other.y - one.y), heading: one.heading + share * turn };
}

// Of poses every `interval` seconds from time 0 on; the last one from its end on.
function poseAt(poses, time, interval) {
  const place = Math.min(Math.max(0, time / interval), poses.length - 1);
  const index = Math.min(Math.floor(place + 1e-6), poses.length - 1);
  const next = poses[Math.min(index + 1, poses.length - 1)];
  return between(poses[index], next, Math.max(0, place - index));
}

// Of a track (see sketches.py), null where it is not there.
function trackAt(track, time) {
  if (track.first === undefined) return poseOf(track.poses, 0);
  const place = time / HALF_SECOND - track.first;
  const last = track.poses.length / 3 - 1;
  if (place < -1e-6 || place > last + 1e-6) return null;
  let before = Math.max(0, Math.floor(place + 1e-6));
  let after = Math.min(last, Math.ceil(place - 1e-6));
  while (before > 0 && poseOf(track.poses, before) === null) before -= 1;
  while (after < last && poseOf(track.poses, after) === null) after += 1;
  const [one, other] = [poseOf(track.poses, before), poseOf(track.poses, after)];
  return after === before ? one : between(one, other, (place - before) / (after - before));
}

// A smooth line through poses, `pieces` points to a step: cubic, along the headings.
function smooth(poses, pieces) {
  const points = [poses[0]];
  for (let i = 1; i < poses.length; i += 1) {
    const [from, to] = [poses[i - 1], poses[i]];
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    for (let k = 1; k <= pieces; k += 1) points.push(hermite(from, to, length, k / pieces));
  }
  return points;
}

function hermite(from, to, length, s) {
  const [a, b, c, d] = [2 * s ** 3 - 3 * s ** 2 + 1, s ** 3 - 2 * s ** 2 + s, -2 * s ** 3 + 3 * s ** 2, s ** 3 - s ** 2];
  const mix = (start, startSlope, end, endSlope) => a * start + b * length * startSlope + c * end + d * length * endSlope;
  return {
    x: mix(from.x, Math.cos(from.heading), to.x, Math.cos(to.heading)),
    y: mix(from.y, Math.sin(from.heading), to.y, Math.sin(to.heading)),
    heading: between(from, to, s).heading,
  };
}

const ORIGIN = { x: 0, y: 0, heading: 0 };

// The planned path from the ego's place on.
function planLine(plan) {
  const poses = [ORIGIN, ...posesOf(plan.poses)];
  return plan.interval >= 0.3 ? smooth(poses, 5) : poses;
}

function humanLine(sketch) {
  return smooth([ORIGIN, ...posesOf(sketch.human)], 5);
}

// Positions in metres every half second.
function planDots(plan) {
  const stride = Math.max(1, Math.round(HALF_SECOND / plan.interval));
  return posesOf(plan.poses).filter((_, index) => (index + 1) % stride === 0);
}

function findPlan(sketch, name) {
  return sketch.plans.find((plan) => plan.agent === name) || null;
}
