"""A map expansion as a city map: lanes, their groups, connectors, and what can be driven on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from latentvla_agent.data.map_layers import LAYER_COLUMNS, OPTIONAL_COLUMNS
from latentvla_agent.data.maps import CityMap
from latentvla_agent.data.nuscenes.map import NuScenesMaps, cut_tiles
from latentvla_agent.errors import DataError
from tests.data.nuscenes.crossroads import ARC_M, LOCATION, lanes_by_name, make_crossroads


@pytest.fixture()
def city_map(tmp_path: Path) -> CityMap:
    make_crossroads().write(tmp_path)
    return NuScenesMaps(tmp_path).load(LOCATION)


def test_every_layer_is_there(city_map: CityMap) -> None:
    for name in (*LAYER_COLUMNS, *OPTIONAL_COLUMNS):
        layer = city_map.layer(name)
        assert len(layer.ids) == len(layer.geometry)
    city_map.read_all_layers()


def test_no_two_ids_are_alike(city_map: CityMap) -> None:
    """The scorer would take a tile of drivable area for the lane of the same id."""
    names = ("lanes_polygons", "lane_connectors", "lane_groups_polygons", "lane_group_connectors")
    areas = ("intersections", "carpark_areas")
    ids = np.concatenate([city_map.layer(name).ids for name in (*names, *areas)])
    assert len(np.unique(ids)) == len(ids) > 12


def test_lanes_lead_through_connectors(city_map: CityMap) -> None:
    lanes = lanes_by_name(city_map)
    assert sorted(lanes) == ["beside", "east", "north", "right"]
    connectors = {city_map.lane(row, True).id: city_map.lane(row, True) for row in range(2)}
    assert len(city_map.layer("lane_connectors").ids) == 2
    following = {connectors[id_].outgoing_ids[0]: connectors[id_] for id_ in lanes["right"].outgoing_ids}
    turn, joint = following[lanes["north"].id], following[lanes["east"].id]
    assert turn.length == pytest.approx(ARC_M, rel=1e-2)
    assert turn.polygon.area == pytest.approx(ARC_M * 4.0, rel=0.05)  # swept: the lanes are 4 m wide
    assert joint.length == pytest.approx(1.0) and lanes["right"].length == pytest.approx(49.0)
    np.testing.assert_allclose(joint.states[[0, -1], 0], [9.0, 10.0], atol=1e-9)
    assert lanes["right"].speed_limit is None


def test_lanes_with_a_divider_between_them_are_one_group(city_map: CityMap) -> None:
    lanes = lanes_by_name(city_map)
    assert lanes["right"].roadblock_id == lanes["beside"].roadblock_id
    assert len({lanes[name].roadblock_id for name in ("right", "east", "north")}) == 3
    block = city_map.find_roadblock(lanes["right"].roadblock_id)
    assert not block.is_connector and block.polygon.area == pytest.approx(50.0 * 8.0)
    ahead = [city_map.find_roadblock(other.id) for other in block.neighbours(forward=True)]
    assert sorted(other.neighbours(forward=True)[0].id for other in ahead) == sorted(
        lanes[name].roadblock_id for name in ("east", "north")
    )


def test_lanes_of_a_road_block_are_one_group(tmp_path: Path) -> None:
    maker = make_crossroads()
    ends = {"from_edge_line_token": "", "to_edge_line_token": "", "road_segment_token": ""}
    maker.add("road_block", "both", polygon_token=maker.box(9, -3, 61, 61), **ends)
    maker.content["road_block"][1]["polygon_token"] = None
    make = maker.write(tmp_path)
    assert make.is_file()
    lanes = lanes_by_name(NuScenesMaps(tmp_path).load(LOCATION))
    assert lanes["east"].roadblock_id == lanes["north"].roadblock_id != lanes["right"].roadblock_id


def test_all_drivable_area_can_be_driven_on(city_map: CityMap) -> None:
    tiles = city_map.layer("carpark_areas").geometry
    for (x, y), inside in {(50.0, 50.0): 1, (-20.0, 40.0): 0, (65.0, 0.0): 1, (75.0, 5.0): 1, (90.0, 0.0): 0}.items():
        assert shapely.contains_xy(tiles, x, y).any() == bool(inside)


def test_tiles_are_the_area(tmp_path: Path) -> None:
    area = shapely.Point(3.0, 7.0).buffer(140.0).difference(shapely.box(0, 0, 60, 60))
    tiles = cut_tiles([area])
    assert len(tiles) > 20 and max(tile.area for tile in tiles) < 50.1**2
    assert shapely.union_all(tiles).symmetric_difference(area).area < 1e-6


def test_names_of_locations_lead_nowhere(tmp_path: Path) -> None:
    maps = NuScenesMaps(tmp_path)
    for name in ("../secrets", "/etc/passwd", "a/b", ""):
        with pytest.raises(DataError, match="location"):
            maps.has(name)
    assert not maps.has("boston-seaport")
    with pytest.raises(DataError, match="boston-seaport.json"):
        maps.load("boston-seaport")
