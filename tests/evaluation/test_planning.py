"""What a worker does with one scene first, without the worker."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from latentvla_agent.baselines import ConstantVelocityAgent
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene import AgentInput, Scene, Trajectory, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneIndex, index_scenes
from latentvla_agent.data.sensors import Lidar
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.errors import TrajectoryError
from latentvla_agent.evaluation.agents import find_agent
from latentvla_agent.evaluation.chunks import look_ahead
from latentvla_agent.evaluation.degradations import OTHER_SCENE
from latentvla_agent.evaluation.planning import PlanHandler, PlanItem, check_poses
from latentvla_agent.evaluation.stages import StageSetup
from tests.evaluation.failing_agents import Plan


@pytest.fixture(scope="module")
def index() -> SceneIndex:
    return index_scenes(resolve_split("embedded", find_roots(environ={}, split="embedded"), max_scenes=5))


@pytest.fixture(scope="module")
def setup(index: SceneIndex) -> StageSetup:
    agents = tuple(map(find_agent, ("human", "constant_velocity", "ego_status_mlp")))
    return StageSetup(find_roots(environ={}, split="embedded"), index.scene_filter, Path("unused"), agents)


def test_plans_are_json_in_the_precision_of_the_agent(setup: StageSetup, index: SceneIndex) -> None:
    handler = PlanHandler(setup)
    for agent, dtype in (("human", np.float64), ("constant_velocity", np.float32)):
        prediction = handler(PlanItem(index.refs[1], agent))
        assert prediction["agent"] == agent and prediction["interval"] == 0.5
        poses = np.array(prediction["poses"])
        assert poses.shape == (8, 3) and np.array_equal(poses.astype(dtype).astype(np.float64), poses)


def test_what_an_agent_did_not_see_is_in_its_plan(
    setup: StageSetup, index: SceneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler, item = PlanHandler(setup), PlanItem(index.refs[0], "constant_velocity")
    assert sorted(handler(item)) == ["agent", "costs", "interval", "poses"]
    missing = {"camera": 4, "lidar": 0}
    monkeypatch.setattr(ConstantVelocityAgent, "missing_sensors", lambda agent: missing, raising=False)
    assert handler(item)["missing_sensors"] == missing


SAMPLING = TrajectorySampling()


@pytest.mark.parametrize(
    "plan, reason",
    [
        (None, "expected a Trajectory with an array of poses, got NoneType"),
        (np.zeros((8, 3)), "got ndarray"),
        (Plan([[0.0, 0.0, 0.0]] * 8, SAMPLING), "got Plan"),
        (Plan(np.zeros((8, 3), np.int64), SAMPLING), "float32 or float64, got int64"),
        (Plan(np.zeros((8, 3), np.float16), SAMPLING), "float32 or float64, got float16"),
        (Plan(np.zeros((8, 3), object), SAMPLING), "float32 or float64, got object"),
        (Plan(np.zeros((7, 3)), SAMPLING), r"expected poses of shape \(8, 3\), got \(7, 3\)"),
        (Plan(np.zeros((1, 8, 3)), SAMPLING), r"got \(1, 8, 3\)"),
        (Plan(np.full((8, 3), np.nan), SAMPLING), "not finite"),
        (Plan(np.full((8, 3), -np.inf), SAMPLING), "not finite"),
    ],
)
def test_plans_that_are_none(plan: Any, reason: str) -> None:
    with pytest.raises(TrajectoryError, match=reason):
        check_poses(plan)


def test_scenes_of_one_pass_get_the_plans_that_they_get_alone(setup: StageSetup, index: SceneIndex) -> None:
    handler = PlanHandler(setup)
    alone = [np.array(handler(PlanItem(ref, "ego_status_mlp"))["poses"]) for ref in index.refs]
    passes: List[int] = []
    agent: Any = handler._agents["ego_status_mlp"]
    plan_all = agent.compute_trajectories
    agent.compute_trajectories = lambda inputs: passes.append(len(inputs)) or plan_all(inputs)
    items = look_ahead([PlanItem(ref, "ego_status_mlp") for ref in index.refs], 3)
    together = [np.array(handler(item)["poses"]) for item in items]
    assert passes == [3, 2]
    np.testing.assert_allclose(together, alone, atol=1e-3)


def test_where_a_pass_fails_each_scene_is_planned_alone(setup: StageSetup, index: SceneIndex) -> None:
    handler = PlanHandler(setup)
    agent: Any = handler._agents["ego_status_mlp"]
    plan_all = agent.compute_trajectories

    def plan_one(inputs: Any) -> Any:
        if len(inputs) > 1:
            raise RuntimeError("one of them is broken")
        return plan_all(inputs)

    agent.compute_trajectories = plan_one
    items = look_ahead([PlanItem(ref, "ego_status_mlp") for ref in index.refs], 5)
    assert all(len(handler(item)["poses"]) == 8 for item in items)


def test_agents_that_plan_one_by_one_are_not_asked_for_more(setup: StageSetup, index: SceneIndex) -> None:
    handler = PlanHandler(setup)
    items = look_ahead([PlanItem(ref, "constant_velocity") for ref in index.refs], 5)
    assert all(handler(item)["agent"] == "constant_velocity" for item in items)


def test_an_agent_sees_what_the_degradation_leaves(
    setup: StageSetup, index: SceneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tag_lidar(scene: Scene, sensor_config: Any) -> AgentInput:
        return AgentInput([], [], [Lidar(np.zeros((6, 1), np.float32), scene.token)])

    monkeypatch.setattr(Scene, "get_agent_input", tag_lidar)
    seen: List[Lidar] = []
    plan = Trajectory(np.zeros((8, 3), np.float32))

    def look(agent: ConstantVelocityAgent, agent_input: AgentInput) -> Trajectory:
        seen.append(agent_input.lidars[0])
        return plan

    monkeypatch.setattr(ConstantVelocityAgent, "compute_trajectory", look)
    first, second = index.refs[:2]
    PlanHandler(setup)(PlanItem(first, "constant_velocity"))
    PlanHandler(replace(setup, degradation="lidar-dropout"))(PlanItem(first, "constant_velocity"))
    PlanHandler(replace(setup, degradation=OTHER_SCENE))(PlanItem(first, "constant_velocity", second))
    assert [lidar.lidar_path for lidar in seen] == [first.token, None, second.token]
