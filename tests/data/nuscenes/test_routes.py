"""Routes from driven poses: which lanes they are in, and how the route goes on."""

from __future__ import annotations

from pathlib import Path
from typing import List, Sequence, Tuple

import numpy as np
import pytest

from latentvla_agent.data.maps import CityMap
from latentvla_agent.data.nuscenes.database import NuScenesConfig, NuScenesDatabase
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.data.nuscenes.routes import find_routes
from tests.data.nuscenes.crossroads import LOCATION, lanes_by_name, make_crossroads
from tests.data.nuscenes.drives import VERSION, make_drive, write_drives


@pytest.fixture()
def city_map(tmp_path: Path) -> CityMap:
    make_crossroads().write(tmp_path)
    return NuScenesMaps(tmp_path).load(LOCATION)


def name_blocks(city_map: CityMap, route: Sequence[str]) -> List[str]:
    """Groups by the name of a lane; a connector group by what it leads to."""
    names = {lane.roadblock_id: name for name, lane in lanes_by_name(city_map).items() if name != "beside"}
    found = []
    for id_ in route:
        block = city_map.find_roadblock(id_)
        found.append(names[id_] if not block.is_connector else f"to {names[block.neighbours(forward=True)[0].id]}")
    return found


def drive(*poses: Tuple[float, float, float]) -> np.ndarray:
    return np.array(poses, float)


def test_a_turn_is_followed(city_map: CityMap) -> None:
    turn = (10 + 10 * np.sin(0.8), 10 - 10 * np.cos(0.8), 0.8)
    routes = find_routes(city_map, drive((-10, 0.3, 0), (0, 0, 0), turn, (20, 20, np.pi / 2), (20, 30, np.pi / 2)))
    names = [name_blocks(city_map, route) for route in routes]
    assert names[0] == names[1] == ["right", "to north", "north"]
    assert names[2] == ["to north", "north"] and names[3] == names[4] == ["north"]


def test_the_route_goes_on_straight_where_the_drive_ends(city_map: CityMap) -> None:
    (route,) = find_routes(city_map, drive((-30, 0, 0)))
    assert name_blocks(city_map, route) == ["right", "to east", "east"]


def test_what_lies_between_two_poses_is_filled_in(city_map: CityMap) -> None:
    routes = find_routes(city_map, drive((0, 0, 0), (20, 40, np.pi / 2)))
    assert name_blocks(city_map, routes[0]) == ["right", "to north", "north"]


def test_a_lane_change_stays_in_the_group(city_map: CityMap) -> None:
    routes = find_routes(city_map, drive((-35, 4, 0), (-25, 3.6, -0.1), (-15, 0.4, -0.1), (-5, 0, 0)))
    assert all(name_blocks(city_map, route) == ["right", "to east", "east"] for route in routes)


def test_poses_off_the_lanes_wait_for_the_next_one(city_map: CityMap) -> None:
    routes = find_routes(city_map, drive((-50, 40, 0), (-30, 0, 0), (-50, 40, 0)))
    assert name_blocks(city_map, routes[0])[0] == "right" and routes[2] == []
    assert find_routes(city_map, drive((-50, 40, 0))) == [[]]
    against = find_routes(city_map, drive((-30, 0, np.pi)))
    assert against == [[]]  # nobody drives that way


def test_frames_have_the_route_where_there_is_a_map(tmp_path: Path) -> None:
    root = write_drives(tmp_path, make_drive(num_frames=3, speed=2.0))
    maker = make_crossroads()
    maker.lane(
        "there",
        maker.box(90, 48, 150, 52),
        [{"start_pose": [90, 50, 0], "shape": "LSR", "radius": 9.0, "segment_length": [0, 60, 0]}],
        [],
    )
    maker.write(root)
    maps = NuScenesMaps(root)
    scene = NuScenesDatabase(root, VERSION, NuScenesConfig(), maps).load("a-001")
    (route,) = {tuple(frame.roadblock_ids) for frame in scene.frames}
    assert len(route) == 1 and scene.map_api is maps.load(LOCATION)
    assert NuScenesDatabase(root, VERSION).load("a-001").current_frame.roadblock_ids == []
