"""EP: metres along the centreline, and how they are compared."""

from __future__ import annotations

import numpy as np
import pytest

from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metrics.ego_progress import measure_progress, normalise_progress
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import V1, V2, Rules
from tests.scoring.scenes import STRAIGHT_LINE, build_world, drive_straight, place_rollout


def measure(states: FloatArray, line: FloatArray = STRAIGHT_LINE) -> float:
    world = build_world(centerline=line)
    return float(measure_progress(place_rollout(states, world), world))


def normalise(progress: float, best: float, multiplier: float, rules: Rules) -> float:
    ours, product, others = (np.array([value]) for value in (progress, multiplier, best))
    return float(normalise_progress(ours, product, others, DEFAULT_CONFIG.metrics.min_progress, rules)[0])


def test_progress_is_metres_along_the_line() -> None:
    rollouts = drive_straight(5.0), drive_straight(5.0, y=7.0), drive_straight(0.0)
    np.testing.assert_allclose([measure(states) for states in rollouts], [20.0, 20.0, 0.0], atol=1e-9)


def test_driving_backwards_is_no_progress() -> None:
    assert measure(drive_straight(-5.0)) == 0.0


def test_progress_across_a_corner_is_projected() -> None:
    """The line turns left at x = 10; the ego drives on straight and stays at the corner."""
    corner = np.array([[-50.0, 0.0], [10.0, 0.0], [10.0, 100.0]])
    assert measure(drive_straight(10.0), corner) == pytest.approx(10.0 - 1.461)


def test_progress_ends_with_the_line() -> None:
    assert measure(drive_straight(10.0), np.array([[0.0, 0.0], [12.0, 0.0]])) == pytest.approx(12.0 - 1.461)


@pytest.mark.parametrize(
    ("progress", "best", "multiplier", "expected"),
    [
        (15.0, 20.0, 1.0, 0.75),
        (20.0, 20.0, 1.0, 1.0),
        (30.0, 20.0, 0.0, 0.0),
        (4.0, 5.0, 1.0, 1.0),  # nobody gets further than 5 m: not compared
        (0.0, 5.0, 1.0, 1.0),
        (9.0, 5.0, 0.0, 0.0),
        (4.0, 5.0, 0.5, 1.0),
        (8.0, 5.1, 0.5, 4.0 / 5.1),
        (0.0, 0.0, 1.0, 1.0),
    ],
)
def test_v1_compares_what_the_multiplier_leaves(
    progress: float, best: float, multiplier: float, expected: float
) -> None:
    assert normalise(progress, best, multiplier, V1) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("progress", "best", "multiplier", "expected"),
    [
        (15.0, 20.0, 1.0, 0.75),
        (15.0, 20.0, 0.0, 0.75),
        (30.0, 20.0, 0.0, 1.0),  # further than any plan that counts
        (30.0, 20.0, 0.5, 1.0),
        (9.0, 5.0, 0.0, 1.0),
        (0.0, 5.0, 0.0, 1.0),
        (0.0, 5.1, 1.0, 0.0),
    ],
)
def test_v2_compares_progress_whatever_the_multiplier(
    progress: float, best: float, multiplier: float, expected: float
) -> None:
    assert normalise(progress, best, multiplier, V2) == pytest.approx(expected)
