"""Where the ego box is: in several lanes, off the drivable area, off its route, at an intersection.

What every rollout needs (road, route) is found for all steps; the rest only where a metric asks, which is rarely.
"""

from __future__ import annotations

from typing import Any

from latentvla_agent.scoring.area_index import INTERIOR, INTERSECTION, is_inside, is_lane, is_road
from latentvla_agent.scoring.kernels import AreaIndex, compile_kernel
from latentvla_agent.scoring.metrics.area_cells import (
    ROAD_EDGE,
    ROAD_INSIDE,
    ROUTE_EDGE,
    ROUTE_INSIDE,
    AreaCells,
    look_up,
)

OFF_ROAD, OFF_ROUTE, NUM_FLAGS = 0, 1, 2  # rows of the flags


@compile_kernel
def flag_areas(corners: Any, centers: Any, areas: AreaIndex, near: Any, cells: AreaCells, flags: Any) -> None:
    """Set the rows of flags (2, 41): a corner is in no lane group, intersection or car park; the centre is in no lane
    of the route. What the cells do not know is looked up in the polygons `near`, that of the last step first."""
    road, lane = 0, 0
    for t in range(corners.shape[0]):
        covered, is_off = 0, False  # one bit per corner
        for c in range(4):
            bits = look_up(cells, corners[t, c, 0], corners[t, c, 1])
            covered |= (1 << c) if bits & ROAD_INSIDE else 0
            is_off |= not bits & (ROAD_INSIDE | ROAD_EDGE)
        if not is_off and covered != 15:
            covered, road = _cover_corners(corners[t], areas, near, covered, road)
        flags[OFF_ROAD, t] = covered != 15
        bits = look_up(cells, centers[t, 0], centers[t, 1])
        flags[OFF_ROUTE, t] = not bits & ROUTE_INSIDE
        if bits & ROUTE_EDGE and not bits & ROUTE_INSIDE:
            found = _find_lane(centers[t, 0], centers[t, 1], areas, near, lane)
            flags[OFF_ROUTE, t] = found < 0
            lane = max(found, 0)


@compile_kernel
def _cover_corners(corners: Any, areas: AreaIndex, near: Any, covered: int, hint: int) -> Any:
    """The bits of the corners (4, 2) that are on the road, those of `covered` known before, and the place in `near` of
    the polygon that holds all the others, if one does; `hint` is looked at first."""
    known = covered
    for i in range(near.shape[0]):
        p = near[_swap_front(i, hint)]
        if not is_road(areas.kinds[p]):
            continue
        before = covered
        for c in range(4):
            if not covered & (1 << c) and is_inside(areas, p, corners[c, 0], corners[c, 1]):
                covered |= 1 << c
        if covered == 15:
            return covered, _swap_front(i, hint) if before == known else hint
    return covered, hint


@compile_kernel
def _find_lane(x: float, y: float, areas: AreaIndex, near: Any, hint: int) -> int:
    """The place in `near` of a lane of the route that holds (x, y), -1 for none; `hint` is looked at first."""
    for i in range(near.shape[0]):
        place = _swap_front(i, hint)
        if areas.on_route[near[place]] and is_inside(areas, near[place], x, y):
            return place
    return -1


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
        if not is_lane(areas.kinds[p]):
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
