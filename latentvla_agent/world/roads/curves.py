"""Plane curves of roads: splines, arc length, headings, offsets. Lines are (M, 2) float64 in metres."""

from __future__ import annotations

import math
from typing import Tuple

import numpy as np
import numpy.typing as npt

Line = npt.NDArray[np.float64]

MIN_CROSS = math.sin(math.radians(15.0))  # of two headings that are far enough from parallel to have a corner
STRAIGHT_SHARES = (0.0, 0.4, 0.7, 1.0)  # that are tried
DENSE = 200  # points of a curve before it is resampled
MIN_STEP_M = 1e-6  # shorter steps between vertices count as none


def measure_arc(line: Line) -> npt.NDArray[np.float64]:
    """Arc length of each vertex from the first, (M,)."""
    steps = np.hypot(*np.diff(line, axis=0).T)
    return np.concatenate([[0.0], np.cumsum(steps)])


def measure_headings(line: Line) -> npt.NDArray[np.float64]:
    """Unwrapped heading of each of the M - 1 steps, radians."""
    steps = np.diff(line, axis=0)
    return np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))


def drop_repeats(line: Line) -> Line:
    """`line` without vertices that repeat the one before."""
    keep = np.concatenate([[True], np.hypot(*np.diff(line, axis=0).T) > MIN_STEP_M])
    return line[keep]


def resample(line: Line, step: float) -> Line:
    """Points at even arc length, at most `step` apart, both ends kept exactly."""
    arc = measure_arc(line)
    count = max(int(math.ceil(arc[-1] / step)), 1) + 1
    at = np.linspace(0.0, arc[-1], count)
    points = np.column_stack([np.interp(at, arc, line[:, 0]), np.interp(at, arc, line[:, 1])])
    points[0], points[-1] = line[0], line[-1]
    return points


def resample_smoothly(line: Line, step: float) -> Line:
    """As `resample`, but along a Catmull-Rom spline through the vertices, which rounds the corners of a polyline."""
    if len(line) < 3:
        return resample(line, step)
    arc = measure_arc(line)
    gaps = np.diff(arc)[:, None]
    slopes = np.diff(line, axis=0) / gaps
    inner = (slopes[:-1] * gaps[1:] + slopes[1:] * gaps[:-1]) / (gaps[:-1] + gaps[1:])
    tangents = np.vstack([slopes[:1], inner, slopes[-1:]])
    count = max(int(math.ceil(arc[-1] / step)), 1) + 1
    at = np.linspace(0.0, arc[-1], count)
    row = np.clip(np.searchsorted(arc, at, side="right") - 1, 0, len(gaps) - 1)
    t, gap = ((at - arc[row])[:, None] / gaps[row]), gaps[row]
    points = (
        line[row] * (2 * t**3 - 3 * t**2 + 1)
        + tangents[row] * gap * (t**3 - 2 * t**2 + t)
        + line[row + 1] * (3 * t**2 - 2 * t**3)
        + tangents[row + 1] * gap * (t**3 - t**2)
    )
    points[0], points[-1] = line[0], line[-1]
    return points


def cut(line: Line, start: float, stop: float) -> Line:
    """The part of `line` between two arc lengths, with the vertices that lie in between."""
    arc = measure_arc(line)
    inside = (arc > start + MIN_STEP_M) & (arc < stop - MIN_STEP_M)
    at = np.concatenate([[start], arc[inside], [stop]])
    return np.column_stack([np.interp(at, arc, line[:, 0]), np.interp(at, arc, line[:, 1])])


def draw_spline(control: Line, points_per_leg: int) -> Line:
    """The uniform cubic B-spline of a control polygon (K, 2), clamped to its ends: its curvature is continuous."""
    first, last = 2.0 * control[0] - control[1], 2.0 * control[-1] - control[-2]
    padded = np.vstack([first, control, last])
    t = np.linspace(0.0, 1.0, points_per_leg, endpoint=False)[:, None]
    weights = np.hstack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6.0
    legs = [weights @ padded[i : i + 4] for i in range(len(padded) - 3)]
    return np.vstack([*legs, control[-1:]])


