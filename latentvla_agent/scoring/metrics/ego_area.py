"""Where the ego box is: in several lanes, off the drivable area, off its route, at an intersection.

What every rollout needs (road, route) is found for all steps; the rest only where a metric asks, which is rarely.
"""

from __future__ import annotations

from typing import Any

from latentvla_agent.scoring.areas import AreaKind, find_slab
from latentvla_agent.scoring.kernels import AreaIndex, compile_kernel

LANE, LANE_CONNECTOR = int(AreaKind.LANE), int(AreaKind.LANE_CONNECTOR)
INTERSECTION, INTERIOR = int(AreaKind.INTERSECTION), int(AreaKind.INTERSECTION_INTERIOR)
OFF_ROAD, OFF_ROUTE, NUM_FLAGS = 0, 1, 2  # rows of the flags


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
def find_near(bounds: Any, box: Any, near: Any) -> int:
    """Write the rows of `bounds` (P, 4) that meet the box (4,) into `near`; returns how many."""
    count = 0
    for p in range(bounds.shape[0]):
        if box[2] < bounds[p, 0] or box[3] < bounds[p, 1] or box[0] > bounds[p, 2] or box[1] > bounds[p, 3]:
            continue
        near[count] = p
        count += 1
    return count


@compile_kernel
def _is_lane(kind: int) -> bool:
    return kind == LANE or kind == LANE_CONNECTOR


@compile_kernel
def flag_areas(corners: Any, centers: Any, areas: AreaIndex, near: Any, flags: Any) -> None:
    """Set the rows of flags (2, 41): a corner is in no lane group, intersection or car park; the centre is in no lane
    of the route. Only the polygons `near` are looked at, that of the last step first."""
    road, lane = 0, 0
    for t in range(corners.shape[0]):
        covered = 0  # one bit per corner
        for i in range(near.shape[0]):
            p = near[_swap_front(i, road)]
            if _is_lane(areas.kinds[p]) or areas.kinds[p] == INTERIOR:
                continue
            before = covered
            for c in range(4):
                if not covered & (1 << c) and is_inside(areas, p, corners[t, c, 0], corners[t, c, 1]):
                    covered |= 1 << c
            if covered == 15:
                road = _swap_front(i, road) if before == 0 else road
                break
        flags[OFF_ROAD, t] = covered != 15
        flags[OFF_ROUTE, t] = True
        for i in range(near.shape[0]):
            p = near[_swap_front(i, lane)]
            if areas.on_route[p] and is_inside(areas, p, centers[t, 0], centers[t, 1]):
                flags[OFF_ROUTE, t] = False
                lane = _swap_front(i, lane)
                break


@compile_kernel
def _swap_front(i: int, hint: int) -> int:
    """The i-th of an order in which `hint` and 0 have changed places."""
    if i == 0:
        return hint
    return 0 if i == hint else i


@compile_kernel
def is_between_lanes(corners: Any, areas: AreaIndex, near: Any) -> bool:
    """Whether corners (4, 2) lie in more than one lane and no lane holds all four."""
    lanes_touched = 0
    for p in near:
        if not _is_lane(areas.kinds[p]):
            continue
        held = 0
        for c in range(4):
            held += is_inside(areas, p, corners[c, 0], corners[c, 1])
        if held == 4:
            return False
        lanes_touched += held > 0
    return lanes_touched > 1


@compile_kernel
def is_at_intersection(x: float, y: float, areas: AreaIndex, near: Any) -> bool:
    """Whether (x, y) is inside an intersection."""
    for p in near:
        if (areas.kinds[p] == INTERSECTION or areas.kinds[p] == INTERIOR) and is_inside(areas, p, x, y):
            return True
    return False
