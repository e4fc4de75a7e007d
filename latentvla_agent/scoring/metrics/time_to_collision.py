"""TTC: the ego, projected ahead at constant velocity, stays clear of everything in front of it for a second."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from latentvla_agent.scoring.config import STEP_S
from latentvla_agent.scoring.kernels import NO_STEP, Numbers, Objects, compile_kernel
from latentvla_agent.scoring.metrics.contact import bearing, boxes_touch
from latentvla_agent.scoring.metrics.ego_area import AXLE_AT_INTERSECTION, MULTIPLE_LANES, OFF_ROAD


@compile_kernel
def score_time_to_collision(
    states: Any, corners: Any, centers: Any, flags: Any, objects: Objects, near: Any, skip: Any, numbers: Numbers
) -> Tuple[float, int]:
    """1, or 0 where a projection of the moving ego meets an object ahead.

    Between lanes, off the road or at an intersection an object on the side counts too; one that does not count when it
    is first met is ignored from then on. v1.1 looks at all 41 steps, v2.2 at the first 32; each at 0, 0.3, 0.6 and
    0.9 s ahead. `skip` (K,) is scratch.
    """
    box = np.empty((4, 2))
    for k in near:
        skip[k] = objects.ignored[k]
    radius = np.hypot(numbers.half_length, numbers.half_width)
    for t in range(numbers.ttc_steps):
        state = states[t]
        speed = np.hypot(state[3], state[4])
        if speed < numbers.stopped_ttc_speed:
            continue
        sides_count = flags[MULTIPLE_LANES, t] or flags[OFF_ROAD, t] or flags[AXLE_AT_INTERSECTION, t]
        cos, sin = np.cos(state[2]), np.sin(state[2])
        for projection in range(numbers.ttc_projections):
            ahead = projection * numbers.ttc_stride
            f = objects.frame_of_step[t + ahead]
            travelled = speed * (ahead * STEP_S)
            step_x, step_y = cos * travelled, sin * travelled
            x, y = centers[t, 0] + step_x, centers[t, 1] + step_y
            box[0, 0] = np.nan  # not yet moved
            for k in near:
                if skip[k] or not objects.present[f, k]:
                    continue
                dx, dy = objects.centers[f, k, 0] - x, objects.centers[f, k, 1] - y
                reach = radius + objects.reach[k] + 1e-3
                if dx * dx + dy * dy > reach * reach:
                    continue
                if np.isnan(box[0, 0]):
                    for c in range(4):
                        box[c, 0], box[c, 1] = corners[t, c, 0] + step_x, corners[t, c, 1] + step_y
                if not boxes_touch(box, objects.corners[f, k]):
                    continue
                angle = bearing(state[0], state[1], state[2], objects.centers[f, k, 0], objects.centers[f, k, 1])
                if angle < numbers.ahead or (sides_count and not angle > numbers.behind):
                    return 0.0, t
                skip[k] = True
    return 1.0, NO_STEP
