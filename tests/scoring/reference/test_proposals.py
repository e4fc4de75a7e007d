"""The drivers of PDM-Closed on a straight path: free, behind a vehicle, before a red light."""

from __future__ import annotations

from typing import Any, Dict, Optional, Sequence, Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.data.maps import Lane, discretise_line
from latentvla_agent.scoring.config import DEFAULT_CONFIG, STEP_S
from latentvla_agent.scoring.polyline import Polyline
from latentvla_agent.scoring.reference.forecast import forecast_objects
from latentvla_agent.scoring.reference.proposals import Lead, ProposalPath, target_speeds
from latentvla_agent.scoring.state import FloatArray
from tests.scoring.scenes import VEHICLE, Thing, make_frame

PLANNER = DEFAULT_CONFIG.planner


def unroll(
    *things: Thing,
    speed: float = 5.0,
    targets: Sequence[float] = (2.0, 4.0, 6.0, 8.0, 10.0),
    red_light: Optional[Tuple[float, ...]] = None,
    y: float = 0.0,
    length: float = 1000.0,
) -> FloatArray:
    """Poses (D, 51, 3) of drivers along the x axis."""
    line = shapely.LineString(np.column_stack([np.arange(0.0, length), np.zeros(int(length))]))
    path = Polyline(discretise_line(line))
    lanes: Dict[str, Any] = {}
    if red_light is not None:
        lanes["7"] = Lane("7", "9", True, shapely.box(*red_light), path.states, path.length, None, ())
    pose = (100.0, y, 0.0)
    moved = [Thing(t.x - 100.0, t.y - y, t.heading, t.speed, t.type, t.length, t.width) for t in things]
    frame = make_frame(*moved, speed=speed, pose=pose, lights=[("7", True)] if lanes else [])
    forecast = forecast_objects(frame, lanes, PLANNER, DEFAULT_CONFIG.metrics, VEHICLE)
    proposals = ProposalPath(path, np.array(pose), speed, np.array(targets), forecast, PLANNER, VEHICLE)
    proposals.unroll(1, PLANNER.num_plan_steps, range(len(targets)))
    return proposals.poses


def speeds_of(poses: FloatArray) -> FloatArray:
    speeds: FloatArray = np.diff(poses[..., 0], axis=1) / STEP_S
    return speeds


def test_drivers_start_on_the_path_at_the_ego_s_speed() -> None:
    poses = unroll(y=1.5)
    np.testing.assert_allclose(poses[:, 0], np.tile([100.0, 0.0, 0.0], (5, 1)), atol=1e-9)
    np.testing.assert_allclose(speeds_of(poses)[:, 0], 5.0, atol=1e-6)
    assert np.abs(poses[..., 1:]).max() < 1e-9


def test_the_first_step_brakes_as_for_an_object_at_progress_zero() -> None:
    """The devkit's quirk: leading objects are looked up at even steps only, before that they are all zeros."""
    speeds = speeds_of(unroll(speed=5.0))
    np.testing.assert_allclose(speeds[:, 1], 5.0 - PLANNER.max_deceleration * STEP_S, atol=1e-6)
    assert (speeds[2:, 2] > speeds[2:, 1]).all()


def test_free_drivers_approach_their_target() -> None:
    speeds = speeds_of(unroll(speed=5.0))
    final = speeds[:, -1]
    np.testing.assert_allclose(final[:3], [2.0, 4.0, 6.0], rtol=0.2)
    assert (np.diff(final) > 0.0).all() and (final[3:] > 8.0 * 0.9).all()
    assert (np.diff(speeds[4, 1:]) > 0.0).all(), "faster and faster towards 10 m/s"
    assert np.abs(np.diff(speeds, axis=1)).max() <= PLANNER.max_deceleration * STEP_S + 1e-6


def test_a_standing_ego_drives_off() -> None:
    speeds = speeds_of(unroll(speed=0.0))
    assert np.diff(speeds[:, 2:], axis=1)[:, 0].min() > 0.0
    assert np.diff(speeds[-1]).max() <= PLANNER.max_acceleration * STEP_S + 1e-6


def test_drivers_stop_behind_a_standing_vehicle() -> None:
    poses = unroll(Thing(125.0, 0.0), speed=5.0)
    fronts = poses[..., 0] + VEHICLE.front_length
    assert fronts.max() < 123.0
    assert speeds_of(poses)[-1, -1] < 1.0
    assert poses[-1, -1, 0] < unroll(speed=5.0)[-1, -1, 0] - 5.0


