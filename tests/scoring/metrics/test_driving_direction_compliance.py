"""DDC: metres outside the route's lanes within one second."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import pytest

from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metrics.driving_direction_compliance import score_driving_direction
from latentvla_agent.scoring.metrics.metric import NO_STEP
from tests.scoring.scenes import drive_straight, flag_areas, roll_out


def score(speed: float, off_route: object) -> Tuple[float, int]:
    rollouts, areas = roll_out(drive_straight(speed)), flag_areas(off_route=off_route)
    values = score_driving_direction(rollouts, areas, DEFAULT_CONFIG.metrics)
    return float(values.value[0]), int(values.first_step[0])


def test_on_the_route_any_speed_complies() -> None:
    assert score(30.0, slice(0, 0)) == (1.0, NO_STEP)


@pytest.mark.parametrize(
    ("speed", "expected"),
    [(1.8, (1.0, NO_STEP)), (1.85, (0.5, 11)), (5.4, (0.5, 4)), (5.5, (0.0, 4)), (0.0, (1.0, NO_STEP))],
)
def test_thresholds_over_a_window_of_eleven_steps(speed: float, expected: Tuple[float, int]) -> None:
    """Off the route all the time: 1.1 s of driving against 2 m and 6 m."""
    assert score(speed, True) == expected


def test_the_first_step_covers_no_distance() -> None:
    """At 20 m/s each step is 2 m: off the route at t = 0 alone costs nothing, at step 1 alone it does."""
    assert score(20.0, slice(0, 1)) == (1.0, NO_STEP)
    assert score(20.5, slice(1, 2)) == (0.5, 1)


def test_metres_more_than_a_second_apart_do_not_add_up() -> None:
    """1.5 m each time at 15 m/s, 1.0 s or 1.1 s apart."""
    rollouts = roll_out(drive_straight(15.0), drive_straight(15.0))
    areas = flag_areas(2)
    areas.off_route[0, [10, 20]] = True
    areas.off_route[1, [10, 21]] = True
    values = score_driving_direction(rollouts, areas, DEFAULT_CONFIG.metrics)
    assert values.value.tolist() == [0.5, 1.0]
    assert values.first_step.tolist() == [20, NO_STEP]


def test_distance_is_that_of_the_box_centre() -> None:
    """Turning on the spot by 1 rad per step moves the centre on a circle of 1.461 m, not the rear axle."""
    spin = drive_straight(0.0)
    spin[:, 2] = np.arange(41)
    values = score_driving_direction(roll_out(spin), flag_areas(off_route=True), DEFAULT_CONFIG.metrics)
    assert values.value[0] == 0.0 and values.first_step[0] == 2
