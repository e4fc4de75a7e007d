"""The centreline: which lane it starts in, and which lanes it follows."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.data.maps import Lane
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.areas import AreaKind, AreaPolygons
from latentvla_agent.scoring.config import DEFAULT_CONFIG, RouteConfig
from latentvla_agent.scoring.reference.centerline import (
    choose_starting_lane,
    collect_route_lanes,
    search_lanes,
    trace_centerline,
)
from tests.scoring.scenes import VEHICLE


class FakeBlock:
    def __init__(self, id_: str, *lanes: Lane):
        self.id, self.lanes = id_, list(lanes)


def make_lane(
    id_: str,
    block: str,
    outgoing: Sequence[str] = (),
    *,
    length: float = 10.0,
    start: Tuple[float, float] = (0.0, 0.0),
    heading: float = 0.0,
) -> Lane:
    end = (start[0] + length * np.cos(heading), start[1] + length * np.sin(heading))
    line = shapely.LineString([start, end])
    polygon = shapely.buffer(line, 1.75, cap_style="flat")
    return Lane(id_, block, False, polygon, lambda: line, None, tuple(outgoing))


def find(lanes: Sequence[Lane], target: str) -> List[str]:
    return [lane.id for lane in search_lanes(lanes[0], target, {lane.id: lane for lane in lanes})]


def test_the_shortest_way_wins_not_the_one_with_fewest_lanes() -> None:
    lanes = [
        make_lane("s", "A", ["far", "near"]),
        make_lane("far", "B", ["end"], length=50.0),
        make_lane("near", "C", ["next"]),
        make_lane("next", "D", ["end"]),
        make_lane("end", "T"),
    ]
    assert find(lanes, "T") == ["s", "near", "next", "end"]


def test_the_length_of_the_last_lane_counts() -> None:
    """Two lanes of the target block: the way to the second is longer, the lane itself much shorter."""
    lanes = [
        make_lane("s", "A", ["b", "c"]),
        make_lane("b", "B", ["t1"], length=5.0),
        make_lane("c", "B", ["t2"], length=8.0),
        make_lane("t1", "T", length=20.0),
        make_lane("t2", "T", length=1.0),
    ]
    assert find(lanes, "T") == ["s", "c", "t2"]


def test_of_equal_ways_the_first_queued_wins() -> None:
    lanes = [
        make_lane("s", "A", ["b", "c"]),
        make_lane("b", "B", ["t"]),
        make_lane("c", "C", ["t"]),
        make_lane("t", "T"),
    ]
    assert find(lanes, "T") == ["s", "b", "t"]


def test_a_start_in_the_target_is_all() -> None:
    assert find([make_lane("s", "A", ["b"]), make_lane("b", "A")], "A") == ["s"]


def test_lanes_off_the_route_are_not_taken() -> None:
    lanes = [make_lane("s", "A", ["off", "b"]), make_lane("b", "B", ["t"], length=90.0), make_lane("t", "T")]
    assert find(lanes, "T") == ["s", "b", "t"]


def test_an_unreachable_target_gives_the_cheapest_of_the_deepest_ways() -> None:
    lanes = [
        make_lane("s", "A", ["b", "c", "d"]),
        make_lane("b", "B", ["b2"], length=9.0),
        make_lane("b2", "B2", length=9.0),
        make_lane("c", "C", ["c2"], length=9.0),
        make_lane("c2", "C2", length=8.0),
        make_lane("d", "D", length=1.0),
        make_lane("t", "T"),
    ]
    assert find(lanes, "T") == ["s", "c", "c2"]


def test_cycles_end() -> None:
    lanes = [make_lane("s", "A", ["b"]), make_lane("b", "B", ["s"])]
    assert find(lanes, "T") == ["s", "b"]


def trace(lanes: Sequence[Lane], depth: int = 30) -> float:
    route: Any = [FakeBlock(lane.roadblock_id, lane) for lane in lanes]
    by_id = collect_route_lanes(route)
    return trace_centerline(lanes[0], route, by_id, RouteConfig(centerline_depth=depth)).length


def test_the_centerline_joins_the_baselines() -> None:
    """Lanes of 10 m end to end: the vertex where two join occurs twice."""
    ids = ["a", "b", "c"]
    lanes = [make_lane(i, i.upper(), ids[n + 1 : n + 2], start=(10.0 * n, 0.0)) for n, i in enumerate(ids)]
    route: Any = [FakeBlock(lane.roadblock_id, lane) for lane in lanes]
    path = trace_centerline(lanes[1], route, collect_route_lanes(route), DEFAULT_CONFIG.route)
    np.testing.assert_allclose(path.states, [[10, 0, 0], [20, 0, 0], [20, 0, 0], [30, 0, 0]], atol=1e-9)


def test_the_centerline_ends_after_as_many_roadblocks_as_allowed() -> None:
    lanes = [make_lane(str(n), f"B{n}", [str(n + 1)], start=(10.0 * n, 0.0)) for n in range(40)]
    assert trace(lanes) == pytest.approx(300.0)
    assert trace(lanes, depth=2) == pytest.approx(20.0)


def choose(lanes: Sequence[Lane], x: float, y: float, heading: float = 0.0, *, areas: Sequence[Lane] = ()) -> str:
    """The starting lane; `areas` are the polygons of the map crop, by default those of the lanes."""
    mapped = list(areas or lanes)
    polygons = AreaPolygons(
        [lane.id for lane in mapped],
        [AreaKind.LANE] * len(mapped),
        np.array([lane.polygon for lane in mapped], dtype=np.object_),
    )
    by_id: Dict[str, Lane] = {lane.id: lane for lane in lanes}
    return choose_starting_lane(by_id, polygons, np.array([x, y, heading]), VEHICLE).id


def test_under_the_rear_axle_the_least_heading_error_wins() -> None:
    crossing = [make_lane("straight", "A"), make_lane("across", "A", start=(5.0, -5.0), heading=np.pi / 2)]
    assert choose(crossing, 5.0, 0.0, 0.3) == "straight"
    assert choose(crossing, 5.0, 0.0, 1.2) == "across"


def test_lanes_off_the_route_are_not_started_in() -> None:
    on, off = make_lane("on", "A", start=(0.0, 3.5)), make_lane("off", "B")
    assert choose([on], 5.0, 0.0, areas=[on, off]) == "on"


def test_else_the_lane_around_the_box_centre() -> None:
    """The rear axle is 1 m before the lane, the box centre 0.461 m inside."""
    behind, beside = make_lane("ahead", "A"), make_lane("beside", "A", start=(-8.0, 2.0), length=7.0)
    assert choose([beside, behind], -1.0, 0.0) == "ahead"


def test_else_the_lane_nearest_to_the_box() -> None:
    lanes = [make_lane("far", "A", start=(0.0, 12.0)), make_lane("near", "A", start=(0.0, -8.0))]
    assert choose(lanes, 5.0, 0.0) == "near"


def test_a_route_without_lanes_is_refused() -> None:
    with pytest.raises(DataError, match="holds no lanes"):
        choose([], 5.0, 0.0, areas=[make_lane("off", "B")])


def test_lanes_of_the_route_come_in_its_order() -> None:
    route: Any = [FakeBlock("B", make_lane("2", "B"), make_lane("1", "B")), FakeBlock("A", make_lane("0", "A"))]
    assert list(collect_route_lanes(route)) == ["2", "1", "0"]
