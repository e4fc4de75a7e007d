"""NC: no collision for which the ego is at fault (nuPlan's at-fault collision metric as NAVSIM runs it)."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from latentvla_agent.scoring.kernels import NO_STEP, Rollout, World, compile_kernel
from latentvla_agent.scoring.metrics.contact import bearing, boxes_touch, segment_touches_box
from latentvla_agent.scoring.metrics.ego_area import OFF_ROAD, is_between_lanes

AGENT_HIT, STATIC_OBJECT_HIT = 0.0, 0.5  # score after hitting a road user, a thing
NO_OBJECT = -1  # nothing was hit
ROOM = 1e-3  # m, keeps rounding out of the test of circles before that of boxes


@compile_kernel
def is_at_fault(rollout: Rollout, t: int, k: int, world: World) -> bool:
    """Whether the ego is to blame for touching object k at step t: the object stands, or the front bumper hits it, or
    the ego is hit on its side while between lanes or off the road. A standing ego is never to blame, nor one that is
    hit from behind."""
    objects, state, corners = world.objects, rollout.states[t], rollout.corners[t]
    if np.hypot(state[3], state[4]) <= world.numbers.stopped_ego_speed:
        return False
    if objects.is_stopped[k]:
        return True
    center = objects.centers[objects.frame_of_step[t], k]
    clamps = world.numbers.clamps_bearings
    if bearing(state[0], state[1], state[2], center[0], center[1], clamps) > world.numbers.behind:
        return False
    front_bumper = corners[::3]
    if segment_touches_box(front_bumper, objects.corners[objects.frame_of_step[t], k]):
        return True
    return rollout.flags[OFF_ROAD, t] or is_between_lanes(corners, world.areas, rollout.near_areas)


@compile_kernel
def score_collisions(rollout: Rollout, world: World) -> Tuple[float, int, int]:
    """1, or 0.5 after an at-fault collision with a thing, or 0 after one with a road user; the step of the first, and
    the object of it: of several at that step the nearest.

    A track hit without fault is ignored from then on.
    """
    value, first, struck, nearest = 1.0, NO_STEP, NO_OBJECT, np.inf
    objects, centers, skip, near = world.objects, rollout.centers, rollout.skip, rollout.near_objects
    radius = np.hypot(world.numbers.half_length, world.numbers.half_width) + ROOM
    for k in near:
        skip[k] = objects.ignored[k]
    for t in range(centers.shape[0]):
        f = objects.frame_of_step[t]
        for k in near:
            dx, dy = objects.centers[f, k, 0] - centers[t, 0], objects.centers[f, k, 1] - centers[t, 1]
            reach = radius + objects.reach[k]
            if dx * dx + dy * dy > reach * reach or skip[k] or not objects.present[f, k]:
                continue
            if not boxes_touch(rollout.corners[t], objects.corners[f, k]):
                continue
            if is_at_fault(rollout, t, k, world):
                value = min(value, AGENT_HIT if objects.is_agent[k] else STATIC_OBJECT_HIT)
                first = t if first == NO_STEP else first
                if first == t and (struck == NO_OBJECT or dx * dx + dy * dy < nearest):
                    struck, nearest = k, dx * dx + dy * dy
            else:
                skip[k] = True
    return value, first, struck
