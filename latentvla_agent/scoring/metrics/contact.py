"""Contact of boxes and bearing of objects: the geometry under the collision, light and time-to-collision metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentvla_agent.scoring.kernels import compile_kernel


@compile_kernel
def _axis_separates(a: Any, b: Any, nx: float, ny: float, ox: float, oy: float) -> bool:
    """Whether the projections of two vertex lists on (nx, ny) are disjoint; touching is not disjoint."""
    low_a, high_a, low_b, high_b = np.inf, -np.inf, np.inf, -np.inf
    for i in range(a.shape[0]):
        value = (a[i, 0] - ox) * nx + (a[i, 1] - oy) * ny
        low_a, high_a = min(low_a, value), max(high_a, value)
    for i in range(b.shape[0]):
        value = (b[i, 0] - ox) * nx + (b[i, 1] - oy) * ny
        low_b, high_b = min(low_b, value), max(high_b, value)
    return high_a < low_b or high_b < low_a


@compile_kernel
def _edges_separate(a: Any, b: Any, edges: int, ox: float, oy: float) -> bool:
    """Whether the normal of one of the first `edges` edges of `a` separates `a` from `b`."""
    for i in range(edges):
        nx, ny = a[i + 1, 1] - a[i, 1], a[i, 0] - a[i + 1, 0]
        if _axis_separates(a, b, nx, ny, ox, oy):
            return True
    return False


@compile_kernel
def boxes_touch(a: Any, b: Any) -> bool:
    """Whether two boxes (4, 2) share a point (separating axes; coordinates are taken relative to `a` for precision)."""
    ox, oy = a[0, 0], a[0, 1]
    return not (_edges_separate(a, b, 2, ox, oy) or _edges_separate(b, a, 2, ox, oy))


@compile_kernel
def segment_touches_box(segment: Any, box: Any) -> bool:
    """Whether a segment (2, 2) and a box (4, 2) share a point."""
    ox, oy = segment[0, 0], segment[0, 1]
    return not (_edges_separate(segment, box, 1, ox, oy) or _edges_separate(box, segment, 2, ox, oy))


@compile_kernel
def box_touches_ring(box: Any, vertices: Any, start: int, end: int) -> bool:
    """Whether a box (4, 2) and the polygon of the closed ring `vertices[start:end]` share a point."""
    for i in range(start, end - 1):
        if segment_touches_box(vertices[i : i + 2], box):
            return True
    return contains_point(vertices, start, end, box[0, 0], box[0, 1])


@compile_kernel
def contains_point(vertices: Any, start: int, end: int, x: float, y: float) -> bool:
    """Parity of the crossings of the closed ring `vertices[start:end]` by the ray from (x, y) to the right."""
    inside = False
    ay = vertices[start, 1] - y
    for i in range(start, end - 1):
        by = vertices[i + 1, 1] - y
        if (ay > 0.0) != (by > 0.0):
            ax, bx = vertices[i, 0] - x, vertices[i + 1, 0] - x
            cross = ax * by - bx * ay
            if cross != 0.0 and (cross > 0.0) == (by > ay):
                inside = not inside
        ay = by
    return inside


@compile_kernel
def bearing(x: float, y: float, heading: float, object_x: float, object_y: float, clamps: bool) -> float:
    """Unsigned angle [rad] from the ego's heading to an object's centre; NaN where the two coincide.

    Also NaN, neither ahead nor behind, where the cosine of an object dead ahead or behind rounds to beyond 1: the
    devkit does not clamp it. The last bit decides, so operations and inputs are rounded as in the devkit. Where inputs
    are not, as in the reference planner, `clamps` gives what the devkit says of any alignment a micrometre off.
    """
    dx, dy = object_x - x, object_y - y
    norm = np.sqrt(dx * dx + dy * dy)
    cosine = np.cos(heading) * (dx / norm) + np.sin(heading) * (dy / norm)
    return np.arccos(min(max(cosine, -1.0), 1.0) if clamps else cosine)


@compile_kernel
def box_ring_distance(box: Any, vertices: Any, start: int, end: int) -> float:
    """Distance [m] between a box (4, 2) and the polygon of the closed ring `vertices[start:end]`; 0 if they touch."""
    if box_touches_ring(box, vertices, start, end):
        return 0.0
    least = np.inf
    for i in range(start, end - 1):
        for c in range(4):
            least = min(least, _point_segment_distance(box[c], vertices[i], vertices[i + 1]))
            least = min(least, _point_segment_distance(vertices[i], box[c], box[(c + 1) % 4]))
    return least


@compile_kernel
def _point_segment_distance(point: Any, start: Any, end: Any) -> float:
    dx, dy = end[0] - start[0], end[1] - start[1]
    px, py = point[0] - start[0], point[1] - start[1]
    squared = dx * dx + dy * dy
    share = min(max((px * dx + py * dy) / squared, 0.0), 1.0) if squared > 0.0 else 0.0
    return np.hypot(px - share * dx, py - share * dy)
