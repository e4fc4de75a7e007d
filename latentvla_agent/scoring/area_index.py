"""Areas made ready for the kernels: which are near a box, and which hold a point."""

from __future__ import annotations

from typing import Any

import numpy as np

from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.kernels import AreaIndex, Areas, compile_kernel

LANE, LANE_CONNECTOR = int(AreaKind.LANE), int(AreaKind.LANE_CONNECTOR)
INTERSECTION, INTERIOR = int(AreaKind.INTERSECTION), int(AreaKind.INTERSECTION_INTERIOR)
EDGES_PER_SLAB = 4


def index_areas(areas: Areas) -> AreaIndex:
    """Sort the edges of every polygon into slabs."""
    polygon_edges = np.diff(areas.ring_starts[areas.polygon_starts])
    num_slabs = polygon_edges // EDGES_PER_SLAB + 1
    slab_starts = np.concatenate([[0], np.cumsum(num_slabs)]).astype(np.int64)
    heights = areas.bounds[:, 3] - areas.bounds[:, 1]
    scales = np.where(heights > 0.0, num_slabs / np.where(heights > 0.0, heights, 1.0), 0.0)
    edge_starts, edges = _sort_edges(areas, slab_starts, scales)
    return AreaIndex(areas.kinds, areas.on_route, areas.bounds, slab_starts, scales, edge_starts, edges)


@compile_kernel
def find_slab(y: float, low: float, scale: float, count: int) -> int:
    """Slab of a height within a polygon of `count` slabs; never decreases with y, so no edge is missed."""
    return min(max(int((y - low) * scale), 0), count - 1)


@compile_kernel
def _sort_edges(areas: Areas, slab_starts: Any, scales: Any) -> Any:
    """Counting sort: which slabs every edge spans, how many edges every slab gets, then the edges themselves."""
    vertices, bounds, ring_starts = areas.vertices, areas.bounds, areas.ring_starts
    starts = np.zeros(slab_starts[-1] + 1, dtype=np.int64)
    spans = np.full((vertices.shape[0], 2), -1, dtype=np.int64)  # first and last slab; none for a ring's last vertex
    for p in range(scales.shape[0]):
        slabs, low, scale = slab_starts[p + 1] - slab_starts[p], bounds[p, 1], scales[p]
        for ring in range(areas.polygon_starts[p], areas.polygon_starts[p + 1]):
            here = slab_starts[p] + find_slab(vertices[ring_starts[ring], 1], low, scale, slabs)
            for i in range(ring_starts[ring], ring_starts[ring + 1] - 1):
                there = slab_starts[p] + find_slab(vertices[i + 1, 1], low, scale, slabs)
                spans[i, 0], spans[i, 1] = min(here, there), max(here, there)
                for slab in range(spans[i, 0], spans[i, 1] + 1):
                    starts[slab + 1] += 1
                here = there
    starts = np.cumsum(starts)
    filled, edges = starts[:-1].copy(), np.empty((starts[-1], 4))
    for i in range(vertices.shape[0]):
        if spans[i, 0] < 0:
            continue
        for slab in range(spans[i, 0], spans[i, 1] + 1):
            row = filled[slab]
            filled[slab] = row + 1
            edges[row, 0], edges[row, 1] = vertices[i, 0], vertices[i, 1]
            edges[row, 2], edges[row, 3] = vertices[i + 1, 0], vertices[i + 1, 1]
    return starts, edges


@compile_kernel
def is_inside(areas: AreaIndex, p: int, x: float, y: float) -> bool:
    """Whether (x, y) is strictly inside polygon p: odd parity of the edges that the ray to the right crosses; a point
    on the border is outside."""
    bounds = areas.bounds
    if not (bounds[p, 0] <= x <= bounds[p, 2] and bounds[p, 1] <= y <= bounds[p, 3]):
        return False  # also for the NaN of a plan that overflows
    count = areas.slab_starts[p + 1] - areas.slab_starts[p]
    slab = areas.slab_starts[p] + find_slab(y, bounds[p, 1], areas.slab_scales[p], count)
    inside = False
    for e in range(areas.edge_starts[slab], areas.edge_starts[slab + 1]):
        ay, by = areas.edges[e, 1] - y, areas.edges[e, 3] - y
        if (ay > 0.0) != (by > 0.0):
            cross = (areas.edges[e, 0] - x) * by - (areas.edges[e, 2] - x) * ay
            if cross == 0.0:
                return False
            if (cross > 0.0) == (by > ay):
                inside = not inside
        elif ay == 0.0:
            ax, bx = areas.edges[e, 0] - x, areas.edges[e, 2] - x
            if ax == 0.0 or (by == 0.0 and (ax > 0.0) != (bx > 0.0)):
                return False  # on a vertex, or on a horizontal edge
    return inside


@compile_kernel
def is_lane(kind: int) -> bool:
    """Whether an area is a lane or lane connector."""
    return kind == LANE or kind == LANE_CONNECTOR


@compile_kernel
def is_road(kind: int) -> bool:
    """Whether an area makes what is under it drivable; a lane is on top of what does."""
    return not is_lane(kind) and kind != INTERIOR


@compile_kernel
def find_near(bounds: Any, box: Any, near: Any) -> int:
    """Write the rows of `bounds` (P, 4) that meet the box (4,) into `near`; returns how many."""
    count = 0
    for p in range(bounds.shape[0]):
        if box[2] < bounds[p, 0] or box[3] < bounds[p, 1] or box[0] > bounds[p, 2] or box[1] > bounds[p, 3]:
            continue
        near[count] = p
        count += 1
    return count
