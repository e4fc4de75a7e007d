"""Route correction on a tiny graph of roadblocks: search order, gaps, loops, a start off the route."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Set, Tuple

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.data.maps import Lane
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.reference.route import correct_route, find_roadblocks, locate_start, search_roadblocks

CONFIG = DEFAULT_CONFIG.route


class Block:
    """A roadblock with one lane along x from its place, and links by hand. Ids that start with c are connectors."""

    def __init__(self, id_: str, x: float, y: float, heading: float):
        self.id, self.is_connector = id_, id_.startswith("c")
        self.links: Dict[bool, List[Block]] = {True: [], False: []}
        end = (x + 10.0 * np.cos(heading), y + 10.0 * np.sin(heading))
        line = shapely.LineString(np.linspace((x, y), end, 11))
        self.polygon = shapely.buffer(line, 1.75, cap_style="flat")
        self.lanes = [Lane(f"lane-{id_}", id_, False, self.polygon, lambda: line, None, ())]

    def neighbours(self, forward: bool) -> List["Block"]:
        return self.links[forward]


class FakeMap:
    """Blocks `id: (x, y, heading)` and directed links."""

    path = Path("fake.gpkg")

    def __init__(self, places: Dict[str, Tuple[float, ...]], links: Sequence[Tuple[str, str]]):
        self.blocks = {id_: Block(id_, *(place + (0.0,) * (3 - len(place)))) for id_, place in places.items()}
        for before, after in links:
            self.blocks[before].links[True].append(self.blocks[after])
            self.blocks[after].links[False].append(self.blocks[before])

    def find_roadblock(self, id_: str) -> Block:
        if id_ not in self.blocks:
            raise DataError(f"{self.path}: no {id_}")
        return self.blocks[id_]

    def roadblocks_near(self, x: float, y: float, radius: float) -> List[Block]:
        area = shapely.box(x - radius, y - radius, x + radius, y + radius)
        return [block for block in self.blocks.values() if block.polygon.intersects(area)]

    def nearest_roadblocks(self, x: float, y: float) -> List[Block]:
        point = shapely.Point(x, y)
        found = []
        for is_connector in (False, True):
            blocks = [block for block in self.blocks.values() if block.is_connector == is_connector]
            found += sorted(blocks, key=lambda block: block.polygon.distance(point))[:1]
        return found


def make_chain(*ids: str) -> FakeMap:
    """Blocks of 10 m one after the other along x, from x = 0."""
    return FakeMap({id_: (10.0 * i, 0.0) for i, id_ in enumerate(ids)}, list(zip(ids, ids[1:])))


def correct(fake: FakeMap, route: Sequence[str], x: float, y: float = 0.0, heading: float = 0.0) -> List[str]:
    city_map: Any = fake
    return [block.id for block in correct_route(city_map, route, np.array([x, y, heading]), CONFIG)]


def search(fake: FakeMap, start: str, targets: Set[str], depth: int, forward: bool = True) -> Optional[List[str]]:
    block: Any = fake.blocks[start]
    path = search_roadblocks(block, targets, depth, forward)
    return None if path is None else [found.id for found in path]


def search_without_visited_set(fake: FakeMap, start: str, targets: Set[str], depth: int) -> Optional[List[str]]:
    """The devkit's search as such: a queue of (block, depth) with repeats; a later parent replaces an earlier one."""
    queue, parents = deque([(start, 0)]), {}
    while queue:
        id_, level = queue.popleft()
        if level >= depth:
            return None
        if id_ in targets:
            path = [id_]
            for step in range(level, 0, -1):
                path.append(parents[path[-1], step])
            return path[::-1]
        for child in fake.blocks[id_].links[True]:
            queue.append((child.id, level + 1))
            parents[child.id, level + 1] = id_
    return None


@given(
    st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda e: e[0] != e[1]), max_size=12, unique=True),
    st.sets(st.integers(1, 6), min_size=1, max_size=3),
    st.integers(1, 6),
)
@settings(max_examples=300, deadline=None)
def test_search_finds_what_the_search_without_visited_set_finds(links: list, targets: set, depth: int) -> None:
    fake = FakeMap({str(i): (0.0, 0.0) for i in range(7)}, [(str(a), str(b)) for a, b in links])
    wanted = {str(i) for i in targets}
    assert search(fake, "0", wanted, depth) == search_without_visited_set(fake, "0", wanted, depth)