def test_a_vehicle_beside_the_path_is_no_obstacle() -> None:
    """The corridor is as wide as the ego, 2.297 m; the vehicle is 2 m wide."""
    free = unroll(speed=5.0)
    assert np.array_equal(unroll(Thing(125.0, 2.2), speed=5.0), free)
    assert not np.array_equal(unroll(Thing(125.0, 2.1), speed=5.0), free)


def test_a_vehicle_behind_is_no_obstacle() -> None:
    assert np.array_equal(unroll(Thing(90.0, 0.0), speed=5.0), unroll(speed=5.0))


def test_a_vehicle_that_drives_away_slows_less_than_one_that_stands() -> None:
    free, driving, standing = (
        unroll(*t, speed=5.0)[-1, -1, 0] for t in ((), (Thing(115.0, 0.0, speed=6.0),), (Thing(115.0, 0.0),))
    )
    assert standing < driving - 3.0 < free - 3.0


def test_a_vehicle_that_overlaps_the_ego_is_ignored() -> None:
    assert np.array_equal(unroll(Thing(105.0, 0.0), speed=5.0), unroll(speed=5.0))


def test_drivers_stop_before_a_red_light() -> None:
    poses = unroll(speed=5.0, red_light=(120.0, -2.0, 135.0, 2.0))
    assert (poses[..., 0] + VEHICLE.front_length).max() < 120.0


def test_a_red_light_that_holds_the_ego_is_ignored() -> None:
    assert np.array_equal(unroll(speed=5.0, red_light=(95.0, -2.0, 135.0, 2.0)), unroll(speed=5.0))


def test_a_driver_before_a_red_light_inherits_the_speed_that_its_neighbour_follows() -> None:
    """The devkit's quirk: the leading object is shared by the drivers of a path, a red light leaves its speed alone."""
    path = Polyline(discretise_line(shapely.LineString(np.column_stack([np.arange(200.0), np.zeros(200)]))))
    red = Lane("7", "9", True, shapely.box(60.0, -2.0, 70.0, 2.0), path.states, path.length, None, ())
    lanes: Dict[str, Any] = {"7": red}
    frame = make_frame(Thing(40.0, 0.0, speed=6.0), lights=[("7", True)])
    forecast = forecast_objects(frame, lanes, PLANNER, DEFAULT_CONFIG.metrics, VEHICLE)
    proposals = ProposalPath(path, np.zeros(3), 5.0, np.array([5.0]), forecast, PLANNER, VEHICLE)
    lead, polygons = Lead(), forecast.polygons[0]
    proposals._follow_nearest(lead, 10.0, np.array([10.0, 0.0, 0.0]), polygons, [0, 1])
    assert (lead.progress, lead.speed) == pytest.approx((10.0 + 38.0 - 14.049, 6.0), abs=1e-5)
    proposals._follow_nearest(lead, 50.0, np.array([50.0, 0.0, 0.0]), polygons[[1]], [1])
    assert (lead.progress, lead.speed) == pytest.approx((50.0 + 60.0 - 54.049, 6.0), abs=1e-5)


def test_the_path_s_end_is_an_obstacle() -> None:
    poses = unroll(speed=8.0, length=125.0)
    assert poses[..., 0].max() < 124.0 and (speeds_of(poses)[:, -1] < 3.0).all()


def test_unrolling_in_parts_is_the_same() -> None:
    """Later steps of one driver do not depend on whether the others go on."""
    whole = unroll(Thing(125.0, 0.0), speed=5.0)
    line = shapely.LineString(np.column_stack([np.arange(0.0, 1000.0), np.zeros(1000)]))
    frame = make_frame(Thing(25.0, 0.0), speed=5.0, pose=(100.0, 0.0, 0.0))
    forecast = forecast_objects(frame, {}, PLANNER, DEFAULT_CONFIG.metrics, VEHICLE)
    targets = np.array([2.0, 4.0, 6.0, 8.0, 10.0])
    path = Polyline(discretise_line(line))
    proposals = ProposalPath(path, np.array([100.0, 0.0, 0.0]), 5.0, targets, forecast, PLANNER, VEHICLE)
    proposals.unroll(1, 40, range(5))
    proposals.unroll(41, 50, [3])
    assert np.array_equal(proposals.poses[3], whole[3])
    assert np.array_equal(proposals.poses[:, :41], whole[:, :41])


@pytest.mark.parametrize(("limit", "top"), [(10.0, 10.0), (None, 15.0)])
def test_targets_are_fractions_of_the_speed_limit(limit: Optional[float], top: float) -> None:
    np.testing.assert_allclose(target_speeds(limit, PLANNER), np.array([0.2, 0.4, 0.6, 0.8, 1.0]) * top)
