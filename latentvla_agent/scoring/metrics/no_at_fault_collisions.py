"""NC: no collision for which the ego is at fault (nuPlan's at-fault collision metric as NAVSIM runs it)."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from latentvla_agent.scoring.kernels import NO_STEP, Numbers, Objects, compile_kernel
from latentvla_agent.scoring.metrics.contact import bearing, boxes_touch, segment_touches_box
from latentvla_agent.scoring.metrics.ego_area import MULTIPLE_LANES, OFF_ROAD

AGENT_HIT, STATIC_OBJECT_HIT = 0.0, 0.5  # score after hitting a road user, a thing


@compile_kernel
def is_at_fault(state: Any, ego: Any, outside_lane: bool, box: Any, center: Any, stopped: bool, numbers: Numbers) -> bool:
    """Whether the ego is to blame: the object stands, or the front bumper hits it, or the ego is hit on its side while
    between lanes or off the road. A standing ego is never to blame, nor one that is hit from behind."""
    if np.hypot(state[3], state[4]) <= numbers.stopped_ego_speed:
        return False
    if stopped:
        return True
    if bearing(state[0], state[1], state[2], center[0], center[1]) > numbers.behind:
        return False
    return outside_lane or segment_touches_box(ego[::3], box)  # front left to front right


@compile_kernel
def score_collisions(
    states: Any, corners: Any, centers: Any, flags: Any, objects: Objects, near: Any, skip: Any, numbers: Numbers
) -> Tuple[float, int]:
    """1, or 0.5 after an at-fault collision with a thing, or 0 after one with a road user.

    A track hit without fault is ignored from then on; `skip` (K,) is scratch.
    """
    value, first = 1.0, NO_STEP
    radius = np.hypot(numbers.half_length, numbers.half_width)
    for k in near:
        skip[k] = objects.ignored[k]
    for t in range(states.shape[0]):
        f = objects.frame_of_step[t]
        for k in near:
            if skip[k] or not objects.present[f, k]:
                continue
            dx, dy = objects.centers[f, k, 0] - centers[t, 0], objects.centers[f, k, 1] - centers[t, 1]
            reach = radius + objects.reach[k] + 1e-3
            if dx * dx + dy * dy > reach * reach or not boxes_touch(corners[t], objects.corners[f, k]):
                continue
            outside_lane = flags[MULTIPLE_LANES, t] or flags[OFF_ROAD, t]
            box, center, stopped = objects.corners[f, k], objects.centers[f, k], objects.is_stopped[k]
            if is_at_fault(states[t], corners[t], outside_lane, box, center, stopped, numbers):
                value = min(value, AGENT_HIT if objects.is_agent[k] else STATIC_OBJECT_HIT)
                first = t if first == NO_STEP else first
            else:
                skip[k] = True
    return value, first
