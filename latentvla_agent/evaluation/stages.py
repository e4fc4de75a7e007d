"""What a worker does with one scene: build the metric cache, score predictions. See `planning` for what is before."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Tuple

import numpy as np

from latentvla_agent.data.file_hashes import HashStore
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene import FloatArray, PoseIndex, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, SceneRef
from latentvla_agent.data.sensors import SensorSource
from latentvla_agent.data.splits import SceneFilter
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.agents import AgentSpec
from latentvla_agent.evaluation.results import ResultRow, row_of_scores
from latentvla_agent.scoring.config import DEFAULT_CONFIG, ScoringConfig
from latentvla_agent.scoring.history import HISTORY_FRAMES
from latentvla_agent.scoring.metric_cache import (
    MetricCache,
    build_metric_cache,
    cache_path,
    read_metric_cache,
    write_metric_cache,
)
from latentvla_agent.scoring.scorer import PreviousPlan, Scorer
from latentvla_agent.scoring.versions import GENERATIONS

# {"agent", "poses", "interval", "costs"}, "missing_sensors" where known, "details" on their way to a file of their own;
# {"agent", "error"} of a failed one
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
    degradation: Optional[str] = None  # what agents' sensors lose: see `degradations`
    keep_details: bool = False  # whether agents are asked what they weighed: see `plan_details`


@dataclass(frozen=True)
class ScoreItem:
    """All predictions of one scene; and, for two-frame comfort, the scene before with what the same planners wanted
    there (None where they have nothing). `ahead`: items that the same worker gets next, if all goes well."""

    ref: SceneRef
    predictions: Tuple[Prediction, ...] = ()
    previous_ref: Optional[SceneRef] = None
    previous: Tuple[Optional[Prediction], ...] = ()
    ahead: Tuple[ScoreItem, ...] = ()


class CacheHandler:
    """Builds metric caches, or reads them where they fit log, map and window; one instance per worker process."""

    def __init__(self, setup: StageSetup):
        self._setup = setup
        self._maps = MapStore(setup.roots.maps)
        self._loader = SceneLoader(SceneIndex((), setup.scene_filter), self._maps)
        self.sources = SourceHashes(self._maps, setup.scene_filter)

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
    """Names what the metric cache of a scene is made of; every file is read once, at most: `store` may know it."""

    def __init__(self, maps: MapStore, scene_filter: SceneFilter, store: Optional[HashStore] = None):
        self._maps, self._store = maps, store or HashStore()
        # A scene keeps its token whatever its window holds; its cache has as much history and future as the window.
        history = min(scene_filter.num_history_frames, HISTORY_FRAMES)
        future = min(scene_filter.num_future_frames, max(rules.future_frames for rules in GENERATIONS))
        self._window = f"h{history}f{future}"
        self._hashes: Dict[Path, str] = {}

    def source_of(self, ref: SceneRef) -> str:
        """Hashes of the log and of the map, and the frames of the window that count."""
        return f"{self._hash(ref.log_path)}-{self._hash(self._maps.path_of(ref.map_name))}-{self._window}"

    def _hash(self, path: Path) -> str:
        if path not in self._hashes:
            self._hashes[path] = self._store.hash_all([path])[path][:16]
        return self._hashes[path]


class Grader(ABC):
    """Scores the predictions of a scene from a metric cache, wherever that comes from."""

    def __init__(self, metric: str, human_filter: bool, config: ScoringConfig = DEFAULT_CONFIG):
        self._scorer = Scorer(metric, config, human_filter)
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
        """Built, or read where it fits log, map and window."""
        return self._caches.load_cache(ref)


def read_prediction(prediction: Prediction) -> Tuple[FloatArray, TrajectorySampling]:
    """Poses (T, 3) and sampling of a prediction without error."""
    poses = np.array(prediction["poses"], dtype=np.float64).reshape(-1, len(PoseIndex))
    return poses, TrajectorySampling(len(poses), prediction["interval"])


def failed_row(ref: SceneRef, agent: str, error: str) -> ResultRow:
    """The row of a scene that could not be scored."""
    return ResultRow(ref.token, ref.log_name, agent, error=error)
