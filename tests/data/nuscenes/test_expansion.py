"""Map expansions as they are, and broken ones: file and record are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentvla_agent.data.nuscenes.expansion import read_expansion
from latentvla_agent.errors import DataError
from tests.data.nuscenes.crossroads import make_crossroads


def test_areas_and_lanes_are_read(tmp_path: Path) -> None:
    found = read_expansion(make_crossroads().write(tmp_path))
    assert sorted(found.lanes) == ["beside", "east", "loose", "north", "right", "turn"]  # bare has no centreline
    assert found.lanes["turn"].is_connector and found.lanes["turn"].polygon is None
    assert found.lanes["right"].outgoing == ("turn", "east", "nowhere", "loose")
    assert found.lanes["turn"].outgoing == ("north",)
    np.testing.assert_allclose(found.lanes["turn"].path[-1], [20.0, 10.0], atol=1e-9)
    assert [area.area for area in found.drivable_areas] == [130.0 * 75.0 - 40.0 * 40.0]
    assert len(found.intersections) == 1 and found.intersections[0].bounds == (10.0, -5.0, 25.0, 10.0)
    assert [len(areas) for areas in (found.road_blocks, found.carparks, found.crosswalks, found.walkways)] == [1] * 4


def test_rings_that_cross_themselves_are_mended(tmp_path: Path) -> None:
    maker = make_crossroads()
    token = maker.polygon([(0, 0), (10, 10), (10, 0), (0, 2)])
    maker.add("walkway", "bow", polygon_token=token)
    maker.add("walkway", "line", polygon_token=maker.polygon([(0, 0), (1, 1)]))
    walkways = read_expansion(maker.write(tmp_path)).walkways
    assert len(walkways) == 2 and all(area.is_valid and area.area > 0 for area in walkways)


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("node", 0, "x"), float("nan"), "node: record 0: x: expected a finite number"),
        (("polygon", 0, "exterior_node_tokens", 0), "gone", "expected a node of token 'gone'"),
        (("walkway", 0, "polygon_token"), "gone", "expected a record of token 'gone'"),
        (("road_segment", 0, "is_intersection"), 1, "road_segment: record 0: is_intersection: expected true or false"),
        (("arcline_path_3", "turn", 0, "shape"), "LXR", "turn: piece 0: shape: expected three letters"),
        (("arcline_path_3", "turn", 0, "radius"), 0, "radius: expected a number above 0"),
        (("arcline_path_3", "turn", 0, "segment_length", 0), 1e9, "expected three lengths up to"),
        (("connectivity", "turn", "outgoing"), "north", "connectivity: turn: outgoing: expected a list of tokens"),
        (("lane",), {}, "lane: expected a list of records"),
        (("drivable_area", 0), 3, "drivable_area: record 0: expected an object"),
        (("lane", 0, "left_lane_divider_segments"), [1], "left_lane_divider_segments: expected a list of objects"),
    ],
)
def test_what_is_broken_is_named(tmp_path: Path, place: Any, value: Any, message: str) -> None:
    maker = make_crossroads()
    holder = maker.content
    for key in place[:-1]:
        holder = holder[key]
    holder[place[-1]] = value
    path = maker.write(tmp_path)
    with pytest.raises(DataError, match=message) as raised:
        read_expansion(path)
    assert path.name in str(raised.value)


def test_a_file_that_is_no_map_is_named(tmp_path: Path) -> None:
    for content, message in (("[]", "expected an object of tables"), ("{", "not a JSON file")):
        path = tmp_path / "map.json"
        path.write_text(content)
        with pytest.raises(DataError, match=message):
            read_expansion(path)
    with pytest.raises(DataError, match="expected a readable file"):
        read_expansion(tmp_path / "gone.json")
