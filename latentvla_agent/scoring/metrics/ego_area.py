"""Where the ego box is: in several lanes, off the drivable area, off its route, at an intersection."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.kernels import Areas, compile_kernel
from latentvla_agent.scoring.metrics.contact import contains_point


class EgoArea(IntEnum):
    """Rows of the flags: corners are in more than one lane and no lane holds all four · a corner is in no lane group,
    intersection or car park · the centre is in no lane of the route · rear axle, centre at an intersection."""

    MULTIPLE_LANES = 0
    OFF_ROAD = 1
    OFF_ROUTE = 2
    AXLE_AT_INTERSECTION = 3
    CENTER_AT_INTERSECTION = 4


LANE, LANE_CONNECTOR = int(AreaKind.LANE), int(AreaKind.LANE_CONNECTOR)
INTERSECTION = int(AreaKind.INTERSECTION)
MULTIPLE_LANES, OFF_ROAD, OFF_ROUTE = int(EgoArea.MULTIPLE_LANES), int(EgoArea.OFF_ROAD), int(EgoArea.OFF_ROUTE)
AXLE_AT_INTERSECTION = int(EgoArea.AXLE_AT_INTERSECTION)
CENTER_AT_INTERSECTION = int(EgoArea.CENTER_AT_INTERSECTION)


@compile_kernel
def _in_polygon(areas: Areas, p: int, x: float, y: float) -> bool:
    """Strictly inside, as the devkit asks; a border that is hit to the last bit is anybody's guess."""
    bounds = areas.bounds
    if x < bounds[p, 0] or y < bounds[p, 1] or x > bounds[p, 2] or y > bounds[p, 3]:
        return False
    inside = False
    for ring in range(areas.polygon_starts[p], areas.polygon_starts[p + 1]):
        if contains_point(areas.vertices, areas.ring_starts[ring], areas.ring_starts[ring + 1], x, y):
            inside = not inside
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
def flag_areas(states: Any, corners: Any, centers: Any, areas: Areas, near: Any, flags: Any) -> None:
    """Set flags (5, 41) of one rollout, looking only at the polygons `near`."""
    for t in range(corners.shape[0]):
        _flag_step(states[t], corners[t], centers[t], areas, near, flags[:, t])


@compile_kernel
def _flag_step(state: Any, corners: Any, center: Any, areas: Areas, near: Any, flags: Any) -> None:
    covered = 0  # one bit per corner
    lanes_touched, in_one_lane = 0, False
    flags[OFF_ROUTE] = True
    flags[AXLE_AT_INTERSECTION] = flags[CENTER_AT_INTERSECTION] = False
    low_x = min(min(corners[0, 0], corners[1, 0]), min(corners[2, 0], corners[3, 0]))
    low_y = min(min(corners[0, 1], corners[1, 1]), min(corners[2, 1], corners[3, 1]))
    high_x = max(max(corners[0, 0], corners[1, 0]), max(corners[2, 0], corners[3, 0]))
    high_y = max(max(corners[0, 1], corners[1, 1]), max(corners[2, 1], corners[3, 1]))
    for p in near:
        bounds = areas.bounds[p]
        if high_x < bounds[0] or high_y < bounds[1] or low_x > bounds[2] or low_y > bounds[3]:
            continue
        kind = areas.kinds[p]
        is_lane = kind == LANE or kind == LANE_CONNECTOR
        held = 0
        for c in range(4):
            if (is_lane or not covered & (1 << c)) and _in_polygon(areas, p, corners[c, 0], corners[c, 1]):
                held |= 1 << c
        if is_lane:
            lanes_touched += held != 0
            in_one_lane = in_one_lane or held == 15
            if areas.on_route[p] and flags[OFF_ROUTE]:
                flags[OFF_ROUTE] = not _in_polygon(areas, p, center[0], center[1])
        else:
            covered |= held
        if kind == INTERSECTION:
            if not flags[AXLE_AT_INTERSECTION]:
                flags[AXLE_AT_INTERSECTION] = _in_polygon(areas, p, state[0], state[1])
            if not flags[CENTER_AT_INTERSECTION]:
                flags[CENTER_AT_INTERSECTION] = _in_polygon(areas, p, center[0], center[1])
    flags[MULTIPLE_LANES] = lanes_touched > 1 and not in_one_lane
    flags[OFF_ROAD] = covered != 15
