"""The total: the product of the multiplying sub-scores times the weighted mean of the others."""

from __future__ import annotations

from typing import Optional

import numpy as np

from latentvla_agent.scoring.config import WeightConfig
from latentvla_agent.scoring.kernels import SubScore
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import Rules


def aggregate(
    values: FloatArray,
    multiplier: FloatArray,
    ego_progress: FloatArray,
    weights: WeightConfig,
    rules: Rules,
    extended_comfort: Optional[FloatArray] = None,
) -> FloatArray:
    """PDMS v1.1 = NC DAC (5 EP + 5 TTC + 2 C) / 12,
    EPDMS v2.2 = NC DAC TLC DDC (5 EP + 5 TTC + 2 LK + 2 HC + 2 EC) / 16.

    `extended_comfort` (N,) is NaN, or missing altogether, where there is no plan half a second earlier: then / 14.
    Terms are added in the devkit's order, so that plans that tie there tie here.
    """
    weighted = ego_progress * weights.progress + values[:, SubScore.TIME_TO_COLLISION] * weights.time_to_collision
    total = weights.progress + weights.time_to_collision
    if rules.has_lane_keeping:
        weighted = weighted + values[:, SubScore.LANE_KEEPING] * weights.lane_keeping
        total += weights.lane_keeping
    weighted = weighted + values[:, SubScore.COMFORT] * weights.comfort
    total += weights.comfort
    if extended_comfort is None:
        return multiplier * (weighted / total)
    has_predecessor = ~np.isnan(extended_comfort)
    weighted = weighted + np.where(has_predecessor, extended_comfort, 0.0) * weights.extended_comfort
    return multiplier * (weighted / np.where(has_predecessor, total + weights.extended_comfort, total))
