"""What a worker does with one scene first: plan with an agent."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Dict, List, Optional, Protocol, Sequence, Tuple

import numpy as np

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.scene import AgentInput, Scene, Trajectory, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, SceneRef
from latentvla_agent.data.sensors import SensorConfig, SensorStore
from latentvla_agent.errors import TrajectoryError
from latentvla_agent.evaluation.agents import Agent, AgentSpec, build_agent
from latentvla_agent.evaluation.costs import describe_costs, describe_missing
from latentvla_agent.evaluation.degradations import OTHER_SCENE, borrow_sensors, degrade
from latentvla_agent.evaluation.plan_details import ask_details
from latentvla_agent.evaluation.stages import Prediction, StageSetup


@dataclass(frozen=True)
class PlanItem:
    """One agent in one scene. `ahead`: items that the same worker gets next, to be planned in the same pass;
    `sensors_of`: the scene whose sensors it gets in place of its own."""

    ref: SceneRef
    agent: str
    sensors_of: Optional[SceneRef] = None
    ahead: Tuple[PlanItem, ...] = ()


class SceneBuilder(Protocol):
    """Where scenes come from."""

    def build(self, ref: SceneRef) -> Scene:
        """The scene of a reference."""


class ScenePlanner:
    """Runs agents in the scenes of a loader; one instance per worker process.

    `degradation`, `keep_details`: see `StageSetup`.
    """

    def __init__(
        self,
        agents: Sequence[AgentSpec],
        loader: SceneBuilder,
        degradation: Optional[str] = None,
        keep_details: bool = False,
    ):
        self._loader = loader
        self._degradation, self._keep_details = degradation, keep_details
        self._agents: Dict[str, Agent] = {}
        self._sensor_configs: Dict[str, Any] = {}
        self._ahead: Dict[Tuple[str, str], Prediction] = {}
        for spec in agents:
            agent = build_agent(spec)
            agent.initialize()
            self._agents[spec.name], self._sensor_configs[spec.name] = agent, find_sensor_config(agent)

    def __call__(self, item: PlanItem) -> Prediction:
        """The agent's prediction; whatever it raises is for the caller to count."""
        if item.ahead and hasattr(self._agents[item.agent], "compute_trajectories"):
            self._plan_together((item, *item.ahead))
        ready = self._ahead.pop((item.agent, item.ref.token), None)
        return self._plan(item) if ready is None else ready

    def _plan(self, item: PlanItem) -> Prediction:
        agent, scene = self._agents[item.agent], self._loader.build(item.ref)
        agent_input = self._see(scene, item)
        arguments = (agent_input, scene) if agent.requires_scene else (agent_input,)
        begun = time.perf_counter()
        trajectory = agent.compute_trajectory(*arguments)
        return self._describe(item.agent, trajectory, time.perf_counter() - begun)

    def _see(self, scene: Scene, item: PlanItem) -> AgentInput:
        """What the agent gets of the scene."""
        sensors = self._sensor_configs[item.agent]
        agent_input = scene.get_agent_input(sensors)
        if item.sensors_of is not None:
            return borrow_sensors(agent_input, self._loader.build(item.sensors_of).get_agent_input(sensors))
        if self._degradation not in (None, OTHER_SCENE):
            return degrade(agent_input, str(self._degradation), scene.token)
        return agent_input

    def _plan_together(self, items: Sequence[PlanItem]) -> None:
        """Keep the plans of several scenes; where one of them fails, each is planned alone, and says so in its turn."""
        name, agent = items[0].agent, self._agents[items[0].agent]
        try:
            scenes = [self._loader.build(item.ref) for item in items]
            inputs = [self._see(scene, item) for scene, item in zip(scenes, items)]
            begun = time.perf_counter()
            plans: List[Trajectory] = agent.compute_trajectories(inputs)  # type: ignore[attr-defined]
            seconds = (time.perf_counter() - begun) / len(items)
        except Exception:  # of a scene that is not named here: planned alone, it raises again, and is counted
            return
        for position, (item, plan) in enumerate(zip(items, plans)):
            self._ahead[(name, item.ref.token)] = self._describe(name, plan, seconds, position)

    def _describe(self, name: str, trajectory: Any, seconds: float, *position: int) -> Prediction:
        agent = self._agents[name]
        prediction = describe_plan(name, agent, trajectory, seconds, *position)
        details = ask_details(agent, *position) if self._keep_details else {}
        return {**prediction, "details": details} if details else prediction


class PlanHandler(ScenePlanner):
    """Runs agents in scenes of OpenScene logs."""

    def __init__(self, setup: StageSetup):
        maps = MapStore(setup.roots.maps)
        sensors = SensorStore(setup.roots.sensors, setup.sensor_source)
        loader = SceneLoader(SceneIndex((), setup.scene_filter), maps, sensors)
        super().__init__(setup.agents, loader, setup.degradation, setup.keep_details)


def describe_plan(name: str, agent: Agent, trajectory: Any, seconds: float, *position: int) -> Prediction:
    """What the journal keeps of a plan, the one at `position` of a pass; raises `TrajectoryError` for no plan."""
    costs = describe_costs(agent, seconds)
    poses = check_poses(trajectory)
    interval = float(trajectory.trajectory_sampling.interval_length)
    prediction = {"agent": name, "poses": poses.tolist(), "interval": interval, "costs": costs}
    missing = describe_missing(agent, *position)
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
