"""LK (v2.2): the box centre does not stay off the centreline for long."""

from __future__ import annotations

from typing import Tuple

from latentvla_agent.scoring.kernels import NO_STEP, Rollout, World, compile_kernel
from latentvla_agent.scoring.metrics.ego_area import is_at_intersection
from latentvla_agent.scoring.polyline import find_stretch, find_within


@compile_kernel
def score_lane_keeping(rollout: Rollout, world: World) -> Tuple[float, int]:
    """1, or 0 after 2 s in a row more than 0.5 m off; steps at an intersection neither count nor break the row."""
    in_a_row, hint, limit = 0, 0, world.numbers.lane_deviation
    first, last = find_stretch(world.centerline, rollout.centers, limit)
    near = world.centerline[first:last]
    for t in range(rollout.centers.shape[0]):
        x, y = rollout.centers[t, 0], rollout.centers[t, 1]
        hint = find_within(near, x, y, limit, max(hint, 0))
        is_off = hint < 0
        if not is_off and in_a_row == 0:
            continue
        if is_at_intersection(x, y, world.areas, rollout.near_areas):
            continue
        in_a_row = in_a_row + 1 if is_off else 0
        if in_a_row >= world.numbers.lane_deviation_steps:
            return 0.0, t
    return 1.0, NO_STEP
