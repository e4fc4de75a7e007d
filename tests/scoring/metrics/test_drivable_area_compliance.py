"""DAC: which areas can be driven on, and when a corner first leaves them."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.kernels import NO_STEP, Areas
from latentvla_agent.scoring.metrics.drivable_area_compliance import score_drivable_area
from latentvla_agent.scoring.metrics.ego_area import OFF_ROUTE, is_at_intersection, is_between_lanes
from latentvla_agent.scoring.state import FloatArray
from tests.scoring.scenes import build_world, drive_straight, make_areas, place_rollout

ROAD = shapely.box(-50.0, -3.0, 200.0, 3.0)


def score(areas: Areas, states: FloatArray) -> Tuple[float, int]:
    value, step = score_drivable_area(place_rollout(states, build_world(areas=areas)))
    return float(value), int(step)


def between_lanes(areas: Areas, y: float) -> bool:
    """Whether an ego that drives along x at `y` is between lanes, the same at every step."""
    world = build_world(areas=areas)
    rollout = place_rollout(drive_straight(5.0, y=y), world)
    found = {bool(is_between_lanes(corners, world.areas, rollout.near_areas)) for corners in rollout.corners}
    assert len(found) == 1
    return found.pop()


@pytest.mark.parametrize("kind", list(AreaKind))
def test_lane_groups_intersections_and_car_parks_count(kind: AreaKind) -> None:
    surfaces = (AreaKind.LANE_GROUP, AreaKind.INTERSECTION, AreaKind.INTERSECTION_SURFACE, AreaKind.CARPARK)
    drivable = kind in surfaces
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


def test_a_road_of_many_pieces_is_as_good_as_one() -> None:
    """Groups of 5 m that overlap by 0.1 m, in any order; a gap is found wherever it is."""
    pieces = [shapely.box(x - 0.05, -3.0, x + 5.05, 3.0) for x in np.arange(-10.0, 60.0, 5.0)]
    order = np.random.default_rng(0).permutation(len(pieces))
    groups = [(str(i), AreaKind.LANE_GROUP, pieces[i]) for i in order]
    assert score(make_areas(*groups), drive_straight(10.0)) == (1.0, NO_STEP)
    gap = [group for group in groups if group[0] != "6"]  # 20 to 25 m
    assert score(make_areas(*gap), drive_straight(10.0)) == (0.0, 17)


def test_position_within_lanes_is_told() -> None:
    """Lanes of 4 m side by side: the ego drives in the first, then across the border of both, then in the second."""
    first, second = shapely.box(-50.0, -2.0, 200.0, 2.0), shapely.box(-50.0, 2.0, 200.0, 6.0)
    areas = make_areas(("1", AreaKind.LANE, first), ("2", AreaKind.LANE_CONNECTOR, second), route=["2"])
    assert [between_lanes(areas, y) for y in (0.0, 2.1, 4.0)] == [False, True, False]
    off_route = [
        place_rollout(drive_straight(5.0, y=y), build_world(areas=areas)).flags[OFF_ROUTE] for y in (0, 2.1, 4)
    ]
    assert [flags.tolist() for flags in off_route] == [[True] * 41, [False] * 41, [False] * 41]


@pytest.mark.parametrize("kind", [AreaKind.LANE_GROUP, AreaKind.INTERSECTION, AreaKind.CARPARK])
def test_only_lanes_make_an_ego_be_between_lanes(kind: AreaKind) -> None:
    first, second = shapely.box(-50.0, -2.0, 200.0, 2.0), shapely.box(-50.0, 2.0, 200.0, 6.0)
    assert not between_lanes(make_areas(("1", AreaKind.LANE, first), ("2", kind, second)), 2.1)


def test_an_ego_half_off_its_only_lane_is_not_between_lanes() -> None:
    assert not between_lanes(make_areas(("1", AreaKind.LANE, shapely.box(-50.0, 0.0, 200.0, 3.0))), 0.0)


def test_a_lane_that_holds_all_corners_settles_it() -> None:
    """Lanes may overlap: what counts is whether one of them holds the whole box, first or last in the list."""
    wide, narrow = shapely.box(-50.0, -3.0, 200.0, 3.0), shapely.box(-50.0, 0.0, 200.0, 3.0)
    low = shapely.box(-50.0, -3.0, 200.0, 0.0)
    lanes = [("1", AreaKind.LANE, wide), ("2", AreaKind.LANE, narrow), ("3", AreaKind.LANE, low)]
    assert not between_lanes(make_areas(*lanes), 0.0) and not between_lanes(make_areas(*lanes[::-1]), 0.0)
    assert between_lanes(make_areas(*lanes[1:]), 0.0)


def test_only_intersections_are_intersections() -> None:
    box = shapely.box(9.5, -3.0, 200.0, 3.0)
    for kind in AreaKind:
        areas = build_world(areas=make_areas(("1", kind, box))).areas
        found = [bool(is_at_intersection(x, 0.0, areas, np.arange(1))) for x in (9.0, 10.0, 201.0)]
        assert found == [False, kind in (AreaKind.INTERSECTION, AreaKind.INTERSECTION_INTERIOR), False]
