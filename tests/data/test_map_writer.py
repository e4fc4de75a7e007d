"""Maps that we write: read back with the same ids, order and millimetres, and always of the same bytes."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pyogrio
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.data.map_layers import (
    LAYER_COLUMNS,
    NO_ID,
    OPTIONAL_COLUMNS,
    MapLayer,
    read_layer,
    read_projection,
)
from latentvla_agent.data.map_writer import (
    GEOMETRY_TYPES,
    LOCATIONS,
    empty_layer,
    map_path,
    round_geometry,
    write_map,
    write_map_versions,
)
from latentvla_agent.data.maps import CityMap, MapStore
from latentvla_agent.data.roots import EMBEDDED_FOLDER
from latentvla_agent.errors import DataError

BOSTON = "us-ma-boston"
ZONE = LOCATIONS[BOSTON].projection


def make_layer(name: str, ids: Any = (100001, 100005, 200000), shift: float = 0.0, **columns: Any) -> MapLayer:
    """Squares or lines 10 m apart, near the middle of Boston's zone."""
    x = 331000.12345 + 10.0 * np.arange(len(ids)) + shift
    boxes = shapely.box(x, 4690000.0, x + 4.0004, 4690007.0)
    geometry = (
        boxes
        if GEOMETRY_TYPES[name] == "Polygon"
        else shapely.linestrings(shapely.get_coordinates(boxes), indices=np.repeat(np.arange(len(ids)), 5))
    )
    needed: Dict[str, Any] = {}
    for column in LAYER_COLUMNS.get(name, ()):
        is_speed = column == "speed_limit_mps"
        needed[column] = np.full(len(ids), 13.4) if is_speed else 7 + np.arange(len(ids), dtype=np.int64)
    return MapLayer(np.array(ids, dtype=np.int64), np.asarray(geometry, dtype=object), {**needed, **columns})


def make_layers() -> Dict[str, MapLayer]:
    """One of each."""
    return {name: make_layer(name) for name in GEOMETRY_TYPES}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    layers = make_layers()
    layers["lane_connectors"].columns["speed_limit_mps"][1] = np.nan
    layers["baseline_paths"].columns["lane_fid"][2] = NO_ID
    layers["lanes_polygons"].columns["lane_index"] = np.array([0, 1, 0])
    layers["boundaries"].columns["boundary_type_fid"] = np.array([2, 0, 2])
    write_map(tmp_path / "map.gpkg", layers, ZONE)
    city = CityMap(tmp_path / "map.gpkg")
    city.read_all_layers()
    assert read_projection(city.path) == ZONE
    for name, layer in layers.items():
        found = city.layer(name)
        assert np.array_equal(found.ids, layer.ids)
        expected, got = (shapely.get_coordinates(g) for g in (round_geometry(layer.geometry), found.geometry))
        assert np.abs(expected - got).max() < 1e-6
        assert np.abs(np.round(got * 1000) - got * 1000).max() < 1e-3
        assert sorted(found.columns) == sorted(layer.columns)
        for column, values in layer.columns.items():
            assert np.array_equal(found.columns[column], values, equal_nan=True), column


@pytest.mark.parametrize("location", ["sg-one-north", "us-nv-las-vegas-strip"])
def test_embedded_maps_survive_it(tmp_path: Path, location: str) -> None:
    city = MapStore(EMBEDDED_FOLDER / "maps").load(location)
    layers = {name: city.layer(name) for name in GEOMETRY_TYPES}
    write_map(tmp_path / "map.gpkg", layers, read_projection(city.path))
    again = CityMap(tmp_path / "map.gpkg")
    for name, layer in layers.items():
        assert np.array_equal(again.layer(name).ids, layer.ids)
        if len(layer.ids):
            difference = shapely.get_coordinates(layer.geometry) - shapely.get_coordinates(again.layer(name).geometry)
            assert np.abs(difference).max() < 0.0005 + 1e-6


def test_columns_that_we_do_not_read_are_written_too(tmp_path: Path) -> None:
    layer = make_layer("lane_group_connectors", intersection_fid=np.array([3, NO_ID, 4]))
    layer.columns["note"] = np.array(["a", None, "c"], dtype=object)
    write_map(
        tmp_path / "map.gpkg", {"lane_group_connectors": layer, "lanes_polygons": make_layer("lanes_polygons")}, ZONE
    )
    meta, _, _, fields = pyogrio.raw.read(tmp_path / "map.gpkg", layer="lane_group_connectors")
    found = dict(zip(meta["fields"], fields))
    assert list(found) == ["from_lane_group_fid", "to_lane_group_fid", "intersection_fid", "note"]
    assert np.array_equal(found["intersection_fid"], [3, np.nan, 4], equal_nan=True)
    assert found["note"].tolist() == ["a", None, "c"]
    meta, _, _, fields = pyogrio.raw.read(tmp_path / "map.gpkg", layer="lanes_polygons")
    assert dict(zip(meta["fields"], fields))["lane_fid"].tolist() == [100001, 100005, 200000]
    assert pyogrio.read_info(tmp_path / "map.gpkg", layer="lanes_polygons")["crs"] == "EPSG:4326"


