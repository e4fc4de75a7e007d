"""LK (v2.2): the box centre does not stay off the centreline for long."""

from __future__ import annotations

from typing import Any, Tuple

from latentvla_agent.scoring.kernels import NO_STEP, Numbers, compile_kernel
from latentvla_agent.scoring.metrics.ego_area import CENTER_AT_INTERSECTION
from latentvla_agent.scoring.polyline import is_farther_than


@compile_kernel
def score_lane_keeping(centers: Any, flags: Any, centerline: Any, numbers: Numbers) -> Tuple[float, int]:
    """1, or 0 after 2 s in a row more than 0.5 m off; steps at an intersection neither count nor break the row."""
    in_a_row = 0
    for t in range(centers.shape[0]):
        if flags[CENTER_AT_INTERSECTION, t]:
            continue
        is_off = is_farther_than(centerline, centers[t, 0], centers[t, 1], numbers.lane_deviation)
        in_a_row = in_a_row + 1 if is_off else 0
        if in_a_row >= numbers.lane_deviation_steps:
            return 0.0, t
    return 1.0, NO_STEP
