"""A city map that is written as a map expansion is read back as it was."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import shapely

from latentvla_agent.data.maps import CityMap
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.data.nuscenes.map_writer import write_expansion
from latentvla_agent.data.scene import FloatArray
from tests.data.nuscenes.crossroads import LOCATION, lanes_by_name, make_crossroads

EVERYWHERE = shapely.box(-1000, -1000, 1000, 1000)


def stay(points: FloatArray) -> FloatArray:
    return points


@pytest.fixture()
def city_map(tmp_path: Path) -> CityMap:
    make_crossroads().write(tmp_path / "first")
    return NuScenesMaps(tmp_path / "first").load(LOCATION)


def write(root: Path, city_map: CityMap, area: shapely.Geometry = EVERYWHERE, place: object = stay) -> CityMap:
    write_expansion(root / "maps" / "expansion" / f"{LOCATION}.json", city_map, area, place)  # type: ignore[arg-type]
    return NuScenesMaps(root).load(LOCATION)


def test_lanes_links_and_areas_come_back(tmp_path: Path, city_map: CityMap) -> None:
    again = write(tmp_path / "again", city_map)
    before, after = lanes_by_name(city_map), lanes_by_name(again)
    assert sorted(after) == sorted(before)
    for name, lane in before.items():
        assert lane.polygon.symmetric_difference(after[name].polygon).area < 1e-3
        np.testing.assert_allclose(after[name].states[:, :2], lane.states[:, :2], atol=1e-3)
        assert len(after[name].outgoing_ids) == len(lane.outgoing_ids)
    assert len(again.layer("lane_connectors").ids) == 2  # a short one is a connector by now
    for layer in ("lane_groups_polygons", "intersections", "carpark_areas"):
        areas = [shapely.union_all(one.layer(layer).geometry) for one in (city_map, again)]
        covered = areas[0].difference(areas[1]).area
        assert covered < 1e-2, layer
    drivable = [
        shapely.union_all([*one.layer("carpark_areas").geometry, *one.layer("lane_groups_polygons").geometry])
        for one in (city_map, again)
    ]
    assert drivable[0].symmetric_difference(drivable[1]).area < 0.1


def test_what_lies_outside_is_left_out(tmp_path: Path, city_map: CityMap) -> None:
    again = write(tmp_path / "again", city_map, shapely.box(15, 15, 25, 30))
    assert len(again.layer("lanes_polygons").ids) == 1 and len(again.layer("lane_connectors").ids) == 0


def test_a_mirrored_map_has_the_same_links(tmp_path: Path, city_map: CityMap) -> None:
    again = write(tmp_path / "again", city_map, place=lambda points: points * [1.0, -1.0])
    ends = {tuple(np.round(again.lane(row, False).states[-1, :2]).tolist()) for row in range(4)}
    assert (20.0, -60.0) in ends
    turn = next(lane for lane in (again.lane(row, True) for row in range(2)) if lane.length > 5.0)
    assert turn.states[-1, 2] < -1.4  # to the right


def test_the_tables_are_those_of_nuscenes(tmp_path: Path, city_map: CityMap) -> None:
    write(tmp_path / "again", city_map)
    content = json.loads((tmp_path / "again" / "maps" / "expansion" / f"{LOCATION}.json").read_text())
    assert content["version"] == "1.3" and len(content["canvas_edge"]) == 2
    fields = {
        "lane": "token polygon_token lane_type from_edge_line_token to_edge_line_token left_lane_divider_segments "
        "right_lane_divider_segments",
        "lane_connector": "token polygon_token",
        "road_segment": "token polygon_token is_intersection drivable_area_token",
        "road_block": "token polygon_token from_edge_line_token to_edge_line_token road_segment_token",
        "polygon": "token exterior_node_tokens holes",
        "line": "token node_tokens",
        "node": "token x y",
        "ped_crossing": "token polygon_token road_segment_token",
        "carpark_area": "token polygon_token orientation road_block_token",
    }
    for table, names in fields.items():
        assert all(set(row) == set(names.split()) for row in content[table]) and content[table], table
    tokens = [row["token"] for row in content["polygon"]]
    assert len(tokens) == len(set(tokens))
