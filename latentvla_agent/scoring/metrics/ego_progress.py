"""EP: progress along the centreline of the route, relative to the reference plan's."""

from __future__ import annotations

import numpy as np

from latentvla_agent.scoring.config import MetricConfig
from latentvla_agent.scoring.metrics.metric import Rollouts
from latentvla_agent.scoring.polyline import project_point
from latentvla_agent.scoring.state import FloatArray


def measure_progress(rollouts: Rollouts, centerline: FloatArray) -> FloatArray:
    """Metres (N,) between the projections of the first and the last box centre on the centreline (M, 2), at least 0."""
    progress = [
        project_point(centerline, end[0], end[1]) - project_point(centerline, start[0], start[1])
        for start, end in zip(rollouts.centers[:, 0], rollouts.centers[:, -1])
    ]
    return np.clip(np.array(progress, dtype=np.float64), 0.0, None)


def normalise_progress(
    effective: FloatArray, best: FloatArray, multiplier: FloatArray, config: MetricConfig
) -> FloatArray:
    """EP (N,) of v1.1 from progress times multipliers and the best of its comparison.

    Where even the best moves no further than 5 m, EP is 1, or 0 if a multiplier is 0.
    """
    compared = best > config.min_progress
    return np.where(compared, effective / np.where(compared, best, 1.0), np.where(multiplier == 0.0, 0.0, 1.0))
