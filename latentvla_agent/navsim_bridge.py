"""The only file that knows the NAVSIM devkit; what differs between v1.1 and v2.2 ends here.

It also runs as a plain script under the interpreter of a devkit, without this package installed there:

    python navsim_bridge.py bench DEVKIT_ROOT NUPLAN_ROOT LOG_FOLDER MAPS_ROOT

reads one JSON object per line from stdin and answers each with one on stdout, see `answer_work`.
"""

from __future__ import annotations

import importlib.util
import json
import lzma
import os
import pickle
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, TextIO

import numpy as np

STEP_S, NUM_STEPS = 0.1, 40
MAP_VERSION = "nuplan-maps-v1.0"
WORKS = ("open_scenes", "cache_scene", "load_scene", "score")


def find_generation() -> int:
    """1 or 2, the version of the devkit that `import navsim` finds; raises `ImportError` for another package."""
    spec = importlib.util.find_spec("navsim")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    if not folders or not (Path(folders[0]) / "evaluate" / "pdm_score.py").is_file():
        raise ImportError(f"expected the NAVSIM devkit, got {folders or 'nothing'}; on PyPI, navsim is another project")
    return 2 if (Path(folders[0]) / "traffic_agents_policies").is_dir() else 1


class OfficialScenes:
    """Scenes of a folder of logs as the devkit loads, caches and scores them."""

    def __init__(self, log_folder: Path, maps_root: Path, cache_folder: Path) -> None:
        from navsim.planning.metric_caching.metric_cache_processor import MetricCacheProcessor
        from navsim.planning.simulation.planner.pdm_planner.scoring.pdm_scorer import PDMScorer, PDMScorerConfig
        from navsim.planning.simulation.planner.pdm_planner.simulation.pdm_simulator import PDMSimulator
        from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

        self.generation = find_generation()
        self.sampling = TrajectorySampling(num_poses=NUM_STEPS, interval_length=STEP_S)
        self._folders = log_folder, maps_root, cache_folder
        samplings = [] if self.generation == 1 else [self.sampling]
        self._processor = MetricCacheProcessor(str(cache_folder), True, *samplings)
        config = PDMScorerConfig() if self.generation == 1 else PDMScorerConfig(human_penalty_filter=True)
        self._simulator, self._scorer = PDMSimulator(self.sampling), PDMScorer(self.sampling, config)
        self._scenarios: Dict[str, Any] = {}
        self._caches: Dict[str, Any] = {}

    def open_scenes(self, tokens: List[str]) -> None:
        """Read the logs that hold these scenes."""
        from navsim.common.dataclasses import SceneFilter, SensorConfig
        from navsim.common.dataloader import SceneLoader
        from navsim.planning.scenario_builder.navsim_scenario import NavSimScenario

        log_folder, maps_root, _ = self._folders
        sensors: Dict[str, Any] = {"sensor_blobs_path" if self.generation == 1 else "original_sensor_path": None}
        loader = SceneLoader(
            data_path=log_folder,
            scene_filter=SceneFilter(frame_interval=1, tokens=tokens),
            sensor_config=SensorConfig.build_no_sensors(),
            **sensors,
        )
        for token in tokens:
            scene = loader.get_scene_from_token(token)
            self._scenarios[token] = NavSimScenario(scene, map_root=str(maps_root), map_version=MAP_VERSION)

    def cache_scene(self, token: str) -> None:
        """Build and write the metric cache of a scene."""
        if self.generation == 1:
            self._processor.compute_metric_cache(self._scenarios[token])
        else:
            self._processor.compute_and_save_metric_cache(self._scenarios[token])

    def load_scene(self, token: str) -> None:
        """Read the metric cache of a scene as the devkit's loader does."""
        with lzma.open(next(self._folders[2].glob(f"*/*/{token}/metric_cache.pkl")), "rb") as file:
            self._caches[token] = pickle.load(file)  # written by this process

    def score(self, token: str, trajectories: Any, interval: float) -> None:
        """Score trajectories (N, T, 3): one by the devkit's `pdm_score`, several at once by its parts.

        The devkit filters by the human one trajectory at a time; several at once are scored without that filter.
        """
        if token not in self._caches:
            self.load_scene(token)
        if len(trajectories) == 1:
            self._score_one(token, trajectories[0], interval)
        else:
            self._score_together(token, trajectories, interval)

    def _score_one(self, token: str, poses: Any, interval: float) -> None:
        from navsim.evaluate.pdm_score import pdm_score

        arguments = [self._caches[token], self._as_trajectory(poses, interval), self.sampling]
        policies = [] if self.generation == 1 else [self._make_policy()]
        pdm_score(*arguments, self._simulator, self._scorer, *policies)

    def _score_together(self, token: str, trajectories: Any, interval: float) -> None:
        from navsim.evaluate.pdm_score import get_trajectory_as_array, transform_trajectory

        cache = self._caches[token]
        start = cache.ego_state
        plans = [cache.trajectory]
        plans += [transform_trajectory(self._as_trajectory(poses, interval), start) for poses in trajectories]
        states = np.stack([get_trajectory_as_array(plan, self.sampling, start.time_point) for plan in plans])
        simulated = self._simulator.simulate_proposals(states, start)
        world = [cache.observation, cache.centerline, cache.route_lane_ids, cache.drivable_area_map]
        if self.generation == 2:
            tracks = self._make_policy().simulate_environment(simulated[1], cache)
            world += [cache.map_parameters, tracks, cache.past_human_trajectory]
        self._scorer.score_proposals(simulated, *world)

    def _as_trajectory(self, poses: Any, interval: float) -> Any:
        from navsim.common.dataclasses import Trajectory
        from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

        return Trajectory(poses, TrajectorySampling(num_poses=len(poses), interval_length=interval))

    def _make_policy(self) -> Any:
        from navsim.traffic_agents_policies.log_replay_traffic_agents import LogReplayTrafficAgents

        return LogReplayTrafficAgents(self.sampling)


