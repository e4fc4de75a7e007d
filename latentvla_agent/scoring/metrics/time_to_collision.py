"""TTC: the ego, projected ahead at constant velocity, stays clear of everything in front of it for a second."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from latentvla_agent.scoring.config import STEP_S
from latentvla_agent.scoring.kernels import NO_STEP, Rollout, World, compile_kernel
from latentvla_agent.scoring.metrics.contact import bearing, boxes_touch
from latentvla_agent.scoring.metrics.ego_area import OFF_ROAD, is_at_intersection, is_between_lanes
from latentvla_agent.scoring.metrics.no_at_fault_collisions import ROOM


@compile_kernel
def score_time_to_collision(rollout: Rollout, world: World) -> Tuple[float, int]:
    """1, or 0 where a projection of the moving ego meets an object ahead.

    Between lanes, off the road or at an intersection an object on the side counts too; one that does not count when it
    is first met is ignored from then on. v1.1 looks at all 41 steps, v2.2 at the first 32; each at 0, 0.3, 0.6 and
    0.9 s ahead.
    """
    numbers, objects, near, skip = world.numbers, world.objects, rollout.near_objects, rollout.skip
    corners, centers = rollout.corners, rollout.centers
    radius = np.hypot(numbers.half_length, numbers.half_width) + ROOM
    for k in near:
        skip[k] = objects.ignored[k]
    for t in range(numbers.ttc_steps):
        state = rollout.states[t]
        speed = np.hypot(state[3], state[4])
        if speed < numbers.stopped_ttc_speed:
            continue
        cos, sin = np.cos(state[2]), np.sin(state[2])
        for projection in range(numbers.ttc_projections):
            ahead = projection * numbers.ttc_stride
            f = objects.frame_of_step[t + ahead]
            x, y = speed * (ahead * STEP_S) * cos, speed * (ahead * STEP_S) * sin
            moved_x, moved_y = centers[t, 0] + x, centers[t, 1] + y
            for k in near:
                dx, dy = objects.centers[f, k, 0] - moved_x, objects.centers[f, k, 1] - moved_y
                reach = radius + objects.reach[k]
                if dx * dx + dy * dy > reach * reach or skip[k] or not objects.present[f, k]:
                    continue
                if not boxes_touch(corners[t] + np.array([x, y]), objects.corners[f, k]):
                    continue
                if _counts(rollout, world, t, objects.centers[f, k]):
                    return 0.0, t
                skip[k] = True
    return 1.0, NO_STEP


@compile_kernel
def _counts(rollout: Rollout, world: World, t: int, center: Any) -> bool:
    """Whether an object there is ahead, or beside an ego that is where it must expect others from the side."""
    state = rollout.states[t]
    clamps = world.numbers.clamps_bearings
    angle = bearing(state[0], state[1], state[2], center[0], center[1], clamps)
    if angle < world.numbers.ahead:
        return True
    if angle > world.numbers.behind:
        return False
    if rollout.flags[OFF_ROAD, t] or is_between_lanes(rollout.corners[t], world.areas, rollout.near_areas):
        return True
    return is_at_intersection(state[0], state[1], world.areas, rollout.near_areas)
