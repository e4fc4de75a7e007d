"""The drivers of PDM-Closed on a straight path: free, behind a vehicle, at a red light; and against a plain loop."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.data.maps import Lane, discretise_line
from latentvla_agent.scoring.areas import TREE_CAPACITY
from latentvla_agent.scoring.config import DEFAULT_CONFIG, STEP_S
from latentvla_agent.scoring.polyline import MIN_DISTANCE, Polyline
from latentvla_agent.scoring.reference.forecast import Forecast, forecast_objects
from latentvla_agent.scoring.reference.obstacles import build_corridor, find_obstacles
from latentvla_agent.scoring.reference.proposals import (
    Path,
    _find_leads,
    _interpolate,
    _make_driver,
    target_speeds,
    unroll_path,
)
from latentvla_agent.scoring.state import FloatArray, ego_corners
from tests.scoring.scenes import VEHICLE, Thing, make_frame

PLANNER = DEFAULT_CONFIG.planner
TARGETS = (2.0, 4.0, 6.0, 8.0, 10.0)


def straight_path(length: float = 1000.0) -> Polyline:
    line = shapely.LineString(np.column_stack([np.arange(0.0, length), np.zeros(int(length))]))
    return Polyline(discretise_line(line))


def forecast(
    *things: Thing,
    speed: float = 5.0,
    pose: Tuple[float, float, float] = (100.0, 0.0, 0.0),
    red_lights: Sequence[Tuple[float, ...]] = (),
) -> Forecast:
    """Forecast of things and red boxes in the map frame; the ego's heading is 0."""
    line = shapely.LineString([(0.0, 0.0), (1.0, 0.0)])
    lanes: Dict[str, Any] = {
        str(i): Lane(str(i), "9", True, shapely.box(*box), lambda: line, None, ()) for i, box in enumerate(red_lights)
    }
    moved = [Thing(t.x - pose[0], t.y - pose[1], t.heading, t.speed, t.type, t.length, t.width) for t in things]
    frame = make_frame(*moved, speed=speed, pose=pose, lights=[(id_, True) for id_ in lanes])
    return forecast_objects(frame, lanes, PLANNER, DEFAULT_CONFIG.metrics, VEHICLE)


def unroll(
    *things: Thing,
    speed: float = 5.0,
    red_light: Optional[Tuple[float, ...]] = None,
    y: float = 0.0,
    length: float = 1000.0,
) -> FloatArray:
    """Poses (5, 41, 3) of drivers along the x axis."""
    pose = (100.0, y, 0.0)
    found = forecast(*things, speed=speed, pose=pose, red_lights=[] if red_light is None else [red_light])
    return unroll_path(straight_path(length), np.array(pose), speed, np.array(TARGETS), found, PLANNER, VEHICLE)


def speeds_of(poses: FloatArray) -> FloatArray:
    speeds: FloatArray = np.diff(poses[..., 0], axis=1) / STEP_S
    return speeds


def test_drivers_start_on_the_path_at_the_ego_s_speed() -> None:
    poses = unroll(y=1.5)
    assert poses.shape == (5, 41, 3)
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
    np.testing.assert_allclose(final[:3], [2.0, 4.0, 6.0], rtol=0.25)
    assert (np.diff(final) > 0.0).all() and (final[3:] > 8.0 * 0.9).all()
    assert (np.diff(speeds[4, 1:]) > 0.0).all(), "faster and faster towards 10 m/s"
    assert np.abs(np.diff(speeds, axis=1)).max() <= PLANNER.max_deceleration * STEP_S + 1e-6


def test_a_standing_ego_drives_off() -> None:
    speeds = speeds_of(unroll(speed=0.0))
    assert np.diff(speeds[:, 2:], axis=1)[:, 0].min() > 0.0
    assert np.diff(speeds[-1]).max() <= PLANNER.max_acceleration * STEP_S + 1e-6


def test_drivers_brake_behind_a_standing_vehicle() -> None:
    poses = unroll(Thing(120.0, 0.0), speed=5.0)
    assert (poses[..., 0] + VEHICLE.front_length).max() < 118.0
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
    assert standing < driving - 2.0 < free - 2.0


def test_a_vehicle_that_overlaps_the_ego_is_ignored() -> None:
    assert np.array_equal(unroll(Thing(105.0, 0.0), speed=5.0), unroll(speed=5.0))


def test_drivers_stop_before_a_red_light() -> None:
    poses = unroll(speed=5.0, red_light=(115.0, -2.0, 130.0, 2.0))
    assert (poses[..., 0] + VEHICLE.front_length).max() < 115.0


