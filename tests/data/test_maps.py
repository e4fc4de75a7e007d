"""City maps: the embedded ones as they are, and maps that are missing or broken."""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest
import shapely

from latentvla_agent.data.map_layers import LAYER_COLUMNS, NO_ID, _to_ids, read_layer, read_projection
from latentvla_agent.data.maps import MAP_VERSIONS_FILE, CityMap, MapStore, discretise_line
from latentvla_agent.data.roots import EMBEDDED_FOLDER
from latentvla_agent.errors import DataError

MAPS = EMBEDDED_FOLDER / "maps"
SINGAPORE, VEGAS = "sg-one-north", "us-nv-las-vegas-strip"


@pytest.fixture(scope="module", params=[SINGAPORE, VEGAS])
def city(request: Any) -> CityMap:
    return MapStore(MAPS).load(request.param)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of an embedded map, to be broken."""
    path = tmp_path / "map.gpkg"
    shutil.copyfile(MapStore(MAPS).path_of(SINGAPORE), path)
    return path


def run_sql(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path)
    triggers = [name for (name,) in connection.execute("select name from sqlite_master where type = 'trigger'")]
    for statement in [*(f'drop trigger "{name}"' for name in triggers), *statements]:
        connection.execute(statement)
    connection.commit()
    connection.close()


def make_root(folder: Path, versions: object) -> MapStore:
    folder.mkdir(parents=True, exist_ok=True)
    content = versions if isinstance(versions, str) else json.dumps(versions)
    (folder / MAP_VERSIONS_FILE).write_text(content)
    return MapStore(folder)


def all_blocks(city: CityMap) -> List[Any]:
    groups = [city.roadblock_at(row, False) for row in range(len(city.layer("lane_groups_polygons").ids))]
    return groups + [city.roadblock_at(row, True) for row in range(len(city.layer("lane_group_connectors").ids))]


def test_coordinates_are_utm_metres(city: CityMap) -> None:
    zone = {SINGAPORE: "EPSG:32648", VEGAS: "EPSG:32611"}[city.path.parts[-3]]
    assert read_projection(city.path) == zone
    bounds = shapely.total_bounds(city.layer("lane_groups_polygons").geometry)
    assert 100_000 < bounds[0] < bounds[2] < 900_000 and bounds[2] - bounds[0] < 5_000


def test_lanes_belong_to_their_roadblock(city: CityMap) -> None:
    for block in all_blocks(city):
        assert block.lanes, block.id
        for lane in block.lanes:
            assert (lane.roadblock_id, lane.is_connector) == (block.id, block.is_connector)
            assert lane.polygon.intersects(block.polygon)
            assert lane.polygon.buffer(0.5).covers(shapely.linestrings(lane.states[:, :2]))


def test_lanes_lead_to_lanes_of_the_neighbouring_roadblocks(city: CityMap) -> None:
    for block in all_blocks(city):
        following = {lane.id for after in block.neighbours(forward=True) for lane in after.lanes}
        for lane in block.lanes:
            assert set(lane.outgoing_ids) <= following, lane.id


def test_neighbours_are_mutual_and_alternate(city: CityMap) -> None:
    links = 0
    for block in all_blocks(city):
        for forward in (True, False):
            for other in block.neighbours(forward):
                assert other.is_connector != block.is_connector
                assert block in other.neighbours(not forward)
                links += 1
    assert links > 20


def test_baselines_have_their_length_and_headings(city: CityMap) -> None:
    for block in all_blocks(city):
        for lane in block.lanes:
            steps = np.diff(lane.states[:, :2], axis=0)
            assert lane.length == pytest.approx(np.hypot(steps[:, 0], steps[:, 1]).sum())
            np.testing.assert_allclose(lane.states[:-1, 2], np.arctan2(steps[:, 1], steps[:, 0]), atol=1e-9)
            assert lane.states[-1, 2] == lane.states[-2, 2]
            assert lane.speed_limit is None or 0.0 < lane.speed_limit < 40.0


def test_roadblocks_are_found_by_id_and_shared(city: CityMap) -> None:
    for block in all_blocks(city)[::5]:
        assert city.find_roadblock(block.id) is block
        assert city.find_roadblock(block.id).lanes is block.lanes


@pytest.mark.parametrize("id_", ["0", "999999999", "-1", "abc", "", "1.0", "²", "9" * 30, "9" * 5000])
def test_unknown_roadblocks_are_told(city: CityMap, id_: str) -> None:
    with pytest.raises(DataError, match="map.gpkg: no lane group and no lane group connector has the id"):
        city.find_roadblock(id_)


def test_roadblocks_near_a_place(city: CityMap) -> None:
    block = city.roadblock_at(0, False)
    point = block.polygon.representative_point()
    near = city.roadblocks_near(point.x, point.y, 5.0)
    square = shapely.box(point.x - 5.0, point.y - 5.0, point.x + 5.0, point.y + 5.0)
    assert near == [other for other in all_blocks(city) if other.polygon.intersects(square)]
    assert block in near
    far = city.nearest_roadblocks(point.x + 1e5, point.y)
    assert [other.is_connector for other in far] == [False, True]
    assert city.roadblocks_near(point.x + 1e5, point.y, 5.0) == []


def test_headings_of_a_line() -> None:
    states = discretise_line(shapely.LineString([(0, 0), (2, 0), (2, 2), (0, 2)]))
    np.testing.assert_allclose(states[:, 2], [0.0, np.pi / 2, np.pi, np.pi])


def test_only_the_location_that_is_used_must_exist() -> None:
    """The versions file names four locations, the package ships two."""
    store = MapStore(MAPS)
    assert store.load(SINGAPORE) is store.load(SINGAPORE)
    with pytest.raises(DataError, match="us-ma-boston.*map.gpkg: map file not found"):
        store.load("us-ma-boston")


def test_unknown_locations_are_told() -> None:
    with pytest.raises(DataError, match="unknown map location 'atlantis', known: sg-one-north, us-ma-boston"):
        MapStore(MAPS).load("atlantis")


def test_a_folder_without_versions_file_is_no_maps_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{MAP_VERSIONS_FILE}: not found"):
        MapStore(tmp_path).load(SINGAPORE)


@pytest.mark.parametrize("versions", ["{", "[]", '{"sg-one-north": 1}', '{"sg-one-north": {}}', "\x00"])
def test_a_broken_versions_file_is_told(tmp_path: Path, versions: str) -> None:
    with pytest.raises(DataError, match=f"{MAP_VERSIONS_FILE}: expected"):
        make_root(tmp_path, versions).load(SINGAPORE)


def test_versions_that_are_no_text_are_told(tmp_path: Path) -> None:
    store = make_root(tmp_path, {})
    (tmp_path / MAP_VERSIONS_FILE).write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(DataError, match=f"{MAP_VERSIONS_FILE}: expected"):
        store.load(SINGAPORE)


@pytest.mark.parametrize("version", ["../../outside", "/outside", "../../../../../tmp"])
def test_a_location_that_leaves_the_maps_folder_is_refused(tmp_path: Path, version: str, copy: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.move(str(copy), str(outside / "map.gpkg"))
    with pytest.raises(DataError, match="points out of the maps folder"):
        make_root(tmp_path / "maps", {SINGAPORE: {"version": version}}).load(SINGAPORE)
    with pytest.raises(DataError, match="points out of the maps folder"):
        make_root(tmp_path / "maps", {"../outside": {"version": ""}}).load("../outside")


@pytest.mark.parametrize("layer", ["meta", *LAYER_COLUMNS])
def test_a_missing_layer_is_told(copy: Path, layer: str) -> None:
    run_sql(
        copy,
        f'drop table "{layer}"',
        f"delete from gpkg_contents where table_name = '{layer}'",
        f"delete from gpkg_geometry_columns where table_name = '{layer}'",
    )
    with pytest.raises(DataError, match=f"map.gpkg: layer {layer} is missing"):
        CityMap(copy).layer(layer)


@pytest.mark.parametrize(("layer", "column"), [(name, column) for name, cs in LAYER_COLUMNS.items() for column in cs])
def test_a_missing_column_is_told(copy: Path, layer: str, column: str) -> None:
    run_sql(copy, f'alter table "{layer}" rename column "{column}" to "other"')
    with pytest.raises(DataError, match=rf"map.gpkg: layer {layer} lacks the column\(s\) {column}"):
        CityMap(copy).layer(layer)


def test_a_map_without_projection_is_told(copy: Path) -> None:
    run_sql(copy, "update meta set key = 'else' where key = 'projectedCoordSystem'")
    with pytest.raises(DataError, match="map.gpkg: layer meta has no key projectedCoordSystem"):
        CityMap(copy)


def test_a_map_with_an_unknown_projection_is_told(copy: Path) -> None:
    run_sql(copy, "update meta set value = 'EPSG:nowhere' where key = 'projectedCoordSystem'")
    with pytest.raises(DataError, match="map.gpkg: layer lane_groups_polygons is not readable"):
        CityMap(copy).layer("lane_groups_polygons")


@pytest.mark.parametrize("size", [0, 50, 5_000])
def test_a_truncated_map_is_told(copy: Path, size: int) -> None:
    copy.write_bytes(copy.read_bytes()[:size])
    with pytest.raises(DataError, match="map.gpkg: layer .* is (missing|not readable)"):
        CityMap(copy).layer("lanes_polygons")


def test_a_missing_map_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing.gpkg: map file not found"):
        CityMap(tmp_path / "nothing.gpkg")


def test_a_lane_connector_without_polygon_is_told(copy: Path) -> None:
    run_sql(copy, "delete from gen_lane_connectors_scaled_width_polygons")
    with pytest.raises(DataError, match="map.gpkg: expected one polygon of lane connector .*got 0"):
        CityMap(copy).lane(0, True)


@pytest.mark.parametrize("field", ["states", "length"])
@pytest.mark.parametrize(("is_connector", "column"), [(False, "lane_fid"), (True, "lane_connector_fid")])
@pytest.mark.parametrize("count", [0, 2])
def test_a_lane_without_one_baseline_is_told_where_it_is_used(
    copy: Path, count: int, is_connector: bool, column: str, field: str
) -> None:
    again = f"insert into baseline_paths (geom, {column}) select geom, {column} from baseline_paths"
    run_sql(copy, "delete from gpkg_ogr_contents", "delete from baseline_paths" if count == 0 else again)
    lane = CityMap(copy).lane(0, is_connector)
    assert lane.polygon.area > 0.0 and lane.outgoing_ids, "known without a baseline"
    with pytest.raises(DataError, match=f"map.gpkg: expected one baseline with {column} {lane.id} .*got {count}"):
        getattr(lane, field)


def test_a_baseline_is_read_once(city: CityMap) -> None:
    lane = city.lane(0, False)
    assert lane.states is lane.states


def test_a_connector_to_nowhere_has_no_neighbour(copy: Path) -> None:
    """Null, and the id of a lane group that the map does not hold."""
    run_sql(copy, "update lane_group_connectors set to_lane_group_fid = null, from_lane_group_fid = 424242")
    block = CityMap(copy).roadblock_at(0, True)
    assert block.neighbours(forward=True) == []
    (before,) = block.neighbours(forward=False)
    assert before.id == "424242" and before.lanes == [] and block in before.neighbours(forward=True)
    with pytest.raises(DataError, match="map.gpkg: layer lane_groups_polygons has no id 424242"):
        before.polygon


def test_an_empty_layer_is_allowed(copy: Path) -> None:
    run_sql(copy, "delete from carpark_areas")
    layer = read_layer(copy, "carpark_areas", "EPSG:32648")
    assert len(layer.ids) == 0 and layer.nearest_row(shapely.Point(0, 0)) == -1
    assert CityMap(copy).areas_near("carpark_areas", 0.0, 0.0, 1e7) == []


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([3, 2**40], dtype=np.int64), [3, 2**40]),
        (np.array([3, 4], dtype=np.int32), [3, 4]),
        (np.array([3.0, np.nan]), [3, NO_ID]),
        (np.array(["3", "", None, "44958"], dtype=object), [3, NO_ID, NO_ID, 44958]),
        (np.array([], dtype=object), []),
    ],
)
def test_foreign_keys_may_be_integers_floats_or_text(values: Any, expected: List[int]) -> None:
    ids = _to_ids(values)
    assert ids.dtype == np.int64 and ids.tolist() == expected


def test_text_keys_of_a_map_work_like_integers(copy: Path) -> None:
    """A whole layer rewritten with text columns gives the same neighbours."""
    expected = [[b.id for b in block.neighbours(True)] for block in all_blocks(CityMap(copy))]
    run_sql(
        copy,
        "alter table lane_group_connectors rename column from_lane_group_fid to a",
        "alter table lane_group_connectors rename column to_lane_group_fid to b",
        "alter table lane_group_connectors add column from_lane_group_fid text",
        "alter table lane_group_connectors add column to_lane_group_fid text",
        "update lane_group_connectors set from_lane_group_fid = a, to_lane_group_fid = b",
    )
    assert [[b.id for b in block.neighbours(True)] for block in all_blocks(CityMap(copy))] == expected
