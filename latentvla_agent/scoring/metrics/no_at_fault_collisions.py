"""NC: no collision for which the ego is at fault (nuPlan's at-fault collision metric as NAVSIM v1.1 runs it)."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

from latentvla_agent.scoring.config import MetricConfig
from latentvla_agent.scoring.metrics.contact import bearing, boxes_touch, segment_touches_box
from latentvla_agent.scoring.metrics.ego_area import EgoAreas
from latentvla_agent.scoring.metrics.metric import NO_STEP, MetricValues, Rollouts, values_of
from latentvla_agent.scoring.observation import Observation

AGENT_HIT, STATIC_OBJECT_HIT = 0.0, 0.5  # score after hitting a road user, a thing


def score_collisions(
    rollouts: Rollouts, areas: EgoAreas, observation: Observation, config: MetricConfig
) -> MetricValues:
    """1, or 0.5 after an at-fault collision with a thing, or 0 after one with a road user.

    At fault: the object stands, or the front bumper hits it, or the ego is hit on its side while between lanes or off
    the road. A standing ego is never at fault. A track hit without fault is ignored from then on.
    """
    values = np.ones(len(rollouts.states))
    first_step = np.full(len(values), NO_STEP, dtype=np.int64)
    _collide(
        rollouts.states,
        np.ascontiguousarray(rollouts.corners),
        areas.multiple_lanes | areas.off_road,
        observation.frame_of_step,
        observation.corners,
        observation.centers,
        observation.present,
        observation.reach,
        observation.is_agent,
        observation.is_stopped,
        observation.ignored,
        config.stopped_ego_speed,
        np.deg2rad(config.behind_angle_deg),
        values,
        first_step,
    )
    return values_of(values, first_step)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _is_at_fault(
    state: Any, ego: Any, outside_lane: bool, box: Any, center: Any, stopped: bool, stopped_speed: float, behind: float
) -> bool:
    if np.hypot(state[3], state[4]) <= stopped_speed:
        return False
    if stopped:
        return True
    if bearing(state[0], state[1], state[2], center[0], center[1]) > behind:
        return False
    return outside_lane or segment_touches_box(ego[::3], box)  # front left to front right


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _collide(
    states: Any,
    ego: Any,
    outside_lane: Any,
    frame_of_step: Any,
    corners: Any,
    centers: Any,
    present: Any,
    reach: Any,
    is_agent: Any,
    is_stopped: Any,
    ignored: Any,
    stopped_speed: float,
    behind: float,
    values: Any,
    first_step: Any,
) -> None:
    skip = np.empty(ignored.shape[0], dtype=np.bool_)
    for n in range(states.shape[0]):
        skip[:] = ignored
        for t in range(states.shape[1]):
            f = frame_of_step[t]
            box = ego[n, t]
            cx, cy = (box[0, 0] + box[2, 0]) / 2.0, (box[0, 1] + box[2, 1]) / 2.0
            radius = np.hypot(box[0, 0] - cx, box[0, 1] - cy) + 1e-3
            for k in range(ignored.shape[0]):
                if skip[k] or not present[f, k]:
                    continue
                if np.hypot(centers[f, k, 0] - cx, centers[f, k, 1] - cy) > radius + reach[k]:
                    continue
                if not boxes_touch(box, corners[f, k]):
                    continue
                if _is_at_fault(
                    states[n, t],
                    box,
                    outside_lane[n, t],
                    corners[f, k],
                    centers[f, k],
                    is_stopped[k],
                    stopped_speed,
                    behind,
                ):
                    values[n] = min(values[n], AGENT_HIT if is_agent[k] else STATIC_OBJECT_HIT)
                    if first_step[n] == NO_STEP:
                        first_step[n] = t
                else:
                    skip[k] = True