@settings(max_examples=10, deadline=None)
@given(st.floats(-150000.0, 150000.0), st.floats(-600000.0, 600000.0))
def test_millimetres_survive_all_over_the_zone(dx: float, dy: float) -> None:
    layer = make_layer("intersections")
    layer.geometry = shapely.transform(layer.geometry, lambda xy: xy + [dx + 169000.0, dy])
    with tempfile.TemporaryDirectory() as folder:
        write_map(Path(folder) / "map.gpkg", {"intersections": layer}, ZONE)
        found = read_layer(Path(folder) / "map.gpkg", "intersections", ZONE)
    expected, got = (shapely.get_coordinates(g) for g in (round_geometry(layer.geometry), found.geometry))
    assert np.abs(expected - got).max() < 1e-6


WRITER = """
import sys
from pathlib import Path
from tests.data.test_map_writer import ZONE, make_layers
from latentvla_agent.data.map_writer import write_map
write_map(Path(sys.argv[1]), make_layers(), ZONE)
"""


def test_another_process_writes_the_same_bytes_a_second_later(tmp_path: Path) -> None:
    write_map(tmp_path / "one.gpkg", make_layers(), ZONE)
    time.sleep(1.1)
    command = [sys.executable, "-c", WRITER, str(tmp_path / "two.gpkg")]
    subprocess.run(command, cwd=Path(__file__).parents[2], check=True)
    one, two = (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("one.gpkg", "two.gpkg"))
    assert one == two
    assert pyogrio.get_gdal_config_option("OGR_CURRENT_DATE") is None


def test_an_optional_layer_that_is_not_there_is_empty(tmp_path: Path) -> None:
    layers = {name: layer for name, layer in make_layers().items() if name in LAYER_COLUMNS}
    write_map(tmp_path / "map.gpkg", layers, ZONE)
    city = CityMap(tmp_path / "map.gpkg")
    city.read_all_layers()
    for name in set(OPTIONAL_COLUMNS) - set(LAYER_COLUMNS):
        assert len(city.layer(name).ids) == 0 and len(city.layer(name).rows_in(shapely.box(0, 0, 1e7, 1e7))) == 0
    with pytest.raises(DataError, match="buildings: expected a layer"):
        city.layer("buildings")


def test_nothing_is_written_where_a_layer_is_wrong(tmp_path: Path) -> None:
    for name, layer, message in (
        ("buildings", make_layer("crosswalks"), "layer buildings: expected one of lanes_polygons"),
        ("crosswalks", make_layer("crosswalks", (3, 2, 5)), "expected ids of at least 1 that increase"),
        ("crosswalks", make_layer("crosswalks", (0, 2, 5)), "expected ids of at least 1 that increase"),
        ("boundaries", make_layer("crosswalks"), "layer boundaries: id 100001: expected a LineString, got POLYGON"),
        ("crosswalks", make_layer("crosswalks", note=np.arange(2)), "expected 3 rows, one per id"),
        ("baseline_paths", make_layer("boundaries"), r"expected the column\(s\) lane_fid, lane_connector_fid"),
    ):
        with pytest.raises(DataError, match=message):
            write_map(tmp_path / "map.gpkg", {name: layer}, ZONE)
    with pytest.raises(DataError, match="EPSG:nonsense: not a"):
        write_map(tmp_path / "map.gpkg", make_layers(), "EPSG:nonsense")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_maps_is_made_complete(tmp_path: Path) -> None:
    write_map(map_path(tmp_path, BOSTON), make_layers(), ZONE)
    before = map_path(tmp_path, BOSTON).read_bytes()
    write_map_versions(tmp_path)
    store = MapStore(tmp_path)
    assert json.loads((tmp_path / "nuplan-maps-v1.0.json").read_text())[BOSTON] == {"version": "9.12.1817"}
    for location, slot in LOCATIONS.items():
        assert store.path_of(location) == map_path(tmp_path, location)
        assert read_projection(store.path_of(location)) == slot.projection
        assert len(store.load(location).layer("lane_connectors").ids) == (3 if location == BOSTON else 0)
    assert map_path(tmp_path, BOSTON).read_bytes() == before
    with pytest.raises(DataError, match="expected a location among us-nv"):
        map_path(tmp_path, "us-ca-atlantis")
    assert set(empty_layer("lane_connectors").columns) == set(LAYER_COLUMNS["lane_connectors"])
