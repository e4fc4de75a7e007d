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
    numbers, objects = world.numbers, world.objects
    for k in rollout.near_objects:
        rollout.skip[k] = objects.ignored[k]
    shift = np.empty(2)
    for t in range(numbers.ttc_steps):
        state = rollout.states[t]
        speed = np.hypot(state[3], state[4])
        if speed < numbers.stopped_ttc_speed:
            continue
        for projection in range(numbers.ttc_projections):
            ahead = projection * numbers.ttc_stride
            travelled = speed * (ahead * STEP_S)
            shift[0], shift[1] = np.cos(state[2]) * travelled, np.sin(state[2]) * travelled
            if _meets_object(rollout, world, t, objects.frame_of_step[t + ahead], shift):
                return 0.0, t
    return 1.0, NO_STEP


@compile_kernel
def _meets_object(rollout: Rollout, world: World, t: int, f: int, shift: Any) -> bool:
    """Whether the box of step t, moved by `shift`, meets an object of frame f that counts."""
    objects, skip = world.objects, rollout.skip
    x, y = rollout.centers[t, 0] + shift[0], rollout.centers[t, 1] + shift[1]
    radius = np.hypot(world.numbers.half_length, world.numbers.half_width)
    for k in rollout.near_objects:
        dx, dy = objects.centers[f, k, 0] - x, objects.centers[f, k, 1] - y
        reach = radius + objects.reach[k] + ROOM
        if dx * dx + dy * dy > reach * reach or skip[k] or not objects.present[f, k]:
            continue
        if not boxes_touch(rollout.corners[t] + shift, objects.corners[f, k]):
            continue
        if _counts(rollout, world, t, objects.centers[f, k]):
            return True
        skip[k] = True
    return False


@compile_kernel
def _counts(rollout: Rollout, world: World, t: int, center: Any) -> bool:
    """Whether an object there is ahead, or beside an ego that is where it must expect others from the side."""
    state = rollout.states[t]
    angle = bearing(state[0], state[1], state[2], center[0], center[1])
    if angle < world.numbers.ahead:
        return True
    if angle > world.numbers.behind:
        return False
    if rollout.flags[OFF_ROAD, t] or is_between_lanes(rollout.corners[t], world.areas, rollout.near_areas):
        return True
    return is_at_intersection(state[0], state[1], world.areas, rollout.near_areas)
