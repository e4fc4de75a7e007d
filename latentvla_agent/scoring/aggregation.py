"""PDMS v1.1: the product of the multiplying sub-scores times the weighted mean of the others."""

from __future__ import annotations

import numpy as np

from latentvla_agent.scoring.config import MetricConfig
from latentvla_agent.scoring.rollout_scores import RolloutScores
from latentvla_agent.scoring.state import FloatArray


def aggregate_pdms(scores: RolloutScores, ego_progress: FloatArray, config: MetricConfig) -> FloatArray:
    """PDMS (N,) = NC DAC (5 EP + 5 TTC + 2 C) / 12, summed in the devkit's order so that equal plans tie exactly."""
    weights = np.array([config.progress_weight, config.ttc_weight, config.comfort_weight])
    weighted = ego_progress * weights[0]
    weighted = weighted + scores.time_to_collision_within_bound.value * weights[1]
    weighted = weighted + scores.comfort.value * weights[2]
    total: FloatArray = scores.multiplier * (weighted / weights.sum())
    return total
