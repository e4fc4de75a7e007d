"""DAC: no corner of the ego box ever leaves lane groups, intersections and car parks."""

from __future__ import annotations

import numpy as np

from latentvla_agent.scoring.metrics.ego_area import EgoAreas
from latentvla_agent.scoring.metrics.metric import MetricValues, find_first_step, values_of


def score_drivable_area(areas: EgoAreas) -> MetricValues:
    """1, or 0 where a corner is off the road at any step."""
    return values_of(np.where(areas.off_road.any(axis=1), 0.0, 1.0), find_first_step(areas.off_road))