def join_poses(start: Line, start_heading: float, end: Line, end_heading: float, count: int) -> Line:
    """A curve (count, 2) from one pose to another: between an arc and one without curvature at its ends.

    Both are Hermite polynomials whose speed is that of the arc over the same chord; their mean bends little more than
    the arc, and its curvature jumps half as much.
    """
    chord = float(np.hypot(*(end - start)))
    turn = abs(math.remainder(end_heading - start_heading, 2.0 * math.pi))
    # The arc over a chord c that turns by a has the length c a / (2 sin(a / 2)).
    speed = chord * (turn / (2.0 * math.sin(turn / 2.0)) if turn > 1e-3 else 1.0)
    first = speed * np.array([math.cos(start_heading), math.sin(start_heading)])
    last = speed * np.array([math.cos(end_heading), math.sin(end_heading)])
    t = np.linspace(0.0, 1.0, count)[:, None]
    t2, t3, t4, t5 = t**2, t**3, t**4, t**5
    fifth = (
        start * (1 - 10 * t3 + 15 * t4 - 6 * t5)
        + end * (10 * t3 - 15 * t4 + 6 * t5)
        + first * (t - 6 * t3 + 8 * t4 - 3 * t5)
        + last * (-4 * t3 + 7 * t4 - 3 * t5)
    )
    third = start * (1 - 3 * t2 + 2 * t3) + end * (3 * t2 - 2 * t3) + first * (t - 2 * t2 + t3) + last * (t3 - t2)
    curve: Line = 0.5 * (fifth + third)
    return curve


def join_straights(start: Line, start_heading: float, end: Line, end_heading: float, step: float) -> Line:
    """As `join_poses`, with vertices `step` apart, and straight at first where that makes the bend wider.

    The corner is where the straights through both poses cross; a turn with equal legs to it is the widest.
    """
    first = np.array([math.cos(start_heading), math.sin(start_heading)])
    last = np.array([math.cos(end_heading), math.sin(end_heading)])
    cross, way = first[0] * last[1] - first[1] * last[0], end - start
    spare = 0.0  # how much longer the first leg is
    if abs(cross) > MIN_CROSS:
        legs = (way[0] * last[1] - way[1] * last[0]) / cross, (first[0] * way[1] - first[1] * way[0]) / cross
        spare = legs[0] - legs[1] if min(legs) > 0.0 else 0.0
    curves = []
    for share in STRAIGHT_SHARES if spare else STRAIGHT_SHARES[:1]:
        near, far = start + share * max(spare, 0.0) * first, end - share * max(-spare, 0.0) * last
        bend = join_poses(near, start_heading, far, end_heading, DENSE)
        curves.append(resample(drop_repeats(np.vstack([start, bend, end])), step))
    return max(curves, key=smallest_radius)


def smallest_radius(line: Line) -> float:
    """Radius of the tightest bend, from the change of heading per metre; infinite for a straight line."""
    if len(line) < 3:
        return math.inf
    ways = np.diff(line, axis=0)
    steps = np.hypot(ways[:, 0], ways[:, 1])
    before, after = ways[:-1], ways[1:]
    cross = before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]
    turns = np.abs(np.arctan2(cross, np.sum(before * after, axis=1)))
    bends = turns / (0.5 * (steps[1:] + steps[:-1]))
    return 1.0 / max(float(bends.max()), 1e-9)


def offset_line(line: Line, left: float) -> Line:
    """`line` moved by `left` metres to its left, vertex by vertex along the mean normal of the two steps."""
    normals = _vertex_normals(line)
    return line + left * normals


def _vertex_normals(line: Line) -> Line:
    steps = np.diff(line, axis=0)
    units = steps / np.hypot(steps[:, 0], steps[:, 1])[:, None]
    sums = np.vstack([units[:1], units[1:] + units[:-1], units[-1:]])
    sums = sums / np.hypot(sums[:, 0], sums[:, 1])[:, None]
    return np.column_stack([-sums[:, 1], sums[:, 0]])


def end_headings(line: Line) -> Tuple[float, float]:
    """Heading of the first and of the last step, radians."""
    first, last = line[1] - line[0], line[-1] - line[-2]
    return math.atan2(first[1], first[0]), math.atan2(last[1], last[0])