def test_a_red_light_that_holds_the_ego_is_ignored() -> None:
    assert np.array_equal(unroll(speed=5.0, red_light=(95.0, -2.0, 135.0, 2.0)), unroll(speed=5.0))


def find_leads(path: Polyline, found: Forecast, places: Sequence[float]) -> FloatArray:
    """Progress, speed and rear length that drivers at some places on a straight path follow in frame 0."""
    corridor, line = build_corridor(path, 0.0, 20.0, PLANNER, VEHICLE.half_width)
    obstacles = find_obstacles(path, corridor, line, found, VEHICLE)
    poses, leads = np.zeros((len(places), 3)), np.zeros((len(places), 3))
    poses[:, 0] = places
    lane, driver = Path(path.unwrapped, path.progress), _make_driver(PLANNER, VEHICLE)
    _find_leads(lane, np.array(places), poses, obstacles, found.rings, driver, 0, leads)
    return leads


def test_a_driver_before_a_red_light_inherits_the_speed_that_its_neighbour_follows() -> None:
    """The devkit's quirk: the leading object is shared by the drivers of a path, a red light leaves its speed alone."""
    found = forecast(Thing(40.0, 0.0, speed=6.0), pose=(0.0, 0.0, 0.0), red_lights=[(60.0, -2.0, 70.0, 2.0)])
    leads = find_leads(straight_path(200.0), found, [10.0, 50.0])
    np.testing.assert_allclose(leads[0], [10.0 + 38.0 - 14.049, 6.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(leads[1], [50.0 + 60.0 - 54.049, 6.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(find_leads(straight_path(200.0), found, [50.0])[0, 1], 0.0)


def test_without_an_obstacle_ahead_the_path_s_end_is_followed_at_the_neighbour_s_speed() -> None:
    found = forecast(Thing(40.0, 0.0, speed=6.0), pose=(0.0, 0.0, 0.0))
    leads = find_leads(straight_path(200.0), found, [10.0, 50.0])
    np.testing.assert_allclose(leads[1], [199.0, 6.0, VEHICLE.half_length], atol=1e-5)


def test_the_path_s_end_is_an_obstacle() -> None:
    poses = unroll(speed=8.0, length=125.0)
    assert poses[..., 0].max() < 124.0 and (speeds_of(poses)[:, -1] < 3.0).all()


@pytest.mark.parametrize(("limit", "top"), [(10.0, 10.0), (None, 15.0)])
def test_targets_are_fractions_of_the_speed_limit(limit: Optional[float], top: float) -> None:
    np.testing.assert_allclose(target_speeds(limit, PLANNER), np.array([0.2, 0.4, 0.6, 0.8, 1.0]) * top)


def interpolate(path: Polyline, distance: float) -> FloatArray:
    pose = np.empty(3)
    _interpolate(Path(path.unwrapped, path.progress), distance, pose)
    return pose


def test_interpolated_positions_are_shapelys() -> None:
    rng = np.random.default_rng(2)
    for _ in range(50):
        line = shapely.LineString(rng.uniform(-100.0, 100.0, (rng.integers(2, 8), 2)))
        path = Polyline(discretise_line(line))
        for distance in rng.uniform(MIN_DISTANCE, path.length, 10):
            expected = path.line.interpolate(distance)
            np.testing.assert_allclose(interpolate(path, distance)[:2], [expected.x, expected.y], atol=1e-6)


def test_ends_are_held_and_the_start_is_never_met() -> None:
    path = Polyline(discretise_line(shapely.LineString([(0.0, 0.0), (10.0, 0.0)])))
    assert [interpolate(path, d)[0] for d in (-3.0, 0.0, 12.0)] == pytest.approx([MIN_DISTANCE, MIN_DISTANCE, 10.0])
    assert interpolate(path, 0.0)[0] > 0.0


def test_interpolation_steps_over_repeated_vertices() -> None:
    line = shapely.LineString([(0.0, 0.0), (10.0, 0.0), (10.0, 0.0), (10.0, 10.0)])
    path = Polyline(discretise_line(line))
    np.testing.assert_allclose(interpolate(path, 5.0)[:2], [5.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(interpolate(path, 15.0)[:2], [10.0, 5.0], atol=1e-9)
    assert np.isfinite(interpolate(path, 10.0)).all()


def test_headings_take_the_short_way_across_pi() -> None:
    path = Polyline(np.array([[0.0, 0.0, 3.0], [-1.0, 0.0, -3.0]]))
    assert abs(interpolate(path, 0.5)[2]) == pytest.approx(np.pi)


def unroll_plainly(path: Polyline, pose: FloatArray, speed: float, found: Forecast) -> FloatArray:
    """The same as the devkit writes it: shapely for all geometry, a tree per step, its order deciding ties."""
    count, driver = len(TARGETS), PLANNER
    progress, speeds = np.full(count, path.line.project(shapely.Point(pose[:2]))), np.full(count, speed)
    ahead = path.cut(progress[0], progress[0] + max(TARGETS) * PLANNER.num_plan_steps * STEP_S)
    corridor = shapely.buffer(ahead, VEHICLE.half_width, cap_style="square")
    poses, leads = [np.array([interpolate(path, p) for p in progress])], np.zeros((count, 3))
    for step in range(1, 41):
        if step % 2 == 0:
            polygons = found.polygons_of(step // 2)
            near: List[int] = []
            if len(polygons):
                tree = shapely.STRtree(polygons, node_capacity=TREE_CAPACITY)
                near = [int(c) for c in tree.query(corridor, predicate="intersects") if not found.is_ignored[c]]
            places = [path.line.project(polygons[c].centroid) for c in near]
            lead_speed = 0.0
            for d in range(count):
                columns = [c for c, place in zip(near, places) if place > progress[d]]
                if not columns:
                    leads[d] = path.line.length, lead_speed, VEHICLE.half_length
                    continue
                distances = shapely.distance(polygons[columns], shapely.Polygon(ego_corners(poses[-1][d], VEHICLE)))
                nearest = columns[int(np.argmin(distances))]
                if not found.rings.is_red_light[nearest]:
                    relative = found.rings.headings[nearest] - poses[-1][d, 2]
                    lead_speed = found.rings.speeds[nearest] * np.cos(relative)
                rear_length = leads[:d, 2][-1] if d else 0.0
                leads[d] = progress[d] + distances.min(), lead_speed, rear_length
        braking = 2.0 * np.sqrt(driver.max_acceleration * driver.max_deceleration)
        wanted = driver.min_gap + speeds * driver.headway_s + speeds * (speeds - leads[:, 1]) / braking
        gap = np.maximum(leads[:, 0] - progress - leads[:, 2], driver.min_gap)
        free = (speeds / TARGETS) ** driver.acceleration_exponent
        acceleration = driver.max_acceleration * (1.0 - free - (wanted / gap) ** 2)
        acceleration = np.clip(acceleration, -driver.max_deceleration, driver.max_acceleration)
        progress, speeds = progress + STEP_S * speeds, speeds + STEP_S * acceleration
        poses.append(np.array([interpolate(path, p) for p in progress]))
    return np.stack(poses, axis=1)


@pytest.mark.parametrize("seed", range(40))
def test_unrolling_equals_the_plain_loop(seed: int) -> None:
    """A winding path through traffic with red lights; every fourth scene has pairs of vehicles that tie."""
    rng = np.random.default_rng(seed)
    x = np.linspace(-20.0, 150.0, 171)
    bend = 0.0 if seed % 4 == 0 else rng.uniform(-6.0, 6.0)
    path = Polyline(discretise_line(shapely.LineString(np.column_stack([x, bend * np.sin(x / 25.0)]))))
    things = []
    for _ in range(rng.integers(0, 12)):
        place = rng.uniform(8.0, 90.0)
        heading, speed = rng.choice([0.0, np.pi]) + rng.normal(0.0, 0.3), rng.choice([0.0, rng.uniform(0.0, 9.0)])
        things.append(Thing(place, bend * np.sin(place / 25.0) + rng.normal(0.0, 2.0), heading, speed))
    if seed % 4 == 0:
        pairs = [(8.0 + 9.0 * i, rng.uniform(0.0, 8.0), rng.uniform(0.0, 8.0)) for i in range(4)]
        things = [Thing(x, y, 0.0, v, width=1.0) for x, a, b in pairs for y, v in ((0.8, a), (-0.8, b))]
    lights = [(place, -9.0, place + 10.0, 9.0) for place in rng.uniform(15.0, 80.0, rng.integers(0, 3))]
    pose = np.array([0.0, rng.normal(0.0, 0.5), 0.0])
    speed = rng.uniform(0.0, 10.0)
    found = forecast(*things, speed=speed, pose=tuple(pose), red_lights=lights)
    ours = unroll_path(path, pose, speed, np.array(TARGETS), found, PLANNER, VEHICLE)
    np.testing.assert_allclose(ours, unroll_plainly(path, pose, speed, found), rtol=0.0, atol=1e-9)
