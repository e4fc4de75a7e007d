"""TTC: the ego, projected ahead at constant velocity, stays clear of everything in front of it for a second."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from latentvla_agent.scoring.config import STEP_S, MetricConfig
from latentvla_agent.scoring.metrics.contact import bearing, boxes_touch
from latentvla_agent.scoring.metrics.ego_area import EgoAreas
from latentvla_agent.scoring.metrics.metric import NO_STEP, MetricValues, Rollouts, values_of
from latentvla_agent.scoring.observation import Observation


def score_time_to_collision(
    rollouts: Rollouts, areas: EgoAreas, observation: Observation, config: MetricConfig
) -> MetricValues:
    """1, or 0 where a projection of the moving ego meets an object ahead.

    Between lanes, off the road or at an intersection an object on the side counts too; one that does not count when it
    is first met is ignored from then on. v1.1 looks at all 41 steps, at 0, 0.3, 0.6 and 0.9 s ahead of each.
    """
    values = np.ones(len(rollouts.states))
    first_step = np.full(len(values), NO_STEP, dtype=np.int64)
    _project(
        rollouts.states,
        np.ascontiguousarray(rollouts.corners),
        areas.multiple_lanes | areas.off_road | areas.at_intersection,
        observation.frame_of_step,
        observation.corners,
        observation.centers,
        observation.present,
        observation.reach,
        observation.ignored,
        np.array(config.ttc_offsets, dtype=np.int64),
        config.stopped_ttc_speed,
        np.deg2rad(config.ahead_angle_deg),
        np.deg2rad(config.behind_angle_deg),
        values,
        first_step,
    )
    return values_of(values, first_step)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _project(
    states: Any,
    ego: Any,
    sides_count: Any,
    frame_of_step: Any,
    corners: Any,
    centers: Any,
    present: Any,
    reach: Any,
    ignored: Any,
    offsets: Any,
    stopped_speed: float,
    ahead: float,
    behind: float,
    values: Any,
    first_step: Any,
) -> None:
    skip = np.empty(ignored.shape[0], dtype=np.bool_)
    box = np.empty((4, 2))
    for n in range(states.shape[0]):
        skip[:] = ignored
        for t in range(states.shape[1]):
            state = states[n, t]
            speed = np.hypot(state[3], state[4])
            if speed < stopped_speed or values[n] == 0.0:
                continue
            for offset in offsets:
                f = frame_of_step[t + offset]
                travelled = speed * (offset * STEP_S)
                box[:, 0] = ego[n, t, :, 0] + np.cos(state[2]) * travelled
                box[:, 1] = ego[n, t, :, 1] + np.sin(state[2]) * travelled
                cx, cy = (box[0, 0] + box[2, 0]) / 2.0, (box[0, 1] + box[2, 1]) / 2.0
                radius = np.hypot(box[0, 0] - cx, box[0, 1] - cy) + 1e-3
                for k in range(ignored.shape[0]):
                    if skip[k] or not present[f, k]:
                        continue
                    if np.hypot(centers[f, k, 0] - cx, centers[f, k, 1] - cy) > radius + reach[k]:
                        continue
                    if not boxes_touch(box, corners[f, k]):
                        continue
                    angle = bearing(state[0], state[1], state[2], centers[f, k, 0], centers[f, k, 1])
                    if angle < ahead or (sides_count[n, t] and not angle > behind):
                        values[n] = 0.0
                        if first_step[n] == NO_STEP:
                            first_step[n] = t
                    else:
                        skip[k] = True
