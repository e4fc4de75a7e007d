"""DDC: how far the ego moves outside the lanes of its route within any second."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from latentvla_agent.scoring.kernels import NO_STEP, Numbers, compile_kernel
from latentvla_agent.scoring.metrics.ego_area import CENTER_AT_INTERSECTION, OFF_ROUTE


@compile_kernel
def score_driving_direction(centers: Any, flags: Any, numbers: Numbers) -> Tuple[float, int]:
    """1 below 2 m in one second, 0.5 below 6 m, else 0. v2.2 excuses intersections, v1.1 does not."""
    moved = np.zeros(centers.shape[0])
    worst, first = 0.0, NO_STEP
    for t in range(centers.shape[0]):
        excused = numbers.excuses_intersections and flags[CENTER_AT_INTERSECTION, t]
        if t > 0 and flags[OFF_ROUTE, t] and not excused:
            moved[t] = np.hypot(centers[t, 0] - centers[t - 1, 0], centers[t, 1] - centers[t - 1, 1])
        against = 0.0
        for i in range(max(0, t - numbers.direction_window), t + 1):
            against += moved[i]
        worst = max(worst, against)
        if first == NO_STEP and against >= numbers.direction_compliance:
            first = t
    if worst < numbers.direction_compliance:
        return 1.0, first
    return (0.5 if worst < numbers.direction_violation else 0.0), first
