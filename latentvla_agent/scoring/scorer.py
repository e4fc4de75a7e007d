"""The embedded scorer: trajectories in, sub-scores and total out, each as if it were scored alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Optional
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import PoseIndex, Trajectory, TrajectorySampling
from latentvla_agent.data.scene_loader import ADJACENT_MAX_GAP_S
from latentvla_agent.errors import TrajectoryError
from latentvla_agent.scoring.aggregation import aggregate
from latentvla_agent.scoring.config import DEFAULT_CONFIG, ScoringConfig
from latentvla_agent.scoring.interpolation import sample_trajectories
from latentvla_agent.scoring.kernels import SubScore, World
from latentvla_agent.scoring.metric_cache import MetricCache, make_world
from latentvla_agent.scoring.metrics.comfort import compare_plans
from latentvla_agent.scoring.metrics.ego_area import OFF_ROAD, OFF_ROUTE
from latentvla_agent.scoring.metrics.ego_progress import normalise_progress
from latentvla_agent.scoring.rollouts import Rollouts, roll_out
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import ALL_METRICS, Metric, find_metric

COLUMN_OF = {
    "no_at_fault_collisions": SubScore.COLLISION,
    "drivable_area_compliance": SubScore.DRIVABLE_AREA,
    "driving_direction_compliance": SubScore.DRIVING_DIRECTION,
    "traffic_light_compliance": SubScore.TRAFFIC_LIGHT,
    "time_to_collision_within_bound": SubScore.TIME_TO_COLLISION,
    "lane_keeping": SubScore.LANE_KEEPING,
    "comfort": SubScore.COMFORT,
    "history_comfort": SubScore.COMFORT,
}


@dataclass(frozen=True)
class Scores:
    """`sub_scores` (N,) each, under the metric's column names, and the total `score` (N,), all in 0…1.

    `two_frame_extended_comfort` is NaN where there is no plan half a second earlier. `progress_raw` (N, 2): metres of
    the reference plan and of this one. `collision_idx`, `ttc_idx` (N,): 10 Hz step of the first at-fault collision and
    of the first TTC infraction, -1 for none. `collision_object` (N,): which of the scene's objects that collision is
    with, -1 for none. `simulated` (N, 41, 11): the rollouts; `off_road`, `off_route` (N, 41): where a corner of the ego
    box is off the drivable area, and its centre off the route.
    """

    sub_scores: Dict[str, FloatArray]
    score: FloatArray
    progress_raw: FloatArray
    collision_idx: npt.NDArray[np.int64]
    ttc_idx: npt.NDArray[np.int64]
    off_road_idx: npt.NDArray[np.int64]
    collision_object: npt.NDArray[np.int64]
    simulated: FloatArray
    off_road: npt.NDArray[np.bool_]
    off_route: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PreviousPlan:
    """Rollouts (N, 41, 11) that the same planner had in the scene before, and that scene's time stamp [us]."""

    simulated: FloatArray
    timestamp: int


