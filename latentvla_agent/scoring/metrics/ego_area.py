"""Where the ego box is: in several lanes, off the drivable area, off its route, at an intersection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from latentvla_agent.scoring.areas import AreaKind, DrivableAreas
from latentvla_agent.scoring.metrics.metric import Rollouts

LANE, LANE_CONNECTOR = int(AreaKind.LANE), int(AreaKind.LANE_CONNECTOR)
INTERSECTION = int(AreaKind.INTERSECTION)


@dataclass(frozen=True)
class EgoAreas:
    """Flags (N, 41).

    multiple_lanes: corners lie in more than one lane and no lane holds all four · off_road: a corner is in no lane
    group, intersection or car park · off_route: the centre is in no lane of the route · at_intersection: the rear axle
    is in one.
    """

    multiple_lanes: npt.NDArray[np.bool_]
    off_road: npt.NDArray[np.bool_]
    off_route: npt.NDArray[np.bool_]
    at_intersection: npt.NDArray[np.bool_]


def locate_ego(rollouts: Rollouts, areas: DrivableAreas) -> EgoAreas:
    """Flags of `EgoAreas` for all rollouts; a point on a border is outside (devkit: strict containment)."""
    shape = rollouts.states.shape[:2]
    flags = np.zeros((4,) + shape, dtype=np.bool_)
    _flag_areas(
        np.ascontiguousarray(rollouts.corners),
        np.ascontiguousarray(rollouts.centers),
        np.ascontiguousarray(rollouts.states[..., :2]),
        areas.kinds,
        areas.on_route,
        areas.bounds,
        areas.polygon_starts,
        areas.ring_starts,
        areas.vertices,
        flags,
    )
    return EgoAreas(*flags)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def contains_point(vertices: Any, ring_starts: Any, first_ring: int, end_ring: int, x: float, y: float) -> bool:
    """Whether (x, y) lies inside the polygon of the rings `first_ring:end_ring` (odd parity over all rings).

    A point on a border is outside.
    """
    inside = False
    for ring in range(first_ring, end_ring):
        for i in range(ring_starts[ring], ring_starts[ring + 1] - 1):
            ax, ay = vertices[i, 0] - x, vertices[i, 1] - y
            bx, by = vertices[i + 1, 0] - x, vertices[i + 1, 1] - y
            if ay == 0.0 and (ax == 0.0 or (by == 0.0 and (ax > 0.0) != (bx > 0.0))):
                return False  # on a vertex, or on a horizontal edge
            if (ay > 0.0) != (by > 0.0):
                cross = ax * by - bx * ay
                if cross == 0.0:
                    return False
                if (cross > 0.0) == (by > ay):
                    inside = not inside
    return inside


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _in_polygon(p: int, x: float, y: float, bounds: Any, polygon_starts: Any, ring_starts: Any, vertices: Any) -> bool:
    if x < bounds[p, 0] or y < bounds[p, 1] or x > bounds[p, 2] or y > bounds[p, 3]:
        return False
    return contains_point(vertices, ring_starts, polygon_starts[p], polygon_starts[p + 1], x, y)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _flag_areas(
    corners: Any,
    centers: Any,
    rear_axles: Any,
    kinds: Any,
    on_route: Any,
    bounds: Any,
    polygon_starts: Any,
    ring_starts: Any,
    vertices: Any,
    flags: Any,
) -> None:
    covered = np.zeros(4, dtype=np.bool_)
    for n in range(corners.shape[0]):
        for t in range(corners.shape[1]):
            covered[:] = False
            lanes_touched, in_one_lane, on_the_route, at_intersection = 0, False, False, False
            low_x, high_x = corners[n, t, :, 0].min(), corners[n, t, :, 0].max()
            low_y, high_y = corners[n, t, :, 1].min(), corners[n, t, :, 1].max()
            for p in range(kinds.shape[0]):
                if high_x < bounds[p, 0] or high_y < bounds[p, 1] or low_x > bounds[p, 2] or low_y > bounds[p, 3]:
                    continue
                is_lane = kinds[p] == LANE or kinds[p] == LANE_CONNECTOR
                held = 0
                for c in range(4):
                    if not is_lane and covered[c]:
                        continue
                    x, y = corners[n, t, c, 0], corners[n, t, c, 1]
                    if _in_polygon(p, x, y, bounds, polygon_starts, ring_starts, vertices):
                        held += 1
                        if not is_lane:
                            covered[c] = True
                if is_lane:
                    lanes_touched += held > 0
                    in_one_lane = in_one_lane or held == 4
                    if on_route[p] and not on_the_route:
                        x, y = centers[n, t, 0], centers[n, t, 1]
                        on_the_route = _in_polygon(p, x, y, bounds, polygon_starts, ring_starts, vertices)
                if kinds[p] == INTERSECTION and not at_intersection:
                    x, y = rear_axles[n, t, 0], rear_axles[n, t, 1]
                    at_intersection = _in_polygon(p, x, y, bounds, polygon_starts, ring_starts, vertices)
            flags[0, n, t] = lanes_touched > 1 and not in_one_lane
            flags[1, n, t] = not (covered[0] and covered[1] and covered[2] and covered[3])
            flags[2, n, t] = not on_the_route
            flags[3, n, t] = at_intersection
