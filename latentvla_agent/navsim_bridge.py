"""The only file that knows the NAVSIM devkit; what differs between v1.1 and v2.2 ends here.

Importing it imports nothing of the devkit: that happens where a class or a function first needs it.
"""

from __future__ import annotations

import base64
import enum
import importlib.util
import lzma
import os
import pickle
import tempfile
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple, Type

import numpy as np

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.scene import Annotations, BoxIndex, EgoStatus, Frame, Scene, SceneMetadata
from latentvla_agent.data.sensors import SENSOR_NAMES

STEP_S, NUM_STEPS = 0.1, 40
MAP_VERSION = "nuplan-maps-v1.0"
Row = Dict[str, Any]
Answer = Dict[str, Any]


def find_devkit() -> Tuple[Path, int]:
    """Folder and version, 1 or 2, of the devkit that `import navsim` finds; `ImportError` for any other package."""
    spec = importlib.util.find_spec("navsim")
    folders = list(spec.submodule_search_locations or []) if spec is not None else []
    if not folders or not (Path(folders[0]) / "evaluate" / "pdm_score.py").is_file():
        raise ImportError(f"expected the NAVSIM devkit, got {folders or 'nothing'}; on PyPI, navsim is another project")
    return Path(folders[0]), 2 if (Path(folders[0]) / "traffic_agents_policies").is_dir() else 1


