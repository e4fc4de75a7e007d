"""DDC: metres outside the route's lanes within one second."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.kernels import NO_STEP, Areas
from latentvla_agent.scoring.metrics.driving_direction_compliance import score_driving_direction
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import V1, V2, Rules
from tests.scoring.scenes import apply, build_world, drive_straight, make_areas, straight_road

CLEAR = (1.0, NO_STEP)


def score(states: FloatArray, **flags: Any) -> Tuple[float, int]:
    return apply(score_driving_direction, states, build_world(), **flags)


def score_areas(areas: Areas, states: FloatArray, rules: Rules) -> Tuple[float, int]:
    return apply(score_driving_direction, states, build_world(areas=areas, rules=rules))


def opposite_road(*more: Tuple[str, AreaKind, shapely.Geometry]) -> Areas:
    """A road whose only lane is not on the route."""
    box = shapely.box(-50.0, -3.0, 200.0, 3.0)
    return make_areas(("1", AreaKind.LANE_GROUP, box), ("2", AreaKind.LANE, box), *more)


def test_on_the_route_any_speed_complies() -> None:
    for rules in (V1, V2):
        assert score_areas(straight_road(), drive_straight(30.0), rules) == CLEAR


@pytest.mark.parametrize(
    ("speed", "expected"), [(1.8, CLEAR), (1.85, (0.5, 11)), (5.4, (0.5, 4)), (5.5, (0.0, 4)), (0.0, CLEAR)]
)
def test_thresholds_over_a_window_of_eleven_steps(speed: float, expected: Tuple[float, int]) -> None:
    """Off the route all the time: 1.1 s of driving against 2 m and 6 m."""
    assert score(drive_straight(speed), off_route=True) == expected
    for rules in (V1, V2):
        assert score_areas(opposite_road(), drive_straight(speed), rules) == expected


def test_the_first_step_covers_no_distance() -> None:
    """At 20 m/s each step is 2 m: off the route at t = 0 alone costs nothing, at step 1 alone it does."""
    assert score(drive_straight(20.0), off_route=[0]) == CLEAR
    assert score(drive_straight(20.5), off_route=[1]) == (0.5, 1)


def test_metres_more_than_a_second_apart_do_not_add_up() -> None:
    """1.5 m each time at 15 m/s, 1.0 s or 1.1 s apart."""
    assert score(drive_straight(15.0), off_route=[10, 20]) == (0.5, 20)
    assert score(drive_straight(15.0), off_route=[10, 21]) == CLEAR


def test_distance_is_that_of_the_box_centre() -> None:
    """Turning on the spot by 1 rad per step moves the centre on a circle of 1.461 m, not the rear axle."""
    spin = drive_straight(0.0)
    spin[:, 2] = np.arange(41)
    assert score(spin, off_route=True) == (0.0, 2)


def test_lanes_without_the_route_do_not_help_and_the_route_s_lane_may_lie_anywhere_in_the_list() -> None:
    box = shapely.box(-50.0, -3.0, 200.0, 3.0)
    lanes = [(str(i), AreaKind.LANE_CONNECTOR, box) for i in range(4)]
    for id_ in "0123":
        assert score_areas(make_areas(*lanes, route=[id_]), drive_straight(9.0), V2) == CLEAR
    assert score_areas(make_areas(*lanes, route=["7"]), drive_straight(9.0), V2) == (0.0, 3)


def test_v2_excuses_intersections_and_v1_does_not() -> None:
    areas = opposite_road(("3", AreaKind.INTERSECTION, shapely.box(-50.0, -3.0, 200.0, 3.0)))
    assert score_areas(areas, drive_straight(10.0), V1) == (0.0, 2)
    assert score_areas(areas, drive_straight(10.0), V2) == CLEAR


def test_v2_excuses_the_steps_that_end_with_the_centre_inside() -> None:
    """1 m per step from 1.461 m; the centre leaves the intersection at 21.4 m: the first step outside is 20."""
    areas = opposite_road(("3", AreaKind.INTERSECTION, shapely.box(-50.0, -3.0, 21.4, 3.0)))
    assert score_areas(areas, drive_straight(10.0), V2) == (0.0, 21)
    gap = (shapely.box(-50.0, -3.0, 10.0, 3.0), shapely.box(13.4, -3.0, 200.0, 3.0))  # metres 10 to 13 are outside
    areas = opposite_road(*[(str(3 + i), AreaKind.INTERSECTION, box) for i, box in enumerate(gap)])
    assert score_areas(areas, drive_straight(10.0), V2) == (0.5, 10)
