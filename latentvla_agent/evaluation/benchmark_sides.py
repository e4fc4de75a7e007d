"""The two sides of the benchmark: our code in this process, a devkit in one of its own; both do the same work."""

from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from latentvla_agent.data.maps import CityMap, MapStore
from latentvla_agent.data.scene import Scene
from latentvla_agent.evaluation.benchmark_inputs import Proposals
from latentvla_agent.evaluation.devkit_process import DevkitCommand, DevkitProcess
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metric_cache import (
    MetricCache,
    build_metric_cache,
    cache_path,
    make_world,
    read_metric_cache,
    write_metric_cache,
)
from latentvla_agent.scoring.scorer import Scorer


class OurSide:
    """Our scorer with one metric."""

    def __init__(self, scenes: Dict[str, Scene], maps: MapStore, folder: Path, metric: str) -> None:
        self._scenes, self._folder = scenes, folder
        self._maps: Dict[str, CityMap] = {
            token: maps.load(scene.scene_metadata.map_name) for token, scene in scenes.items()
        }
        self._scorer = Scorer(metric)
        self._caches: Dict[str, MetricCache] = {}

    def measure(self, work: str, token: str, calls: int, proposals: Optional[Proposals] = None) -> List[float]:
        """Milliseconds of each call."""
        works: Dict[str, Callable[[], Any]] = {
            "cache_scene": lambda: self.cache_scene(token),
            "load_scene": lambda: self.load_scene(token),
            "score": lambda: self.score(token, proposals),
        }
        if work == "score":
            self._prepare(token, proposals)
        return measure_calls(works[work], calls)

    def cache_scene(self, token: str) -> None:
        """From the scene in memory to the file."""
        cache = build_metric_cache(self._scenes[token], self._maps[token])
        write_metric_cache(cache, self._folder)

    def load_scene(self, token: str) -> MetricCache:
        """From the file to all that a rollout is scored against."""
        cache = read_metric_cache(self.path_of(token))
        make_world(cache, self._scorer.metric.rules, DEFAULT_CONFIG)
        return cache

    def path_of(self, token: str) -> Path:
        """File of the scene's metric cache."""
        return cache_path(self._folder, self._scenes[token].scene_metadata.log_name, token)

    def score(self, token: str, proposals: Optional[Proposals]) -> None:
        """Score proposals in a scene that is prepared."""
        assert proposals is not None
        self._scorer.score(self._caches[token], proposals.poses, proposals.sampling)

    def _prepare(self, token: str, proposals: Optional[Proposals]) -> None:
        """Load a scene, and let the scorer prepare what it keeps of it."""
        if token not in self._caches and proposals is not None:
            self._caches[token] = self.load_scene(token)
            self.score(token, Proposals(proposals.poses[:1], proposals.sampling))


def measure_calls(function: Callable[[], Any], calls: int) -> List[float]:
    """Milliseconds of each call."""
    samples = []
    for _ in range(calls):
        started = time.perf_counter()
        function()
        samples.append(1e3 * (time.perf_counter() - started))
    return samples


class DevkitSide:
    """A devkit that does the same; what it prints goes into `log`."""

    def __init__(self, command: DevkitCommand, log_folder: Path, maps_root: Path, log: Path) -> None:
        log.unlink(missing_ok=True)
        self._process = DevkitProcess(command, ["bench", maps_root, log_folder], log)

    def open_scenes(self, tokens: Sequence[str]) -> None:
        """Read the logs that hold these scenes."""
        self._process.ask({"work": "open_scenes", "tokens": list(tokens)})

    def measure(self, work: str, token: str, calls: int, proposals: Optional[Proposals] = None) -> List[float]:
        """Milliseconds of each call."""
        request: Dict[str, Any] = {"work": work, "token": token, "calls": calls}
        if proposals is not None:
            request["trajectories"] = proposals.poses.tolist()
            request["interval"] = proposals.sampling.interval_length
        return [float(ms) for ms in self._process.ask(request)["ms"]]

    def close(self) -> None:
        """End the process."""
        self._process.close()


@contextmanager
def open_devkit(command: DevkitCommand, log_folder: Path, maps_root: Path, log: Path) -> Iterator[DevkitSide]:
    """A devkit that ends with the block."""
    side = DevkitSide(command, log_folder, maps_root, log)
    try:
        yield side
    finally:
        side.close()