class OfficialScorer:
    """The devkit's own metric caching and scoring, one trajectory at a time as its scripts call them.

    `is_reactive`: other vehicles react (IDM), as in the two-stage script of v2.2; else they replay the log.
    """

    def __init__(self, maps_root: Path, is_reactive: bool = False) -> None:
        from navsim.planning.simulation.planner.pdm_planner.scoring.pdm_scorer import PDMScorer, PDMScorerConfig
        from navsim.planning.simulation.planner.pdm_planner.simulation.pdm_simulator import PDMSimulator
        from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

        _, self.generation = find_devkit()
        self.sampling = TrajectorySampling(num_poses=NUM_STEPS, interval_length=STEP_S)
        config = PDMScorerConfig() if self.generation == 1 else PDMScorerConfig(human_penalty_filter=True)
        self.simulator, self.scorer = GroupSimulator(PDMSimulator(self.sampling)), PDMScorer(self.sampling, config)
        self.policies = [] if self.generation == 1 else [make_policy(self.sampling, is_reactive)]
        self._maps_root = maps_root

    def build_cache(self, frames: List[Dict[str, Any]], num_history: int, num_future: int) -> Any:
        """The metric cache of a window of log frames."""
        from navsim.common.dataclasses import Scene, SensorConfig

        scene = Scene.from_scene_dict_list(
            frames,
            None,
            num_history_frames=num_history,
            num_future_frames=num_future,
            sensor_config=SensorConfig.build_no_sensors(),
        )
        return self._build_cache(scene)

    def build_synthetic_cache(self, path: Path) -> Any:
        """The metric cache of a scene of the second stage (v2.2)."""
        from navsim.common.dataclasses import Scene, SensorConfig

        return self._build_cache(Scene.load_from_disk(path, None, SensorConfig.build_no_sensors()))

    def _build_cache(self, scene: Any) -> Any:
        from navsim.planning.scenario_builder.navsim_scenario import NavSimScenario

        scenario = NavSimScenario(scene, map_root=str(self._maps_root), map_version=MAP_VERSION)
        with tempfile.TemporaryDirectory() as folder:
            processor = self.make_processor(Path(folder))
            if self.generation == 2:
                return processor.compute_metric_cache(scenario)
            with lzma.open(processor.compute_metric_cache(scenario).file_name, "rb") as file:
                return pickle.load(file)  # written by this process

    def make_processor(self, folder: Path) -> Any:
        """What builds metric caches; a new one for every scene, because it remembers tracks of the scene before."""
        from navsim.planning.metric_caching.metric_cache_processor import MetricCacheProcessor

        return MetricCacheProcessor(str(folder), True, *([] if self.generation == 1 else [self.sampling]))

    def score(self, cache: Any, poses: Any, interval: float) -> Row:
        """The row of one trajectory (T, 3) as the devkit's `pdm_score` gives it, arrays included.

        v2.2's total needs the scene before, see `finish_row`.
        """
        from navsim.evaluate.pdm_score import pdm_score

        trajectory = make_trajectory(poses, interval)
        result = pdm_score(cache, trajectory, self.sampling, self.simulator, self.scorer, *self.policies)
        if self.generation == 1:
            return asdict(result)
        table, states = result
        return {**table.iloc[0].to_dict(), **describe_scene(cache, trajectory), "ego_simulated_states": states}

    def simulate_ahead(self, plans: List[Tuple[Any, List[Tuple[Any, float]]]]) -> None:
        """Roll out all trajectories (poses, interval) of several scenes (their caches) at once, for `score` to find."""
        batches: List[Tuple[Any, Any]] = []
        for cache, trajectories in plans:
            start = cache.ego_state
            reference = self._sample(cache.trajectory, start)
            for poses, interval in trajectories:
                batches.append((np.stack([reference, self._sample(make_trajectory(poses, interval), start)]), start))
            if self.generation == 2 and cache.human_trajectory is not None:
                batches.append((self._sample(cache.human_trajectory, start)[None], start))
        self.simulator.simulate_ahead(batches)

    def _sample(self, trajectory: Any, start: Any) -> Any:
        from navsim.common.dataclasses import Trajectory
        from navsim.evaluate.pdm_score import get_trajectory_as_array, transform_trajectory

        if isinstance(trajectory, Trajectory):
            trajectory = transform_trajectory(trajectory, start)
        return get_trajectory_as_array(trajectory, self.sampling, start.time_point)

    def finish_row(self, row: Row, previous: Optional[Row]) -> Row:
        """v2.2's two-frame comfort and total, by the functions of the devkit's one-stage script."""
        import pandas
        from navsim.planning.script.run_pdm_score_one_stage import compute_final_scores, create_scene_aggregators

        if previous is None:
            table = pandas.DataFrame([{**row, "two_frame_extended_comfort": np.nan}])
        else:
            pair = {row["token"]: previous["token"]}
            table = create_scene_aggregators(pair, pandas.DataFrame([previous, row]), self.sampling)
        finished: Row = compute_final_scores(table).iloc[-1].to_dict()
        return finished

    def finish_two_stages(self, rows: List[Row], mapping: List[Any], columns: List[str]) -> Answer:
        """v2.2's two-stage score of one agent, by the functions of the devkit's two-stage script.

        `rows`: packed, one per scene; `mapping`: [token, token before, pairs of synthetic tokens]. Gives the finished
        "rows" in these columns, and their means over groups: "combined", "stage_one" and "stage_two".
        """
        import pandas
        from navsim.planning.script import run_pdm_score as script

        groups = {(now, before): [tuple(pair) for pair in pairs] for now, before, pairs in mapping}
        table = pandas.DataFrame([unpack_row(row) for row in rows])
        table = script.compute_final_scores(script.create_scene_aggregators(groups, table, self.sampling))
        means = script.calculate_individual_mapping_scores(table[[*columns, "token", "weight"]], groups)
        names = ("combined", "stage_one", "stage_two")
        answer: Answer = {name: pack_row(mean.to_dict()) for name, mean in zip(names, means)}
        return {**answer, "rows": [pack_row(row) for row in table[[*columns, "token", "weight"]].to_dict("records")]}


