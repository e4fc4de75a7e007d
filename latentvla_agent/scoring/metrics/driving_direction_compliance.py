"""DDC: how far the ego moves outside the lanes of its route within any second."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from latentvla_agent.scoring.kernels import NO_STEP, Rollout, World, compile_kernel
from latentvla_agent.scoring.metrics.ego_area import OFF_ROUTE, is_at_intersection


@compile_kernel
def score_driving_direction(rollout: Rollout, world: World) -> Tuple[float, int]:
    """1 below 2 m in one second, 0.5 below 6 m, else 0. v2.2 excuses intersections, v1.1 does not."""
    centers, flags, numbers = rollout.centers, rollout.flags, world.numbers
    moved = np.zeros(centers.shape[0])
    worst, first = 0.0, NO_STEP
    for t in range(centers.shape[0]):
        if t > 0 and flags[OFF_ROUTE, t]:
            x, y = centers[t, 0], centers[t, 1]
            excused = numbers.excuses_intersections and is_at_intersection(x, y, world.areas, rollout.near_areas)
            moved[t] = 0.0 if excused else np.hypot(x - centers[t - 1, 0], y - centers[t - 1, 1])
        against = 0.0
        for i in range(max(0, t - numbers.direction_window), t + 1):
            against += moved[i]
        worst = max(worst, against)
        if first == NO_STEP and against >= numbers.direction_compliance:
            first = t
    if worst < numbers.direction_compliance:
        return 1.0, first
    return (0.5 if worst < numbers.direction_violation else 0.0), first
