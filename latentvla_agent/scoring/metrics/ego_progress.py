"""EP: progress along the centreline of the route, relative to the reference plan's."""

from __future__ import annotations

import numpy as np

from latentvla_agent.scoring.kernels import Rollout, World, compile_kernel
from latentvla_agent.scoring.polyline import project_point
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import Rules


@compile_kernel
def measure_progress(rollout: Rollout, world: World) -> float:
    """Metres between the projections of the first and the last box centre on the centreline (M, 2), at least 0."""
    centers, centerline = rollout.centers, world.centerline
    start = project_point(centerline, centers[0, 0], centers[0, 1])
    end = project_point(centerline, centers[-1, 0], centers[-1, 1])
    return max(end - start, 0.0)


def normalise_progress(
    progress: FloatArray, multiplier: FloatArray, best: FloatArray, min_progress: float, rules: Rules
) -> FloatArray:
    """EP (N,) from raw progress [m] and the product of the multiplying sub-scores; `best` is the largest product of
    both among the plans compared. Where even the best moves no further than `min_progress`, EP is 1.

    v1.1 multiplies the plan's own progress too, so its EP is 0 where its multiplier is; v2.2 does not.
    """
    compared = best > min_progress
    scale = np.where(compared, best, 1.0)
    if rules.generation == 1:
        return np.where(compared, progress * multiplier / scale, np.where(multiplier == 0.0, 0.0, 1.0))
    return np.where(compared, np.clip(progress / scale, 0.0, 1.0), 1.0)
