"""TLC (v2.2): the ego box never touches a lane connector of its route while its light is red."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from latentvla_agent.scoring.kernels import NO_STEP, Rollout, World, compile_kernel
from latentvla_agent.scoring.metrics.contact import box_touches_ring


@compile_kernel
def score_traffic_lights(rollout: Rollout, world: World) -> Tuple[float, int]:
    """1, or 0 where the box touches a red area at any step, the start included (an ego that stopped in it fails)."""
    lights, corners = world.lights, rollout.corners
    first = corners.shape[0]
    for light in range(lights.is_red.shape[1]):
        start, end = lights.starts[light], lights.starts[light + 1]
        low_x, low_y, high_x, high_y = bound_points(lights.vertices[start:end])
        for t in range(first):
            if not lights.is_red[t, light]:
                continue
            min_x, min_y, max_x, max_y = bound_points(corners[t])
            if max_x < low_x or max_y < low_y or min_x > high_x or min_y > high_y:
                continue
            if box_touches_ring(corners[t], lights.vertices, start, end):
                first = t
                break
    return (1.0, NO_STEP) if first == corners.shape[0] else (0.0, first)


@compile_kernel
def bound_points(points: Any) -> Tuple[float, float, float, float]:
    """Least and greatest x and y of points (N, 2), as min x, min y, max x, max y."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for i in range(points.shape[0]):
        low_x, low_y = min(low_x, points[i, 0]), min(low_y, points[i, 1])
        high_x, high_y = max(high_x, points[i, 0]), max(high_y, points[i, 1])
    return low_x, low_y, high_x, high_y
