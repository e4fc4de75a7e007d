"""What a worker does with one scene: plan with an agent, build the metric cache, score predictions."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from latentvla_agent.data.files import hash_file
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene import FloatArray, PoseIndex, Trajectory, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, SceneRef
from latentvla_agent.data.sensors import SensorConfig, SensorSource, SensorStore
from latentvla_agent.data.splits import SceneFilter
from latentvla_agent.errors import DataError, TrajectoryError
from latentvla_agent.evaluation.agents import Agent, AgentSpec, build_agent
from latentvla_agent.evaluation.costs import describe_costs, describe_missing
from latentvla_agent.evaluation.results import ResultRow, row_of_scores
from latentvla_agent.scoring.metric_cache import (
    MetricCache,
    build_metric_cache,
    cache_path,
    read_metric_cache,
    write_metric_cache,
)
from latentvla_agent.scoring.scorer import PreviousPlan, Scorer

# {"agent", "poses", "interval", "costs"}, "missing_sensors" where known; {"agent", "error"} of a failed one
Prediction = Mapping[str, Any]


@dataclass(frozen=True)
class StageSetup:
    """What a worker process needs to know of the run; small and picklable."""

    roots: DataRoots
    scene_filter: SceneFilter
    cache_folder: Path
    agents: Tuple[AgentSpec, ...] = ()
    metric: str = "pdms-v1.1"
    human_filter: bool = True
    sensor_source: Optional[SensorSource] = None  # what makes sensor files that are not there yet


@dataclass(frozen=True)
class PlanItem:
    """One agent in one scene."""

    ref: SceneRef
    agent: str


@dataclass(frozen=True)
class ScoreItem:
    """All predictions of one scene; and, for two-frame comfort, the scene before with what the same planners wanted
    there (None where they have nothing). `ahead`: items that the same worker gets next, if all goes well."""

    ref: SceneRef
    predictions: Tuple[Prediction, ...] = ()
    previous_ref: Optional[SceneRef] = None
    previous: Tuple[Optional[Prediction], ...] = ()
    ahead: Tuple[ScoreItem, ...] = ()


class PlanHandler:
    """Runs agents; one instance per worker process."""

    def __init__(self, setup: StageSetup):
        maps = MapStore(setup.roots.maps)
        sensors = SensorStore(setup.roots.sensors, setup.sensor_source)
        self._loader = SceneLoader(SceneIndex((), setup.scene_filter), maps, sensors)
        self._agents: Dict[str, Agent] = {}
        self._sensor_configs: Dict[str, Any] = {}
        for spec in setup.agents:
            agent = build_agent(spec)
            agent.initialize()
            self._agents[spec.name], self._sensor_configs[spec.name] = agent, find_sensor_config(agent)

    def __call__(self, item: PlanItem) -> Prediction:
        """The agent's prediction; whatever it raises is for the caller to count."""
        agent, scene = self._agents[item.agent], self._loader.build(item.ref)
        agent_input = scene.get_agent_input(self._sensor_configs[item.agent])
        arguments = (agent_input, scene) if agent.requires_scene else (agent_input,)
        begun = time.perf_counter()
        trajectory = agent.compute_trajectory(*arguments)
        costs = describe_costs(agent, time.perf_counter() - begun)
        poses = check_poses(trajectory)
        interval = float(trajectory.trajectory_sampling.interval_length)
        prediction = {"agent": item.agent, "poses": poses.tolist(), "interval": interval, "costs": costs}
        missing = describe_missing(agent)
        return {**prediction, "missing_sensors": missing} if missing else prediction


def find_sensor_config(agent: Agent) -> Any:
    """The sensors that an agent asks for; one that doesn't say needs none."""
    ask = getattr(agent, "get_sensor_config", SensorConfig.build_no_sensors)
    return ask()


def check_poses(trajectory: Any) -> Any:
    """The poses of what an agent returned; raises `TrajectoryError` for anything but finite float poses (T, 3)."""
    poses = getattr(trajectory, "poses", None)
    if not isinstance(poses, np.ndarray):
        raise TrajectoryError(f"expected a Trajectory with an array of poses, got {type(trajectory).__name__}")
    if poses.dtype not in (np.float32, np.float64):
        raise TrajectoryError(f"expected poses of type float32 or float64, got {poses.dtype}")
    sampling = trajectory.trajectory_sampling
    return Trajectory(poses, TrajectorySampling(int(sampling.num_poses), float(sampling.interval_length))).poses