class GroupSimulator:
    """The devkit's simulator, which may have been asked before.

    A step of its tracker and motion model costs the same for the two rows of a scene as for those of ten scenes, and
    gives every row the same bits: most of its time is the call, not the arithmetic.
    """

    def __init__(self, simulator: Any) -> None:
        self._simulator = simulator
        self._ready: Dict[Tuple[bytes, bytes], Any] = {}

    def simulate_proposals(self, states: Any, initial_ego_state: Any) -> Any:
        """Rollouts (N, 41, 11) of proposals (N, 41, 11), as the devkit's simulator gives them."""
        found = self._ready.get(self._key(states, initial_ego_state))
        return self._simulator.simulate_proposals(states, initial_ego_state) if found is None else found.copy()

    def simulate_ahead(self, batches: List[Tuple[Any, Any]]) -> None:
        """Roll out proposals, each with its own first ego state, in one pass; earlier rollouts are forgotten."""
        self._ready.clear()
        if not batches:
            return
        rollouts = self._simulate([states for states, _ in batches], [start for _, start in batches])
        ends = np.cumsum([len(states) for states, _ in batches])
        for (states, start), rows in zip(batches, np.split(rollouts, ends[:-1])):
            self._ready[self._key(states, start)] = rows

    def _simulate(self, states: List[Any], starts: List[Any]) -> Any:
        """The devkit's loop over time, for rows that do not start together."""
        from nuplan.common.actor_state.state_representation import TimeDuration
        from nuplan.planning.simulation.simulation_time_controller.simulation_iteration import SimulationIteration

        tracker, model = self._simulator._tracker, self._simulator._motion_model
        sampling = self._simulator.proposal_sampling
        tracker._discretization_time = sampling.interval_length
        model._vehicle = starts[0].car_footprint.vehicle_parameters
        wanted = np.concatenate(states)[:, : sampling.num_poses + 1]
        tracker.update(wanted)
        rollouts = np.zeros(wanted.shape, dtype=np.float64)
        rollouts[:, 0] = np.concatenate([[self._start_row(start)] * len(own) for start, own in zip(starts, states)])
        step = TimeDuration.from_s(sampling.interval_length)
        times = [starts[0].time_point + step * k for k in range(sampling.num_poses + 1)]
        iterations = [SimulationIteration(time, k) for k, time in enumerate(times)]
        for k, (now, then) in enumerate(zip(iterations, iterations[1:])):
            commands = tracker.track_trajectory(now, then, rollouts[:, k])
            rollouts[:, k + 1] = model.propagate_state(rollouts[:, k], commands, then.time_point - now.time_point)
        return rollouts

    @staticmethod
    def _start_row(start: Any) -> Any:
        from navsim.planning.simulation.planner.pdm_planner.utils import pdm_array_representation

        return pdm_array_representation.ego_state_to_state_array(start)

    def _key(self, states: Any, start: Any) -> Tuple[bytes, bytes]:
        return states.tobytes(), self._start_row(start).tobytes()


def pack_row(row: Row) -> Row:
    """A row as plain JSON, without loss: None for NaN."""
    return {name: _pack(value) for name, value in row.items()}


