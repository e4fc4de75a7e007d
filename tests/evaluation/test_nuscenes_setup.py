"""What a worker of a nuScenes evaluation plans with and scores with: the database as it opens it, the car, the map."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

import numpy as np
import pytest

from latentvla_agent.baselines import BaselineAgent
from latentvla_agent.data.scene import AgentInput, Scene, Trajectory
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.agents import AgentSpec, find_agent
from latentvla_agent.evaluation.nuscenes_samples import list_refs
from latentvla_agent.evaluation.nuscenes_setup import (
    SCORED_FRAMES,
    SCORING,
    VEHICLE,
    NuScenesGrader,
    NuScenesScenes,
    NuScenesSetup,
    open_planner,
)
from latentvla_agent.evaluation.planning import PlanItem
from latentvla_agent.evaluation.stages import ScoreItem
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metric_cache import build_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from tests.data.nuscenes.crossroads import ExpansionMaker, straight
from tests.data.nuscenes.drives import VERSION, make_drive, write_drives

SPEED = 5.0
HALF_WIDTH_M = 1.0  # of the only road: nuScenes' car is 1.85 m wide, NAVSIM's 2.297 m
SELF = "tests.evaluation.test_nuscenes_setup"


class LooksAtMap(BaselineAgent):
    """Stands still, as many metres to the left as the map has lanes."""

    requires_scene = True

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Trajectory:
        """Fails where there is no map."""
        assert scene is not None
        num_lanes = len(scene.map_api.layer("lanes_polygons").ids)
        return Trajectory(np.full((8, 3), [0.0, num_lanes, 0.0], np.float32), self.trajectory_sampling)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A drive straight on along a narrow lane, without other cars."""
    folder = tmp_path_factory.mktemp("nuscenes")
    write_drives(folder, make_drive(num_frames=16, speed=SPEED, boxes=()))
    maker = ExpansionMaker()
    area = maker.box(50, 50 - HALF_WIDTH_M, 300, 50 + HALF_WIDTH_M)
    maker.lane("there", area, [straight(50, 50, 0, 250)], [])
    maker.write(folder)
    return folder


def find_ref(setup: NuScenesSetup, number: int) -> SceneRef:
    return list_refs(setup.open(with_maps=False), ["scene-a"])[number]


def make_prediction(poses: Any, agent: str = "me") -> Any:
    return {"agent": agent, "poses": np.asarray(poses, float).tolist(), "interval": 0.5}


def drive_straight(side: float = 0.0) -> Any:
    times = 0.5 * np.arange(1, 9)
    return np.column_stack([SPEED * times, np.linspace(side / 8, side, 8), np.zeros(8)])


def test_scenes_are_long_enough_to_be_scored_and_stop_with_the_drive(root: Path) -> None:
    database = NuScenesSetup(root, VERSION).open(with_maps=False)
    assert SCORED_FRAMES == 10  # 5 s
    scenes = [database.load(f"a-{number:03d}") for number in (0, 5, 6, 15)]
    assert [scene.scene_metadata.num_future_frames for scene in scenes] == [10, 10, 9, 0]


def test_the_setup_survives_the_way_to_a_worker(root: Path) -> None:
    setup = NuScenesSetup(root, VERSION, use_can_bus=False, agents=(find_agent("stop"),), needs_maps=True)
    assert pickle.loads(pickle.dumps(setup)) == setup


@pytest.mark.parametrize("use_can_bus, source", [(True, "can_bus"), (False, "next_pose")])
def test_the_can_bus_is_used_only_where_it_is_wanted(tmp_path: Path, use_can_bus: bool, source: str) -> None:
    write_drives(tmp_path, replace(make_drive(num_frames=2), has_motion=True))
    database = NuScenesSetup(tmp_path, VERSION, use_can_bus=use_can_bus).open(with_maps=False)
    assert database.load("a-000").motion_source == source