class CacheHandler:
    """Builds metric caches, or reads them where they fit the log and the map; one instance per worker process."""

    def __init__(self, setup: StageSetup):
        self._setup = setup
        self._maps = MapStore(setup.roots.maps)
        self._loader = SceneLoader(SceneIndex((), setup.scene_filter), self._maps)
        self.sources = SourceHashes(self._maps)

    def __call__(self, item: ScoreItem) -> bool:
        """Make sure that the cache of the scene is there."""
        self.load_cache(item.ref, must_write=True)
        return True

    def load_cache(self, ref: SceneRef, must_write: bool = False) -> MetricCache:
        """The scene's metric cache, rebuilt if it is missing, broken or made of other data.

        A disk that takes no cache costs time in the next run, not the scene in this one, unless it `must_write`.
        """
        source = self.sources.source_of(ref)
        path = cache_path(self._setup.cache_folder, ref.log_name, ref.token)
        if path.exists():
            try:
                return read_metric_cache(path, source=source)
            except DataError:
                pass  # broken or stale: a cache can always be made again
        cache = build_metric_cache(self._loader.build(ref), self._maps.load(ref.map_name))
        try:
            write_metric_cache(cache, self._setup.cache_folder, source=source)
        except OSError:
            if must_write:
                raise
        return cache


class SourceHashes:
    """Names what the metric cache of a scene is made of; every file is read once."""

    def __init__(self, maps: MapStore):
        self._maps = maps
        self._hashes: Dict[Path, str] = {}

    def source_of(self, ref: SceneRef) -> str:
        """Hashes of the log and of the map."""
        return f"{self._hash(ref.log_path)}-{self._hash(self._maps.path_of(ref.map_name))}"

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = hash_file(path)[:16]
        return self._hashes[path]


class Grader(ABC):
    """Scores the predictions of a scene from a metric cache, wherever that comes from."""

    def __init__(self, metric: str, human_filter: bool):
        self._scorer = Scorer(metric, human_filter=human_filter)
        self._last: Dict[str, MetricCache] = {}  # the next scene asks for it again, as the one before

    @abstractmethod
    def load_cache(self, ref: SceneRef) -> MetricCache:
        """The scene's metric cache."""

    def score(self, item: ScoreItem) -> List[ResultRow]:
        """One row per prediction, in their order."""
        cache = self.load_cache(item.ref)
        previous = self._simulate_previous(item)
        self._last = {item.ref.token: cache}
        return [
            self._score_prediction(cache, item.ref, prediction, before)
            for prediction, before in zip(item.predictions, previous)
        ]

    def __call__(self, item: ScoreItem) -> Any:
        """Rows as JSON, for the way between processes and into the journal."""
        return [row.to_json(self._scorer.metric) for row in self.score(item)]

    def _simulate_previous(self, item: ScoreItem) -> List[Optional[PreviousPlan]]:
        """The rollouts that the planners had in the scene before; what fails there has its own row to say so."""
        if item.previous_ref is None:
            return [None] * len(item.predictions)
        try:
            cache = self._last.get(item.previous_ref.token) or self.load_cache(item.previous_ref)
        except (ArithmeticError, ValueError):
            return [None] * len(item.predictions)
        return [self._simulate(cache, prediction) for prediction in item.previous]

    def _simulate(self, cache: MetricCache, prediction: Optional[Prediction]) -> Optional[PreviousPlan]:
        if prediction is None or "error" in prediction:
            return None
        poses, sampling = read_prediction(prediction)
        try:
            rollouts = self._scorer.simulate(cache, poses[None], sampling)
        except (ArithmeticError, ValueError):
            return None
        return PreviousPlan(rollouts.states, cache.timestamp)

    def _score_prediction(
        self, cache: MetricCache, ref: SceneRef, prediction: Prediction, previous: Optional[PreviousPlan]
    ) -> ResultRow:
        if "error" in prediction:
            return failed_row(ref, prediction["agent"], prediction["error"])
        poses, sampling = read_prediction(prediction)
        try:
            scores = self._scorer.score(cache, poses[None], sampling, previous)
        except (ArithmeticError, ValueError) as error:  # of this trajectory: those of other agents are still scored
            return failed_row(ref, prediction["agent"], f"{type(error).__name__}: {error}")
        return row_of_scores(ref.token, ref.log_name, prediction["agent"], scores)


class ScoreHandler(Grader):
    """Scores from caches that are built where they are missing; one instance per worker process."""

    def __init__(self, setup: StageSetup):
        super().__init__(setup.metric, setup.human_filter)
        self._caches = CacheHandler(setup)

    def load_cache(self, ref: SceneRef) -> MetricCache:
        """Built, or read where it fits the log and the map."""
        return self._caches.load_cache(ref)


def read_prediction(prediction: Prediction) -> Tuple[FloatArray, TrajectorySampling]:
    """Poses (T, 3) and sampling of a prediction without error."""
    poses = np.array(prediction["poses"], dtype=np.float64).reshape(-1, len(PoseIndex))
    return poses, TrajectorySampling(len(poses), prediction["interval"])


def failed_row(ref: SceneRef, agent: str, error: str) -> ResultRow:
    """The row of a scene that could not be scored."""
    return ResultRow(ref.token, ref.log_name, agent, error=error)
