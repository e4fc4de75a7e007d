"""The embedded scorer: trajectories in, sub-scores and PDMS out, each as if it were scored alone."""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import PoseIndex, Trajectory, TrajectorySampling
from latentvla_agent.errors import TrajectoryError
from latentvla_agent.scoring.aggregation import aggregate_pdms
from latentvla_agent.scoring.config import DEFAULT_CONFIG, ScoringConfig
from latentvla_agent.scoring.interpolation import sample_reference, sample_trajectories
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.metrics.ego_progress import normalise_progress
from latentvla_agent.scoring.observation import Observation, observe_tracks
from latentvla_agent.scoring.rollout_scores import RolloutScores, score_rollouts
from latentvla_agent.scoring.simulation import simulate
from latentvla_agent.scoring.state import FloatArray

SUB_SCORES = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "driving_direction_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "comfort",
)


@dataclass(frozen=True)
class Scores:
    """Sub-scores (N,) under NAVSIM's names and the PDMS `score` (N,), all in 0…1.

    `progress_raw` (N, 2): metres of the reference plan and of this one. `collision_idx`, `ttc_idx` (N,): 10 Hz step of
    the first at-fault collision and of the first TTC infraction, -1 for none. `simulated` (N, 41, 11): the rollouts.
    """

    no_at_fault_collisions: FloatArray
    drivable_area_compliance: FloatArray
    driving_direction_compliance: FloatArray
    ego_progress: FloatArray
    time_to_collision_within_bound: FloatArray
    comfort: FloatArray
    score: FloatArray
    progress_raw: FloatArray
    collision_idx: npt.NDArray[np.int64]
    ttc_idx: npt.NDArray[np.int64]
    simulated: FloatArray


@dataclass(frozen=True)
class _Prepared:
    """What is the same for every trajectory of a scene."""

    observation: Observation
    reference: RolloutScores


class Scorer:
    """PDMS v1.1 of trajectories in scenes; scenes that are still referenced are prepared once."""

    def __init__(self, config: ScoringConfig = DEFAULT_CONFIG):
        self.config = config
        self._prepared: WeakKeyDictionary[MetricCache, _Prepared] = WeakKeyDictionary()

    def score_trajectory(self, cache: MetricCache, trajectory: Trajectory) -> Scores:
        """Score one trajectory (N = 1)."""
        return self.score(cache, np.asarray(trajectory.poses)[None], trajectory.trajectory_sampling)

    def score(
        self, cache: MetricCache, trajectories: FloatArray, sampling: TrajectorySampling = TrajectorySampling()
    ) -> Scores:
        """Score trajectories (N, T, 3) in the ego frame; entry i is what scoring trajectory i alone gives.

        Raises `TrajectoryError` for a shape that does not fit the sampling and for values that are not finite.
        """
        _check_trajectories(trajectories, sampling)
        prepared = self._prepare(cache)
        poses = sample_trajectories(trajectories, sampling, cache.start[: len(PoseIndex)], cache.timestamp)
        states, scores = self._roll_out(cache, prepared.observation, poses)
        reference = prepared.reference
        effective = scores.progress * scores.multiplier
        best = np.maximum(effective, reference.progress[0] * reference.multiplier[0])
        ego_progress = normalise_progress(effective, best, scores.multiplier, self.config.metrics)
        return Scores(
            no_at_fault_collisions=scores.no_at_fault_collisions.value,
            drivable_area_compliance=scores.drivable_area_compliance.value,
            driving_direction_compliance=scores.driving_direction_compliance.value,
            ego_progress=ego_progress,
            time_to_collision_within_bound=scores.time_to_collision_within_bound.value,
            comfort=scores.comfort.value,
            score=aggregate_pdms(scores, ego_progress, self.config.metrics),
            progress_raw=np.stack([np.full_like(scores.progress, reference.progress[0]), scores.progress], axis=-1),
            collision_idx=scores.no_at_fault_collisions.first_step,
            ttc_idx=scores.time_to_collision_within_bound.first_step,
            simulated=states,
        )

    def _prepare(self, cache: MetricCache) -> _Prepared:
        if cache not in self._prepared:
            observation = observe_tracks(cache.tracks, self.config.metrics)
            poses = sample_reference(cache.reference, cache.timestamp)[None]
            self._prepared[cache] = _Prepared(observation, self._roll_out(cache, observation, poses)[1])
        return self._prepared[cache]

    def _roll_out(
        self, cache: MetricCache, observation: Observation, poses: FloatArray
    ) -> tuple[FloatArray, RolloutScores]:
        states = simulate(poses, cache.start, self.config)
        return states, score_rollouts(states, observation, cache.areas, cache.centerline, self.config)


def _check_trajectories(trajectories: FloatArray, sampling: TrajectorySampling) -> None:
    expected = (sampling.num_poses, len(PoseIndex))
    if np.ndim(trajectories) != 3 or np.shape(trajectories)[1:] != expected:
        raise TrajectoryError(f"expected trajectories of shape (N, {expected[0]}, 3), got {np.shape(trajectories)}")
    if not np.isfinite(trajectories).all():
        raise TrajectoryError("poses are not finite (NaN or infinity)")