def test_search_keeps_the_last_parent_and_the_first_target() -> None:
    places = {id_: (0.0, 0.0) for id_ in "sabtu"}
    fake = FakeMap(places, [("s", "a"), ("s", "b"), ("a", "t"), ("b", "u"), ("b", "t")])
    assert search(fake, "s", {"t"}, 5) == ["s", "b", "t"]
    assert search(fake, "s", {"u", "t"}, 5) == ["s", "b", "t"]


def test_repeated_blocks_are_expanded_at_their_last_place_too() -> None:
    """The queue is c, d, c: the second c is expanded after d and becomes the parent of t."""
    links = [("s", "a"), ("s", "b"), ("a", "c"), ("b", "d"), ("b", "c"), ("c", "t"), ("d", "t")]
    fake = FakeMap({id_: (0.0, 0.0) for id_ in "sabcdt"}, links)
    assert search(fake, "s", {"t"}, 5) == search_without_visited_set(fake, "s", {"t"}, 5) == ["s", "b", "c", "t"]


def test_search_ends_at_its_depth_and_in_cycles() -> None:
    fake = make_chain("a", "b", "c", "d")
    assert search(fake, "a", {"d"}, 4) == ["a", "b", "c", "d"]
    assert search(fake, "a", {"d"}, 3) is None
    assert search(fake, "a", {"a"}, 1) == ["a"]
    ring = FakeMap({id_: (0.0, 0.0) for id_ in "abz"}, [("a", "b"), ("b", "a")])
    assert search(ring, "a", {"z"}, 30) is None


def test_backward_search_is_told_in_driving_direction() -> None:
    assert search(make_chain("a", "b", "c"), "c", {"a"}, 15, forward=False) == ["a", "b", "c"]


def test_a_dense_graph_is_searched_in_reasonable_time() -> None:
    """Without carrying each block once per depth this would take 3 to the power of 30 steps."""
    ids = [f"{level}-{i}" for level in range(30) for i in range(3)]
    links = [(f"{n}-{i}", f"{n + 1}-{j}") for n in range(29) for i in range(3) for j in range(3)]
    path = search(FakeMap({id_: (0.0, 0.0) for id_ in ids}, links), "0-0", {"29-2"}, 30)
    assert path is not None and len(path) == 30


def test_a_fitting_route_stays_and_repeats_are_dropped() -> None:
    fake = make_chain("a", "c1", "b")
    assert correct(fake, ["a", "c1", "b"], 5.0) == ["a", "c1", "b"]
    assert correct(fake, ["a", "c1", "a", "c1", "b"], 5.0) == ["a", "c1", "b"]


def test_the_part_of_the_route_behind_the_ego_stays() -> None:
    assert correct(make_chain("a", "c1", "b", "c2", "d"), ["a", "c1", "b", "c2", "d"], 25.0)[0] == "a"


def test_the_way_to_the_route_is_prepended() -> None:
    assert correct(make_chain("a", "c1", "b", "c2", "d"), ["b", "c2", "d"], 5.0) == ["a", "c1", "b", "c2", "d"]


def test_a_route_that_begins_beside_the_ego_is_joined_ahead() -> None:
    """From x the route's third block can be reached, its first two can't; they are dropped."""
    places = {
        "a": (0.0, 50.0),
        "c1": (10.0, 50.0),
        "b": (20.0, 0.0),
        "c2": (30.0, 0.0),
        "x": (0.0, 0.0),
        "c9": (10.0, 0.0),
    }
    fake = FakeMap(places, [("a", "c1"), ("c1", "b"), ("b", "c2"), ("x", "c9"), ("c9", "b")])
    assert correct(fake, ["a", "c1", "b", "c2"], 5.0) == ["x", "c9", "b", "c2"]


def test_only_the_first_three_blocks_of_the_route_are_joined() -> None:
    places = {"a": (0.0, 50.0), "c1": (10.0, 50.0), "b": (20.0, 50.0), "c2": (30.0, 0.0), "x": (20.0, 0.0)}
    fake = FakeMap(places, [("a", "c1"), ("c1", "b"), ("b", "c2"), ("x", "c2")])
    assert correct(fake, ["a", "c1", "b", "c2"], 25.0) == ["a", "c1", "b", "c2"]
    assert correct(fake, ["c1", "b", "c2"], 25.0) == ["x", "c2"]


