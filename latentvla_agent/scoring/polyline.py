"""A path with headings: the centreline, and the offset paths that proposals follow."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import shapely
import shapely.ops

from latentvla_agent.scoring.kernels import compile_kernel
from latentvla_agent.scoring.state import FloatArray

MIN_DISTANCE = 1e-5  # the devkit never interpolates closer to the start
CERTAINLY = 1.0 - 1e-9  # of a distance that is rounded


@compile_kernel
def project_point(vertices: Any, x: float, y: float) -> float:
    """Arc length [m] of the point of the line (M, 2) nearest to (x, y), the first of equals (GEOS' project)."""
    best, nearest, share = np.inf, 0, 0.0
    for i in range(vertices.shape[0] - 1):
        dx, dy = vertices[i + 1, 0] - vertices[i, 0], vertices[i + 1, 1] - vertices[i, 1]
        px, py = x - vertices[i, 0], y - vertices[i, 1]
        beside, before = max(px - max(dx, 0.0), min(dx, 0.0) - px, 0.0), max(py - max(dy, 0.0), min(dy, 0.0) - py, 0.0)
        if (beside * beside + before * before) * CERTAINLY > best:
            continue  # even the box around the segment is further away
        squared = dx * dx + dy * dy
        fraction = min(max((px * dx + py * dy) / squared, 0.0), 1.0) if squared > 0.0 else 0.0
        distance = (px - fraction * dx) ** 2 + (py - fraction * dy) ** 2
        if distance < best:
            best, nearest, share = distance, i, fraction
    length = 0.0
    for i in range(nearest):
        length += _measure_segment(vertices, i)
    return length + share * _measure_segment(vertices, nearest) if vertices.shape[0] > 1 else 0.0


@compile_kernel
def _measure_segment(vertices: Any, i: int) -> float:
    dx, dy = vertices[i + 1, 0] - vertices[i, 0], vertices[i + 1, 1] - vertices[i, 1]
    return np.sqrt(dx * dx + dy * dy)


@compile_kernel
def find_stretch(vertices: Any, points: Any, limit: float) -> Tuple[int, int]:
    """The range of vertices of the line (M, 2) beyond which no segment comes within `limit` [m] of the box around
    points (N, 2)."""
    reach = limit + 1e-6  # a border that is rounded leaves nothing out
    low_x, low_y = points[:, 0].min() - reach, points[:, 1].min() - reach
    high_x, high_y = points[:, 0].max() + reach, points[:, 1].max() + reach
    first, last = vertices.shape[0], 0
    for i in range(vertices.shape[0] - 1):
        ax, ay, bx, by = vertices[i, 0], vertices[i, 1], vertices[i + 1, 0], vertices[i + 1, 1]
        if max(ax, bx) < low_x or max(ay, by) < low_y or min(ax, bx) > high_x or min(ay, by) > high_y:
            continue
        first, last = min(first, i), i + 2
    return first, max(first, last)


@compile_kernel
def find_within(vertices: Any, x: float, y: float, limit: float, hint: int) -> int:
    """A segment of the line (M, 2) at most `limit` [m] from (x, y), -1 if there is none; `hint` is looked at first."""
    count = vertices.shape[0] - 1
    for step in range(count):
        i = (hint + step) % count
        dx, dy = vertices[i + 1, 0] - vertices[i, 0], vertices[i + 1, 1] - vertices[i, 1]
        px, py = x - vertices[i, 0], y - vertices[i, 1]
        if max(px - dx, -px) > limit + abs(dx) or max(py - dy, -py) > limit + abs(dy):
            continue
        squared = dx * dx + dy * dy
        fraction = min(max((px * dx + py * dy) / squared, 0.0), 1.0) if squared > 0.0 else 0.0
        if np.hypot(px - fraction * dx, py - fraction * dy) <= limit:
            return i
    return -1


class Polyline:
    """Path of states (M, 3) x, y, heading; vertices may repeat where two lanes join."""

    def __init__(self, states: FloatArray):
        self.states = states
        self.unwrapped = states.copy()
        self.unwrapped[:, 2] = np.unwrap(states[:, 2])
        steps = np.diff(states[:, :2], axis=0)
        self.progress: FloatArray = np.concatenate([[0.0], np.cumsum(np.hypot(steps[:, 0], steps[:, 1]))])
        self.line = shapely.linestrings(states[:, :2])

    @property
    def length(self) -> float:
        """Length [m] of the path."""
        return float(self.progress[-1])

    def offset(self, distance: float) -> Polyline:
        """The path shifted to the left by `distance` [m], vertex by vertex."""
        if distance == 0.0:
            return self
        normal = self.states[:, 2] + np.pi / 2.0
        shifted = self.states.copy()
        shifted[:, 0] += np.cos(normal) * distance
        shifted[:, 1] += np.sin(normal) * distance
        return Polyline(shifted)

    def cut(self, start: float, end: float) -> shapely.LineString:
        """The part between two arc lengths, from vertex to vertex where at least two vertices lie between them."""
        start, end = np.clip([start, end], 0.0, self.length)
        inside = (start <= self.progress) & (self.progress <= end)
        if np.count_nonzero(inside) > 1:
            return shapely.linestrings(self.states[inside, :2])
        return shapely.ops.substring(self.line, start, end)