class Scorer:
    """One metric over trajectories in scenes; a scene that is still referenced is prepared once."""

    def __init__(
        self, metric: str = "pdms-v1.1", config: ScoringConfig = DEFAULT_CONFIG, human_filter: bool = True
    ) -> None:
        self.metric: Metric = find_metric(metric, ALL_METRICS)
        self.config = config
        self._human_filter = human_filter
        self._worlds: WeakKeyDictionary[MetricCache, World] = WeakKeyDictionary()

    def score_trajectory(
        self, cache: MetricCache, trajectory: Trajectory, previous: Optional[PreviousPlan] = None
    ) -> Scores:
        """Score one trajectory (N = 1)."""
        return self.score(cache, np.asarray(trajectory.poses)[None], trajectory.trajectory_sampling, previous)

    def score(
        self,
        cache: MetricCache,
        trajectories: FloatArray,
        sampling: TrajectorySampling = TrajectorySampling(),
        previous: Optional[PreviousPlan] = None,
    ) -> Scores:
        """Score trajectories (N, T, 3) in the ego frame; entry i is what scoring trajectory i alone gives.

        Raises `TrajectoryError` for a shape that does not fit the sampling and for values that are not finite.
        """
        rollouts = self.simulate(cache, trajectories, sampling)
        extended_comfort = self._compare(cache, rollouts, previous)
        return self._finish(cache, rollouts, extended_comfort)

    def simulate(
        self, cache: MetricCache, trajectories: FloatArray, sampling: TrajectorySampling = TrajectorySampling()
    ) -> Rollouts:
        """Rollouts of trajectories (N, T, 3) with their raw sub-scores."""
        trajectories = _check_trajectories(trajectories, sampling)
        pose, vehicle = cache.start[: len(PoseIndex)], self.config.vehicle
        poses = sample_trajectories(trajectories, sampling, pose, cache.timestamp, vehicle)
        return roll_out(poses, cache.start, self.world_of(cache), self.config)

    def world_of(self, cache: MetricCache) -> World:
        """What trajectories in this scene are scored against; made once while the cache is referenced."""
        if cache not in self._worlds:
            cache.check_generation(self.metric.rules)
            self._worlds[cache] = make_world(cache, self.metric.rules, self.config)
        return self._worlds[cache]

    def _compare(
        self, cache: MetricCache, rollouts: Rollouts, previous: Optional[PreviousPlan]
    ) -> Optional[FloatArray]:
        if not self.metric.rules.history_comfort:
            return None
        if previous is None:
            return np.full(len(rollouts.states), np.nan)
        interval_s = (cache.timestamp - previous.timestamp) * 1e-6
        if not 0.0 < interval_s <= ADJACENT_MAX_GAP_S:
            raise TrajectoryError(
                f"expected the plan of a scene up to {ADJACENT_MAX_GAP_S} s before, got {interval_s} s"
            )
        return compare_plans(rollouts.states, previous.simulated, interval_s, self.config.comfort)

    def _finish(self, cache: MetricCache, rollouts: Rollouts, extended_comfort: Optional[FloatArray]) -> Scores:
        metric, rules = self.metric, self.metric.rules
        raw_progress, multiplier = rollouts.values[:, SubScore.PROGRESS], rollouts.multiplier(rules)
        reference_progress, reference_multiplier = cache.reference_values[rules.generation - 1]
        best = np.maximum(raw_progress * multiplier, reference_progress * reference_multiplier)
        ego_progress = normalise_progress(raw_progress, multiplier, best, self.config.metrics.min_progress, rules)
        values = rollouts.values
        filtered = np.where(cache.human_fails, 1.0, values) if self._human_filter and metric.filters_columns else values
        total_values, total_multiplier = values, multiplier
        if filtered is not values and metric.filters_total:
            total_values = filtered
            total_multiplier = replace(rollouts, values=filtered).multiplier(rules)
        total = aggregate(total_values, total_multiplier, ego_progress, self.config.weights, rules, extended_comfort)
        columns = {name: filtered[:, COLUMN_OF[name]] for name in metric.columns if name in COLUMN_OF}
        columns["ego_progress"] = ego_progress
        if extended_comfort is not None:
            columns["two_frame_extended_comfort"] = extended_comfort
        return Scores(
            sub_scores={name: columns[name] for name in metric.columns},
            score=total,
            progress_raw=np.stack([np.full_like(raw_progress, reference_progress), raw_progress], axis=-1),
            collision_idx=rollouts.first_steps[:, SubScore.COLLISION],
            ttc_idx=rollouts.first_steps[:, SubScore.TIME_TO_COLLISION],
            off_road_idx=rollouts.first_steps[:, SubScore.DRIVABLE_AREA],
            collision_object=rollouts.struck,
            simulated=rollouts.states,
            off_road=rollouts.flags[:, OFF_ROAD],
            off_route=rollouts.flags[:, OFF_ROUTE],
        )


def _check_trajectories(trajectories: Any, sampling: TrajectorySampling) -> FloatArray:
    try:
        array = np.asarray(trajectories)
    except ValueError as error:
        raise TrajectoryError(f"expected trajectories as an array, got {error}") from error
    if array.ndim != 3 or array.shape[1:] != (sampling.num_poses, len(PoseIndex)):
        raise TrajectoryError(f"expected trajectories of shape (N, {sampling.num_poses}, 3), got {array.shape}")
    if array.dtype.kind not in "fiu":
        raise TrajectoryError(f"expected trajectories of numbers, got {array.dtype}")
    if not np.isfinite(array).all():
        raise TrajectoryError("poses are not finite (NaN or infinity)")
    return array.astype(np.float64, copy=False)
