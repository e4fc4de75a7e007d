"""DAC: no corner of the ego box ever leaves lane groups, intersections and car parks."""

from __future__ import annotations

from typing import Tuple

from latentvla_agent.scoring.kernels import NO_STEP, Rollout, compile_kernel
from latentvla_agent.scoring.metrics.ego_area import OFF_ROAD


@compile_kernel
def score_drivable_area(rollout: Rollout) -> Tuple[float, int]:
    """1, or 0 where a corner is off the road at any step."""
    for t in range(rollout.flags.shape[1]):
        if rollout.flags[OFF_ROAD, t]:
            return 0.0, t
    return 1.0, NO_STEP
