"""Places along the ego's way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentvla_agent.world.events.path import Path, PathPart
from latentvla_agent.world.events.surroundings import find_conflict


def make_bend(radius: float = 30.0) -> Path:
    """30 m straight east, of which 10 m are behind the ego, then a quarter turn to the left inside a junction."""
    angles = np.linspace(0.0, np.pi / 2.0, 60)
    bend = np.array([20.0, radius]) + radius * np.column_stack([np.sin(angles), -np.cos(angles)])
    line = np.vstack([[[-10.0, 0.0]], bend])
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))]) - 10.0
    return Path(line, along, (PathPart("a_0", -10.0, 20.0), PathPart(":J_0_0", 20.0, float(along[-1]))))


def make_line(x: float, y: float, heading: float, length: float = 60.0) -> Path:
    step = np.array([math.cos(heading), math.sin(heading)])
    along = np.linspace(0.0, length, 31)
    return Path(np.array([x, y]) + along[:, None] * step, along, (PathPart("b_0", 0.0, length),))


@given(st.floats(1.0, 55.0), st.floats(-8.0, 8.0))
def test_a_place_beside_the_path_is_found_again(along: float, left: float) -> None:
    path = make_bend()
    x, y, _ = path.point_at(along, left)
    found_along, found_left = path.locate(x, y)
    assert found_along == pytest.approx(along, abs=0.4)
    assert found_left == pytest.approx(left, abs=0.05)


def test_junctions_and_open_road() -> None:
    path = make_bend()
    assert path.crossings() == [(20.0, path.length)]
    assert path.next_crossing() == (20.0, path.length)
    assert path.open_road(after=5.0, before=4.0) == [(path.parts[0], 0.0, 16.0)]
    assert path.part_at(25.0).inside_junction
    assert path.turning(0.0, 15.0) == pytest.approx(0.0)
    assert path.turning(0.0, path.length) == pytest.approx(math.pi / 2.0, abs=0.05)


def test_paths_that_cross_conflict_where_they_cross() -> None:
    ego = make_line(0.0, 0.0, 0.0)
    conflict = find_conflict(ego, make_line(30.0, -20.0, math.pi / 2.0), apart=2.0)
    assert conflict is not None
    assert conflict.ego_first == pytest.approx(30.0) and conflict.ego_last == pytest.approx(30.0)
    assert 18.0 <= conflict.other_first <= 18.6 and 21.4 <= conflict.other_last <= 22.0
    assert conflict.turned == pytest.approx(math.pi / 2.0)
    assert find_conflict(ego, make_line(0.0, 5.0, 0.0), apart=2.0) is None


def test_a_way_that_ends_where_it_is_meets_nobody() -> None:
    ego = make_line(0.0, 0.0, 0.0)
    over = Path(np.array([[30.0, -2.0], [30.0, 0.0]]), np.array([-2.0, 0.0]), (PathPart("c_0", -2.0, 0.0),))
    assert over.length == 0.0 and find_conflict(ego, over, apart=2.0) is None