def test_a_route_out_of_reach_is_left_as_it_is() -> None:
    fake = FakeMap({"a": (0.0, 0.0), "b": (50.0, 0.0)}, [])
    assert correct(fake, ["b"], 5.0) == ["b"]


def test_gaps_are_closed() -> None:
    fake = make_chain("a", "c1", "b", "c2", "d", "c3", "e")
    assert correct(fake, ["a", "b", "e"], 5.0) == ["a", "c1", "b", "c2", "d", "c3", "e"]


def test_gaps_that_nothing_closes_stay() -> None:
    fake = FakeMap({"a": (0.0, 0.0), "b": (50.0, 0.0)}, [])
    assert correct(fake, ["a", "b"], 5.0) == ["a", "b"]


def test_loops_are_cut_before_the_overlapping_connector() -> None:
    places = {"a": (0.0, 0.0), "c1": (10.0, 0.0), "b": (20.0, 0.0), "c2": (15.0, -5.0, np.pi / 2), "d": (15.0, 10.0)}
    fake = FakeMap(places, [("a", "c1"), ("c1", "b"), ("b", "c2"), ("c2", "d")])
    assert correct(fake, ["a", "c1", "b", "c2", "d"], 5.0) == ["a", "c1", "b"]


def test_an_overlap_of_no_more_than_a_square_metre_is_no_loop() -> None:
    places = {"a": (0.0, 0.0), "c1": (10.0, 0.0), "b": (20.0, 0.0), "c2": (19.8, 0.0), "d": (40.0, 0.0)}
    fake = FakeMap(places, [("a", "c1"), ("c1", "b"), ("b", "c2"), ("c2", "d")])
    overlap = fake.blocks["c1"].polygon.intersection(fake.blocks["c2"].polygon).area
    assert overlap == pytest.approx(0.7)
    assert correct(fake, ["a", "c1", "b", "c2", "d"], 5.0) == ["a", "c1", "b", "c2", "d"]


def start_of(fake: FakeMap, route: Set[str], x: float, y: float, heading: float) -> Tuple[str, List[str]]:
    city_map: Any = fake
    start, candidates = locate_start(city_map, route, np.array([x, y, heading]), CONFIG)
    return start.id, [block.id for block in candidates]


def test_blocks_of_the_route_win_over_nearer_ones() -> None:
    fake = FakeMap({"a": (0.0, 0.0), "b": (0.0, 2.0)}, [])
    assert start_of(fake, {"b"}, 5.0, 0.5, 0.0) == ("b", ["b"])
    assert start_of(fake, {"z"}, 5.0, 0.5, 0.0) == ("a", ["a", "b"])
    assert start_of(fake, {"a", "b"}, 5.0, 1.5, 0.0) == ("b", ["a", "b"])


def test_blocks_in_the_wrong_direction_are_the_last_resort() -> None:
    fake = FakeMap({"a": (10.0, 0.0, np.pi), "b": (0.0, 2.0)}, [])
    assert start_of(fake, {"z"}, 5.0, 0.2, 0.0) == ("b", ["b"])
    alone = FakeMap({"a": (10.0, 0.0, np.pi)}, [])
    assert start_of(alone, {"z"}, 5.0, 0.2, 0.0) == ("a", ["a"])


def test_off_the_road_the_nearest_block_and_connector_are_candidates() -> None:
    fake = FakeMap({"a": (0.0, 0.0), "b": (0.0, 90.0), "c1": (0.0, 60.0), "c2": (0.0, -70.0)}, [])
    assert start_of(fake, {"z"}, 5.0, 20.0, 0.0) == ("a", ["a", "c1"])


def test_routes_that_cannot_be_followed_are_refused() -> None:
    fake = make_chain("a", "c1")
    with pytest.raises(DataError, match="without roadblocks"):
        correct(fake, [], 5.0)
    with pytest.raises(DataError, match="no zz"):
        correct(fake, ["a", "zz"], 5.0)
    with pytest.raises(DataError, match="holds no lane group"):
        start_of(FakeMap({}, []), {"a"}, 0.0, 0.0, 0.0)


def test_find_roadblocks_keeps_the_first_of_repeated_ids() -> None:
    city_map: Any = make_chain("a", "c1", "b")
    assert [block.id for block in find_roadblocks(city_map, ["b", "a", "b", "c1"])] == ["b", "a", "c1"]
