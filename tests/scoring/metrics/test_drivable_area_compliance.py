"""DAC: which areas can be driven on, and when a corner first leaves them."""

from __future__ import annotations

from typing import Tuple

import pytest
import shapely

from latentvla_agent.scoring.areas import AreaKind, DrivableAreas
from latentvla_agent.scoring.metrics.drivable_area_compliance import score_drivable_area
from latentvla_agent.scoring.metrics.ego_area import locate_ego
from latentvla_agent.scoring.metrics.metric import NO_STEP
from latentvla_agent.scoring.state import FloatArray
from tests.scoring.scenes import drive_straight, make_areas, roll_out

ROAD = shapely.box(-50.0, -3.0, 200.0, 3.0)


def score(areas: DrivableAreas, states: FloatArray) -> Tuple[float, int]:
    values = score_drivable_area(locate_ego(roll_out(states), areas))
    return float(values.value[0]), int(values.first_step[0])


@pytest.mark.parametrize("kind", list(AreaKind))
def test_lane_groups_intersections_and_car_parks_count(kind: AreaKind) -> None:
    drivable = kind in (AreaKind.LANE_GROUP, AreaKind.INTERSECTION, AreaKind.CARPARK)
    expected = (1.0, NO_STEP) if drivable else (0.0, 0)
    assert score(make_areas(("1", kind, ROAD), route=["1"]), drive_straight(10.0)) == expected


def test_a_corner_leaves_at_the_end_of_the_road() -> None:
    """Front bumper at 4.049 + t metres (t in steps), the road ends at 20 m."""
    areas = make_areas(("1", AreaKind.LANE_GROUP, shapely.box(-50.0, -3.0, 20.0, 3.0)))
    assert score(areas, drive_straight(10.0)) == (0.0, 16)


def test_corners_may_lie_in_different_areas() -> None:
    left, right = shapely.box(-50.0, 0.2, 200.0, 3.0), shapely.box(-50.0, -3.0, 200.0, -0.2)
    areas = make_areas(("1", AreaKind.LANE_GROUP, left), ("2", AreaKind.CARPARK, right))
    assert score(areas, drive_straight(10.0)) == (1.0, NO_STEP)
    assert score(make_areas(("1", AreaKind.LANE_GROUP, left)), drive_straight(10.0)) == (0.0, 0)


def test_a_hole_is_off_the_road() -> None:
    island = shapely.Polygon(ROAD.exterior, [shapely.box(20.0, 0.0, 24.0, 3.0).exterior.coords[::-1]])
    areas = make_areas(("1", AreaKind.INTERSECTION, ROAD.difference(shapely.box(20.0, 0.0, 24.0, 2.9))))
    assert island.area < ROAD.area
    assert score(areas, drive_straight(10.0)) == (0.0, 16)
    assert score(areas, drive_straight(10.0, y=-1.5)) == (1.0, NO_STEP)


def test_a_corner_on_the_border_is_off_the_road() -> None:
    """The ego is 2.297 m wide."""
    for half_width, value in ((1.1485, 0.0), (1.1486, 1.0)):
        areas = make_areas(("1", AreaKind.LANE_GROUP, shapely.box(-50.0, -half_width, 200.0, half_width)))
        assert score(areas, drive_straight(10.0))[0] == value


def test_no_areas_at_all() -> None:
    assert score(make_areas(), drive_straight(10.0)) == (0.0, 0)


def test_position_within_lanes_is_told() -> None:
    """Lanes of 4 m side by side: the ego drives in the first, then across the border of both, then off."""
    first, second = shapely.box(-50.0, -2.0, 200.0, 2.0), shapely.box(-50.0, 2.0, 200.0, 6.0)
    areas = make_areas(("1", AreaKind.LANE, first), ("2", AreaKind.LANE_CONNECTOR, second), route=["2"])
    rollouts = roll_out(drive_straight(5.0), drive_straight(5.0, y=2.1), drive_straight(5.0, y=4.0))
    located = locate_ego(rollouts, areas)
    assert located.multiple_lanes.any(axis=1).tolist() == [False, True, False]
    assert located.off_route[:, 0].tolist() == [True, False, False]


def test_a_lane_that_holds_all_corners_settles_it() -> None:
    """Lanes may overlap: what counts is whether one of them holds the whole box."""
    wide, narrow = shapely.box(-50.0, -3.0, 200.0, 3.0), shapely.box(-50.0, 0.0, 200.0, 3.0)
    located = locate_ego(
        roll_out(drive_straight(5.0)), make_areas(("1", AreaKind.LANE, wide), ("2", AreaKind.LANE, narrow))
    )
    assert not located.multiple_lanes.any()


def test_at_an_intersection_is_the_rear_axle() -> None:
    areas = make_areas(("1", AreaKind.INTERSECTION, shapely.box(9.5, -3.0, 200.0, 3.0)))
    located = locate_ego(roll_out(drive_straight(10.0)), areas)
    assert located.at_intersection[0].tolist() == [False] * 10 + [True] * 31