def answer_work(scenes: OfficialScenes, request: Dict[str, Any]) -> Dict[str, Any]:
    """Do `work`, one of `WORKS`, `calls` times: {"ms": [...]}, or {"error": text}."""
    try:
        work, token = WORKS[WORKS.index(request["work"])], request.get("token", "")
        arguments: List[Any] = [token]
        if work == "open_scenes":
            arguments = [request["tokens"]]
        elif work == "score":
            arguments += [np.array(request["trajectories"], dtype=np.float64), request["interval"]]
        function = getattr(scenes, work)
        return {"ms": [_measure(function, arguments) for _ in range(request.get("calls", 1))]}
    except Exception as error:  # told to whoever asked
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}"}


def _measure(function: Callable[..., None], arguments: List[Any]) -> float:
    started = time.perf_counter()
    function(*arguments)
    return 1e3 * (time.perf_counter() - started)


def serve(requests: TextIO, answers: TextIO, log_folder: Path, maps_root: Path) -> None:
    """Answer requests until there are no more; the first answer says which devkit this is."""
    with tempfile.TemporaryDirectory() as cache_folder:
        scenes = OfficialScenes(log_folder, maps_root, Path(cache_folder))
        print(json.dumps({"generation": scenes.generation}), file=answers, flush=True)
        for line in requests:
            print(json.dumps(answer_work(scenes, json.loads(line))), file=answers, flush=True)


def main(arguments: Optional[List[str]] = None) -> None:
    """Entry point of the script."""
    command, devkit, nuplan, log_folder, maps_root = sys.argv[1:] if arguments is None else arguments
    if command != "bench":
        raise SystemExit(f"expected the command bench, got {command}")
    here = Path(__file__).resolve().parent  # Python put it first, and its modules shadow others
    sys.path[:] = [devkit, nuplan, *(path for path in sys.path if Path(path or ".").resolve() != here)]
    os.environ["NUPLAN_MAPS_ROOT"] = maps_root
    warnings.filterwarnings("ignore")
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the devkit prints is no answer
    serve(sys.stdin, answers, Path(log_folder), Path(maps_root))


if __name__ == "__main__":
    main()
