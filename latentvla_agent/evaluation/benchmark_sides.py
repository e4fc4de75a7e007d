"""The two sides of the benchmark: our code in this process, a devkit in one of its own; both do the same work."""

from __future__ import annotations

import json
import os
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence

from latentvla_agent.data.maps import MAP_VERSIONS_FILE, CityMap, MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene import Scene
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.benchmark_inputs import Proposals
from latentvla_agent.evaluation.doctor_devkit import inspect_package
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

BRIDGE = Path(__file__).resolve().parent.parent / "navsim_bridge.py"
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


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


@dataclass(frozen=True)
class DevkitCommand:
    """An interpreter and a devkit that it can run: `metric` is what the devkit at `root` scores.

    `nuplan` is the folder that holds the package nuplan, None where the interpreter finds it by itself.
    """

    python: Path
    root: Path
    nuplan: Optional[Path]
    metric: str


def find_devkits(python: Path, roots: Sequence[Path], nuplan: Optional[Path]) -> List[DevkitCommand]:
    """One command per devkit, which must be of different versions; raises `ConfigError` for what is none."""
    commands: Dict[str, DevkitCommand] = {}
    if not roots:
        raise ConfigError(f"{python}: expected the root of a devkit with it (--devkit-root), got none")
    if not python.is_file():
        raise ConfigError(f"{python}: expected the interpreter of the devkit, got nothing")
    for root in roots:
        devkit = inspect_package(root / "navsim")
        if devkit is None or devkit.metric in commands:
            problem = "no NAVSIM devkit" if devkit is None else f"a second devkit for {devkit.metric}"
            raise ConfigError(f"{root}: expected NAVSIM devkits of different versions, got {problem}")
        commands[devkit.metric] = DevkitCommand(python, root, nuplan, devkit.metric)
    return list(commands.values())


class DevkitSide:
    """A devkit that runs `navsim_bridge.py bench`; what it prints goes into `log`."""

    def __init__(self, command: DevkitCommand, log_folder: Path, maps_root: Path, log: Path) -> None:
        self._log = log
        script = [BRIDGE, "bench", command.root, command.nuplan or command.root, log_folder, maps_root]
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [str(part) for part in (command.python, *script)],
                env={**environ, **ONE_THREAD},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._read()

    def open_scenes(self, tokens: Sequence[str]) -> None:
        """Read the logs that hold these scenes."""
        self._ask({"work": "open_scenes", "tokens": list(tokens)})

    def measure(self, work: str, token: str, calls: int, proposals: Optional[Proposals] = None) -> List[float]:
        """Milliseconds of each call."""
        request: Dict[str, Any] = {"work": work, "token": token, "calls": calls}
        if proposals is not None:
            request["trajectories"] = proposals.poses.tolist()
            request["interval"] = proposals.sampling.interval_length
        answer = self._ask(request)
        return [float(ms) for ms in answer["ms"]]

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, request: Dict[str, Any]) -> Dict[str, Any]:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; the log says why
        return self._read()

    def _read(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        answer: Dict[str, Any] = json.loads(line) if line else {"error": "it has ended"}
        if "error" in answer:
            self.close()
            raise DataError(f"{self._log}: the devkit could not do the work: {answer['error']}")
        return answer


@contextmanager
def open_devkit(command: DevkitCommand, log_folder: Path, maps_root: Path, log: Path) -> Iterator[DevkitSide]:
    """A devkit that ends with the block."""
    side = DevkitSide(command, log_folder, maps_root, log)
    try:
        yield side
    finally:
        side.close()


def complete_maps(roots: DataRoots, folder: Path) -> Path:
    """A maps folder of links in which no location is missing: the devkit opens all of them, whatever it needs."""
    table = json.loads((roots.maps / MAP_VERSIONS_FILE).read_text())
    paths = {location: roots.maps / location / entry["version"] / "map.gpkg" for location, entry in table.items()}
    stand_in = next((path for path in paths.values() if path.is_file()), None)
    if stand_in is None:
        raise DataError(f"{roots.maps}: expected the map of a location, got none")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MAP_VERSIONS_FILE).write_text(json.dumps(table))
    for location, path in paths.items():
        link = folder / location / table[location]["version"] / "map.gpkg"
        link.parent.mkdir(parents=True)
        link.symlink_to((path if path.is_file() else stand_in).resolve())
    return folder
