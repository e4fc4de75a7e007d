"""EP: metres along the centreline, and how they are compared."""

from __future__ import annotations

import numpy as np
import pytest

from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metrics.ego_progress import measure_progress, normalise_progress
from tests.scoring.scenes import drive_straight, roll_out

LINE = np.array([[-50.0, 0.0], [0.0, 0.0], [200.0, 0.0]])


def test_progress_is_metres_along_the_line() -> None:
    rollouts = roll_out(drive_straight(5.0), drive_straight(5.0, y=7.0), drive_straight(0.0))
    np.testing.assert_allclose(measure_progress(rollouts, LINE), [20.0, 20.0, 0.0], atol=1e-9)


def test_driving_backwards_is_no_progress() -> None:
    assert measure_progress(roll_out(drive_straight(-5.0)), LINE).tolist() == [0.0]


def test_progress_across_a_corner_is_projected() -> None:
    """The line turns left at x = 10; the ego drives on straight and stays at the corner."""
    corner = np.array([[-50.0, 0.0], [10.0, 0.0], [10.0, 100.0]])
    assert measure_progress(roll_out(drive_straight(10.0)), corner)[0] == pytest.approx(10.0 - 1.461)


def test_progress_ends_with_the_line() -> None:
    line = np.array([[0.0, 0.0], [12.0, 0.0]])
    assert measure_progress(roll_out(drive_straight(10.0)), line)[0] == pytest.approx(12.0 - 1.461)


@pytest.mark.parametrize(
    ("effective", "best", "multiplier", "expected"),
    [
        (15.0, 20.0, 1.0, 0.75),
        (20.0, 20.0, 1.0, 1.0),
        (0.0, 20.0, 0.0, 0.0),
        (4.0, 5.0, 1.0, 1.0),  # nobody gets further than 5 m: not compared
        (0.0, 5.0, 1.0, 1.0),
        (0.0, 5.0, 0.0, 0.0),
        (2.0, 5.0, 0.5, 1.0),
        (4.0, 5.1, 0.5, 4.0 / 5.1),
        (0.0, 0.0, 1.0, 1.0),
    ],
)
def test_comparison_with_the_best(effective: float, best: float, multiplier: float, expected: float) -> None:
    values = [np.array([value]) for value in (effective, best, multiplier)]
    assert normalise_progress(*values, DEFAULT_CONFIG.metrics).tolist() == [pytest.approx(expected)]
