"""Counts of lidar points, against numpy's own histogram."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from latentvla_agent.features.lidar_histogram import LidarHistogramConfig, count_points
from tests.features.sensor_scenes import make_points


def count_slowly(points: Any, size: int) -> Any:
    """As NAVSIM counts."""
    edges = np.linspace(-32, 32, size + 1)
    above = points[:, (points[2] > 0.2) & (points[2] < 100.0)]
    return np.minimum(np.histogramdd(above[:2].T, bins=(edges, edges))[0], 5)


@pytest.mark.parametrize("size", [256, 128, 64])
def test_equal_to_the_histogram_of_numpy(size: int) -> None:
    points = make_points()
    found = count_points(points, LidarHistogramConfig(size=size))
    assert found.shape == (1, size, size) and found.dtype == np.uint8 and found.max() == 5
    assert np.array_equal(found[0], count_slowly(points, size))


def test_cells_count_from_behind_and_from_the_right() -> None:
    points = np.zeros((6, 4), np.float32)
    points[:3] = [[10.0, -32.0, 32.0, 10.0], [-5.0, 32.0, 0.0, -5.0], [1.0, 1.0, 1.0, 0.1]]
    (found,) = count_points(points, LidarHistogramConfig())
    assert {tuple(map(int, cell)) for cell in np.argwhere(found)} == {(168, 108), (0, 255), (255, 128)}


def test_what_is_nowhere_is_not_counted() -> None:
    points = np.full((6, 3), np.nan, np.float32)
    points[2] = [1.0, 1.0, np.inf]
    points[0, 1] = np.inf
    assert not count_points(points, LidarHistogramConfig()).any()
    assert not count_points(np.empty((6, 0), np.float32), LidarHistogramConfig()).any()
