"""Centrelines of Dubins paths: arcs by hand, and lines that come back."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import pytest

from latentvla_agent.data.nuscenes.paths import STEP_M, make_pieces, trace_path


def piece(shape: str, lengths: Any, radius: float = 10.0, start: Any = (0.0, 0.0, 0.0)) -> Dict[str, Any]:
    return {"start_pose": list(start), "shape": shape, "radius": radius, "segment_length": list(lengths)}


def test_a_quarter_turn_ends_where_it_should() -> None:
    quarter = 10.0 * np.pi / 2.0
    for shape, end in (("LSR", [10.0, 10.0]), ("RSL", [10.0, -10.0])):
        points = trace_path([piece(shape, [quarter, 0.0, 0.0])])
        np.testing.assert_allclose(points[0], [0.0, 0.0], atol=1e-12)
        np.testing.assert_allclose(points[-1], end, atol=1e-9)
        centre = [0.0, np.sign(end[1]) * 10.0]
        np.testing.assert_allclose(np.hypot(*(points - centre).T), 10.0, atol=1e-9)


def test_turn_straight_turn() -> None:
    """Left by 90 degrees, 5 m to the north, right by 90 degrees."""
    quarter = 10.0 * np.pi / 2.0
    points = trace_path([piece("LSR", [quarter, 5.0, quarter])])
    np.testing.assert_allclose(points[-1], [20.0, 25.0], atol=1e-9)
    np.testing.assert_allclose(trace_path([piece("LRL", [quarter, quarter, 0.0])])[-1], [20.0, 20.0], atol=1e-9)


def test_points_are_near_to_each_other_and_none_comes_twice() -> None:
    points = trace_path([piece("LSR", [0.0, 30.5, 2.0]), piece("LSR", [0.0, 4.0, 0.0], start=(30.5, 0.0, 0.0))])
    steps = np.hypot(*np.diff(points, axis=0).T)
    assert steps.min() > 0.02 and steps[:31].max() <= STEP_M + 1e-9
    assert trace_path([]).shape == (0, 2)


@pytest.mark.parametrize("turn", [0.0, 2.5])
def test_lines_come_back(turn: float) -> None:
    line = np.array([[5.0, 1.0], [8.0, 1.0], [8.0 + np.cos(turn), 1.0 + np.sin(turn)]])
    points = trace_path(make_pieces(line))
    np.testing.assert_allclose(points[[0, -1]], line[[0, -1]], atol=1e-9)
    assert np.hypot(*(points - line[1]).T).min() < 1e-9