def _pack(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.ndim == 2:
        return {"shape": value.shape, "base64": base64.b64encode(value.astype("<f8").tobytes()).decode()}
    if isinstance(value, np.ndarray):
        return [_pack(item) for item in value]
    if isinstance(value, enum.Enum):
        return {"member": value.name}
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    return bool(value) if isinstance(value, np.bool_) else value


def unpack_row(row: Row) -> Row:
    """Inverse of `pack_row`."""
    return {name: _unpack(value) for name, value in row.items()}


def _unpack(value: Any) -> Any:
    if isinstance(value, dict) and "base64" in value:
        return np.frombuffer(base64.b64decode(value["base64"]), "<f8").reshape(value["shape"])
    if isinstance(value, dict):
        from navsim.common.enums import SceneFrameType

        return SceneFrameType[value["member"]]
    if isinstance(value, list):
        return np.array([np.nan if item is None else item for item in value])
    return np.nan if value is None else value


def make_policy(sampling: Any, is_reactive: bool) -> Any:
    """How the other road users of v2.2 move: as in the log, or reacting as the devkit's own configuration says."""
    if not is_reactive:
        from navsim.traffic_agents_policies.log_replay_traffic_agents import LogReplayTrafficAgents

        return LogReplayTrafficAgents(sampling)
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    folder = find_devkit()[0] / "planning/script/config/common/traffic_agents_policy"
    return instantiate(OmegaConf.load(folder / "navsim_IDM_traffic_agents.yaml").reactive, sampling)


def make_trajectory(poses: Any, interval: float) -> Any:
    """The devkit's trajectory of poses (T, 3), of their own type."""
    from navsim.common.dataclasses import Trajectory
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    return Trajectory(poses, TrajectorySampling(num_poses=len(poses), interval_length=interval))


def describe_scene(cache: Any, trajectory: Any) -> Row:
    """What the aggregation of v2.2 needs of a scene and of where the trajectory ends."""
    from nuplan.common.actor_state.state_representation import StateSE2
    from nuplan.common.geometry.convert import relative_to_absolute_poses

    start = cache.ego_state.rear_axle
    (end,) = relative_to_absolute_poses(start, [StateSE2(*map(float, trajectory.poses[-1]))])
    return {
        "valid": True,
        "log_name": cache.log_name,
        "frame_type": cache.scene_type,
        "start_time": cache.timepoint.time_s,
        "endpoint_x": end.x,
        "endpoint_y": end.y,
        "start_point_x": start.x,
        "start_point_y": start.y,
    }


class OfficialBench:
    """Scenes of a folder of logs as the devkit loads, caches and scores them, for `latentvla bench`."""

    def __init__(self, log_folder: Path, maps_root: Path, cache_folder: Path) -> None:
        self.official = OfficialScorer(maps_root)
        self._folders = log_folder, maps_root, cache_folder
        self._processor = self.official.make_processor(cache_folder)
        self._scenarios: Dict[str, Any] = {}
        self._caches: Dict[str, Any] = {}

    def open_scenes(self, tokens: List[str]) -> None:
        """Read the logs that hold these scenes."""
        from navsim.common.dataclasses import SceneFilter, SensorConfig
        from navsim.common.dataloader import SceneLoader
        from navsim.planning.scenario_builder.navsim_scenario import NavSimScenario

        log_folder, maps_root, _ = self._folders
        sensors = {"sensor_blobs_path" if self.official.generation == 1 else "original_sensor_path": None}
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
        if self.official.generation == 1:
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
            self.official.score(self._caches[token], trajectories[0], interval)
        else:
            self._score_together(token, trajectories, interval)

    def _score_together(self, token: str, trajectories: Any, interval: float) -> None:
        from navsim.evaluate.pdm_score import get_trajectory_as_array, transform_trajectory

        cache, official = self._caches[token], self.official
        start = cache.ego_state
        plans = [cache.trajectory]
        plans += [transform_trajectory(make_trajectory(poses, interval), start) for poses in trajectories]
        states = np.stack([get_trajectory_as_array(plan, official.sampling, start.time_point) for plan in plans])
        simulated = official.simulator.simulate_proposals(states, start)
        world = [cache.observation, cache.centerline, cache.route_lane_ids, cache.drivable_area_map]
        if official.generation == 2:
            tracks = official.policies[0].simulate_environment(simulated[1], cache)
            world += [cache.map_parameters, tracks, cache.past_human_trajectory]
        official.scorer.score_proposals(simulated, *world)


def __getattr__(name: str) -> Any:
    """`NavsimAgent`, defined when it is first asked for: its base class is the devkit's, and needs torch."""
    if name != "NavsimAgent":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = agent = define_agent()
    return agent


def define_agent() -> Type[Any]:
    """The class that stands between a planner of ours and NAVSIM's scripts, for the devkit that is installed."""
    _, generation = find_devkit()
    from navsim.agents.abstract_agent import AbstractAgent
    from navsim.common.dataclasses import SensorConfig
    from nuplan.planning.simulation.trajectory.trajectory_sampling import TrajectorySampling

    class NavsimAgent(AbstractAgent):
        """An `AbstractAgent` of NAVSIM v1.1 or v2.2 around `planner`, any agent of ours.

        The planner gets NAVSIM's `AgentInput`, which has the attributes of ours, and a scene of our own type. Training
        methods are the planner's; its weights are in the checkpoint below `agent.planner`.
        """

        def __init__(self, planner: Any) -> None:
            sampling = planner.trajectory_sampling
            own = TrajectorySampling(num_poses=sampling.num_poses, interval_length=sampling.interval_length)
            super().__init__(*([] if generation == 1 else [own]), requires_scene=planner.requires_scene)
            self.planner = planner

        def name(self) -> str:
            """Name of the planner's class."""
            return str(self.planner.name())

        def initialize(self) -> None:
            """Load the planner's weights."""
            self.planner.initialize()

        def get_sensor_config(self) -> Any:
            """The planner's, as NAVSIM's class."""
            config = self.planner.get_sensor_config()
            return SensorConfig(**{name: getattr(config, name) for name in SENSOR_NAMES})

        def compute_trajectory(self, agent_input: Any, scene: Any = None) -> Any:
            """The planner's plan, as NAVSIM's class."""
            scenes = [] if scene is None else [convert_scene(scene)]
            plan = self.planner.compute_trajectory(agent_input, *scenes)
            return make_trajectory(plan.poses, plan.trajectory_sampling.interval_length)

        def get_feature_builders(self) -> List[Any]:
            """The planner's, as all that follows."""
            return list(self._learner().get_feature_builders())

        def get_target_builders(self) -> List[Any]:
            """Of scenes of our own type, which NAVSIM's are converted to."""
            return [TargetsOfOurScene(builder) for builder in self._learner().get_target_builders()]

        def forward(self, features: Any) -> Any:
            return self._learner().forward(features)

        def compute_loss(self, features: Any, targets: Any, predictions: Any) -> Any:
            return self._learner().compute_loss(features, targets, predictions)

        def get_optimizers(self) -> Any:
            return self._learner().get_optimizers()

        def get_training_callbacks(self) -> List[Any]:
            return list(self._learner().get_training_callbacks())

        def _learner(self) -> Any:
            if not hasattr(self.planner, "compute_loss"):
                raise NotImplementedError(f"{self.name()} does not learn: there is nothing to train or to cache for it")
            return self.planner

    NavsimAgent.__module__, NavsimAgent.__qualname__ = __name__, NavsimAgent.__name__  # where pickle finds it
    return NavsimAgent


class TargetsOfOurScene:
    """A target builder of NAVSIM's interface around one of ours."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        return str(self._builder.get_unique_name())

    def compute_targets(self, scene: Any) -> Dict[str, Any]:
        """Targets of NAVSIM's `Scene`."""
        targets: Dict[str, Any] = self._builder.compute_targets(convert_scene(scene))
        return targets


@lru_cache(maxsize=4)
def _open_maps(root: str) -> MapStore:
    """The maps below a root, read once in a process."""
    return MapStore(Path(root))


def convert_scene(scene: Any) -> Scene:
    """NAVSIM's scene as ours, with our maps of `NUPLAN_MAPS_ROOT`."""
    metadata = scene.scene_metadata
    return Scene(
        SceneMetadata(
            log_name=metadata.log_name,
            scene_token=metadata.scene_token,
            map_name=metadata.map_name,
            initial_token=metadata.initial_token,
            num_history_frames=metadata.num_history_frames,
            num_future_frames=metadata.num_future_frames,
        ),
        [_convert_frame(frame) for frame in scene.frames],
        _open_maps(os.environ["NUPLAN_MAPS_ROOT"]),
    )


def _convert_frame(frame: Any) -> Frame:
    seen, status = frame.annotations, frame.ego_status
    return Frame(
        token=frame.token,
        timestamp=int(frame.timestamp),
        roadblock_ids=[str(id_) for id_ in frame.roadblock_ids],
        traffic_lights=[(str(connector), bool(is_red)) for connector, is_red in frame.traffic_lights],
        annotations=Annotations(
            seen.boxes.reshape(-1, len(BoxIndex)),
            seen.names,
            seen.velocity_3d.reshape(-1, 3),
            seen.instance_tokens,
            seen.track_tokens,
        ),
        ego_status=EgoStatus(
            status.ego_pose, status.ego_velocity, status.ego_acceleration, status.driving_command, True
        ),
    )
