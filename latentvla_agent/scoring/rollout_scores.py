"""All sub-scores of simulated rollouts in one scene, before any comparison with another plan."""

from __future__ import annotations

from dataclasses import dataclass

from latentvla_agent.scoring.areas import DrivableAreas
from latentvla_agent.scoring.config import ScoringConfig
from latentvla_agent.scoring.metrics.comfort import score_comfort
from latentvla_agent.scoring.metrics.drivable_area_compliance import score_drivable_area
from latentvla_agent.scoring.metrics.driving_direction_compliance import score_driving_direction
from latentvla_agent.scoring.metrics.ego_area import locate_ego
from latentvla_agent.scoring.metrics.ego_progress import measure_progress
from latentvla_agent.scoring.metrics.metric import MetricValues, make_rollouts
from latentvla_agent.scoring.metrics.no_at_fault_collisions import score_collisions
from latentvla_agent.scoring.metrics.time_to_collision import score_time_to_collision
from latentvla_agent.scoring.observation import Observation
from latentvla_agent.scoring.state import FloatArray


@dataclass(frozen=True)
class RolloutScores:
    """Sub-scores of N rollouts; `progress` (N,) is in metres along the centreline."""

    no_at_fault_collisions: MetricValues
    drivable_area_compliance: MetricValues
    driving_direction_compliance: MetricValues
    time_to_collision_within_bound: MetricValues
    comfort: MetricValues
    progress: FloatArray

    @property
    def multiplier(self) -> FloatArray:
        """Product (N,) of the multiplying sub-scores of PDMS v1.1."""
        return self.no_at_fault_collisions.value * self.drivable_area_compliance.value


def score_rollouts(
    states: FloatArray,
    observation: Observation,
    areas: DrivableAreas,
    centerline: FloatArray,
    config: ScoringConfig,
) -> RolloutScores:
    """Score simulated states (N, 41, 11) against the observation, the areas and the centreline (M, 2)."""
    rollouts = make_rollouts(states, config.vehicle)
    located = locate_ego(rollouts, areas)
    return RolloutScores(
        no_at_fault_collisions=score_collisions(rollouts, located, observation, config.metrics),
        drivable_area_compliance=score_drivable_area(located),
        driving_direction_compliance=score_driving_direction(rollouts, located, config.metrics),
        time_to_collision_within_bound=score_time_to_collision(rollouts, located, observation, config.metrics),
        comfort=score_comfort(rollouts, config.comfort),
        progress=measure_progress(rollouts, centerline),
    )