def test_a_scene_has_a_map_only_where_the_setup_opens_one(root: Path) -> None:
    setup = NuScenesSetup(root, VERSION)
    ref = find_ref(setup, 2)
    mapped = NuScenesScenes(setup.open(with_maps=True)).build(ref)
    assert mapped.token == "a-002" and len(mapped.current_frame.roadblock_ids) == 1
    plain = NuScenesScenes(setup.open(with_maps=False)).build(ref)
    assert plain.current_frame.roadblock_ids == []
    with pytest.raises(DataError, match="built without maps"):
        plain.map_api


def test_the_planner_runs_the_agents_of_the_setup(root: Path) -> None:
    setup = NuScenesSetup(root, VERSION, agents=(find_agent("constant_velocity"), find_agent("stop")))
    ref, planner = find_ref(setup, 4), open_planner(setup)
    plan = planner(PlanItem(ref, "constant_velocity"))
    assert plan["agent"] == "constant_velocity" and plan["interval"] == 0.5
    np.testing.assert_allclose(plan["poses"], drive_straight(), atol=1e-3)
    np.testing.assert_array_equal(planner(PlanItem(ref, "stop"))["poses"], np.zeros((8, 3)))


def test_agents_get_the_map_where_one_of_them_needs_it(root: Path) -> None:
    spec = AgentSpec("looks", {"_target_": f"{SELF}.LooksAtMap"})
    item = PlanItem(find_ref(NuScenesSetup(root, VERSION), 0), "looks")
    plan = open_planner(NuScenesSetup(root, VERSION, agents=(spec,), needs_maps=True))(item)
    assert plan["poses"][7] == [0.0, 1.0, 0.0]
    with pytest.raises(DataError, match="an agent asked for its map"):
        open_planner(NuScenesSetup(root, VERSION, agents=(spec,)))(item)


def test_the_car_is_nuscenes_own() -> None:
    assert (VEHICLE.width, VEHICLE.wheel_base) == (1.85, 2.588)
    assert VEHICLE.front_length == pytest.approx(1.44 + 2.042) and VEHICLE.rear_length == pytest.approx(2.042 - 1.44)
    assert SCORING.vehicle is VEHICLE and DEFAULT_CONFIG.vehicle.width == 2.297


def test_plans_are_scored_with_that_car_in_the_order_given(root: Path) -> None:
    """The lane is wide enough for nuScenes' car and not for NAVSIM's; the second plan leaves it."""
    setup = NuScenesSetup(root, VERSION)
    ref = find_ref(setup, 4)
    failed = {"agent": "none", "error": "ValueError: no plan"}
    item = ScoreItem(ref, (make_prediction(drive_straight()), make_prediction(drive_straight(-4.0), "off"), failed))
    stays, leaves, none = NuScenesGrader(setup)(item)
    assert (stays["token"], stays["log"], stays["agent"]) == ("a-004", "log-a", "me")
    assert stays["valid"] and stays["drivable_area_compliance"] == 1.0 and stays["score"] > 0.8
    assert leaves["agent"] == "off" and leaves["valid"]
    assert (leaves["drivable_area_compliance"], leaves["score"]) == (0.0, 0.0)
    assert (none["agent"], none["valid"], none["error"]) == ("none", False, "ValueError: no plan")
    scene = setup.open(with_maps=True).load(ref.token)
    cache = build_metric_cache(scene, scene.map_api, DEFAULT_CONFIG)
    wider = Scorer("pdms-nuscenes", DEFAULT_CONFIG).score(cache, drive_straight()[None])
    assert wider.sub_scores["drivable_area_compliance"][0] == 0.0


def test_a_plan_that_cannot_be_scored_costs_no_other_its_score(root: Path) -> None:
    setup = NuScenesSetup(root, VERSION)
    broken = make_prediction(np.full((8, 3), np.nan), "broken")
    item = ScoreItem(find_ref(setup, 4), (broken, make_prediction(drive_straight())))
    bad, good = NuScenesGrader(setup)(item)
    assert not bad["valid"] and bad["score"] == 0.0 and "finite" in bad["error"]
    assert good["valid"] and good["score"] > 0.8
