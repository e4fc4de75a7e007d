"""Roads: connectors join lanes end to end and without kinks, every lane leads on, files that are no networks."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.world.roads.curves import end_headings, measure_headings, smallest_radius
from latentvla_agent.world.roads.lanes import read_roads
from tests.world.roads.sample_roads import TOWNS, sample_roads

LEAST_TURN_M = 4.5  # a car turns in 5.5 m at its front wheel


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_connectors_join_lanes_end_to_end_in_one_direction(kind: str, seed: int) -> None:
    roads = sample_roads(kind, seed)
    for connector in roads.connectors.values():
        before, after = roads.lanes[connector.from_lane].line, roads.lanes[connector.to_lane].line
        assert np.array_equal(connector.line[0], before[-1]) and np.array_equal(connector.line[-1], after[0])
        start, end = end_headings(connector.line)
        kinks = start - end_headings(before)[1], end - end_headings(after)[0]
        assert max(abs(math.remainder(kink, 2.0 * math.pi)) for kink in kinks) < math.radians(2.5), connector.key


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_lines_are_smooth_and_turns_wide_enough(kind: str, seed: int) -> None:
    roads = sample_roads(kind, seed)
    for road in [*roads.lanes.values(), *roads.connectors.values()]:
        steps = np.hypot(*np.diff(road.line, axis=0).T)
        assert steps.max() < 1.2 and (steps.min() > 0.2 or len(steps) == 1), road.key
        assert np.all(np.abs(np.diff(measure_headings(road.line))) < math.radians(12.0)), road.key
        assert smallest_radius(road.line) > LEAST_TURN_M, road.key


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_every_lane_leads_on_unless_its_road_ends(kind: str, seed: int) -> None:
    roads = sample_roads(kind, seed)
    left = {connector.from_lane for connector in roads.connectors.values()}
    for edge, lanes in roads.edges().items():
        ways = [lane.key in left for lane in lanes]
        assert all(ways) or not any(ways), edge
        assert [lane.index for lane in lanes] == list(range(len(lanes)))


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_the_leftmost_lane_comes_first(kind: str, seed: int) -> None:
    for lanes in sample_roads(kind, seed).edges().values():
        for left, right in zip(lanes, lanes[1:]):
            ahead, aside = left.line[1] - left.line[0], right.line[0] - left.line[0]
            assert ahead[0] * aside[1] - ahead[1] * aside[0] < 0.0


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_parts_of_connectors_are_found_again(kind: str, seed: int) -> None:
    roads = sample_roads(kind, seed)
    assert any(len(connector.parts) > 1 for connector in roads.connectors.values())
    for key, connector in roads.connectors.items():
        assert connector.parts[0] == key
        assert all(roads.connector_of_part[part] == key for part in connector.parts)
        assert connector.junction in roads.junctions


def test_what_is_no_network_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none.net.xml: expected a SUMO network"):
        read_roads(tmp_path / "none.net.xml")
    (tmp_path / "bad.net.xml").write_text("<net", encoding="utf-8")
    with pytest.raises(DataError, match="bad.net.xml: expected a SUMO network"):
        read_roads(tmp_path / "bad.net.xml")
    (tmp_path / "empty.net.xml").write_text("<net/>", encoding="utf-8")
    with pytest.raises(DataError, match="lanes for cars, got none"):
        read_roads(tmp_path / "empty.net.xml")
