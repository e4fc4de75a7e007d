"""DDC: how far the ego moves outside the lanes of its route within any second."""

from __future__ import annotations

import numpy as np

from latentvla_agent.scoring.config import NUM_STATES, MetricConfig
from latentvla_agent.scoring.metrics.ego_area import EgoAreas
from latentvla_agent.scoring.metrics.metric import MetricValues, Rollouts, find_first_step, values_of


def score_driving_direction(rollouts: Rollouts, areas: EgoAreas, config: MetricConfig) -> MetricValues:
    """1 below 2 m in one second, 0.5 below 6 m, else 0. v1.1 counts every place outside the route, junctions too."""
    moved = np.zeros(areas.off_route.shape)
    moved[:, 1:] = np.linalg.norm(np.diff(rollouts.centers, axis=1), axis=-1)
    moved[~areas.off_route] = 0.0
    window = config.driving_direction_window
    against = np.stack([moved[:, max(0, t - window) : t + 1].sum(axis=1) for t in range(NUM_STATES)], axis=1)
    worst = against.max(axis=1)
    below_violation = np.where(worst < config.driving_direction_violation, 0.5, 0.0)
    value = np.where(worst < config.driving_direction_compliance, 1.0, below_violation)
    return values_of(value, find_first_step(against >= config.driving_direction_compliance))
