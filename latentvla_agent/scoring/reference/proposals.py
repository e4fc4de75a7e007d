"""The 15 proposals of PDM-Closed: along three parallel paths, an IDM driver at each of five target speeds."""

from __future__ import annotations

from typing import Any, NamedTuple, Optional, Tuple

import numpy as np

from latentvla_agent.scoring.config import NUM_STATES, STEP_S, PlannerConfig, VehicleConfig
from latentvla_agent.scoring.kernels import compile_kernel
from latentvla_agent.scoring.metrics.contact import box_ring_distance
from latentvla_agent.scoring.polyline import MIN_DISTANCE, Polyline, project_point
from latentvla_agent.scoring.reference.forecast import Forecast, Rings
from latentvla_agent.scoring.reference.obstacles import Obstacles, build_corridor, find_obstacles, order_frame
from latentvla_agent.scoring.state import FloatArray, place_ego

NO_TIE = -1


class Driver(NamedTuple):
    """Numbers of the intelligent driver model and of the ego box."""

    min_gap: float
    headway_s: float
    max_acceleration: float
    max_deceleration: float
    exponent: float
    stride: int
    half_length: float
    half_width: float
    rear_axle_to_center: float


class Path(NamedTuple):
    """A polyline for the kernel: states (M, 3) with unwrapped headings, and progress (M,) [m]."""

    states: Any
    progress: Any


def unroll_path(
    path: Polyline,
    pose: FloatArray,
    speed: float,
    targets: FloatArray,
    forecast: Forecast,
    planner: PlannerConfig,
    vehicle: VehicleConfig,
) -> FloatArray:
    """Poses (D, 41, 3) of D drivers with target speeds (D,) [m/s] that start where the rear axle projects on the path.

    Two obstacles at the same distance tie, and the devkit follows the one that its spatial index returns first; that
    order is looked up where a tie occurs, and the path unrolled again.
    """
    vertices = np.ascontiguousarray(path.states[:, :2])
    start = project_point(vertices, pose[0], pose[1])
    corridor, line = build_corridor(path, start, float(targets.max()), planner, vehicle.half_width)
    obstacles = find_obstacles(path, corridor, line, forecast, vehicle)
    driver = _make_driver(planner, vehicle)
    poses = np.empty((len(targets), NUM_STATES, 3))
    while True:
        lane = Path(path.unwrapped, path.progress)
        tie = _unroll(lane, start, speed, targets, obstacles, forecast.rings, driver, poses)
        if tie == NO_TIE:
            return poses
        order_frame(obstacles, tie, corridor, forecast)


def _make_driver(planner: PlannerConfig, vehicle: VehicleConfig) -> Driver:
    return Driver(
        planner.min_gap,
        planner.headway_s,
        planner.max_acceleration,
        planner.max_deceleration,
        planner.acceleration_exponent,
        planner.forecast_stride,
        vehicle.half_length,
        vehicle.half_width,
        vehicle.rear_axle_to_center,
    )


def target_speeds(speed_limit: Optional[float], planner: PlannerConfig) -> FloatArray:
    """Target speeds of the five drivers [m/s]."""
    limit = planner.fallback_speed if speed_limit is None else speed_limit
    return np.array(planner.speed_limit_fractions) * limit


@compile_kernel
def _unroll(
    path: Path, start: float, speed: float, targets: Any, obstacles: Obstacles, rings: Rings, driver: Driver, poses: Any
) -> int:
    """Fill poses (D, 41, 3); returns the frame of a tie that must be ordered first, or `NO_TIE`.

    What a driver follows (progress, speed, rear length) is one set of numbers for all drivers of a path at one step,
    and a driver overwrites only what it finds: one behind a red light inherits the speed of the vehicle that its
    neighbour follows. The devkit does this, hence so do we.
    """
    count = targets.shape[0]
    progress, speeds, leads = np.full(count, start), np.full(count, speed), np.zeros((count, 3))
    for d in range(count):
        _interpolate(path, start, poses[d, 0])
    for step in range(1, poses.shape[1]):
        if step % driver.stride == 0:
            tie = _find_leads(
                path, progress, poses[:, step - 1], obstacles, rings, driver, step // driver.stride, leads
            )
            if tie != NO_TIE:
                return tie
        for d in range(count):
            place, velocity = progress[d], speeds[d]
            progress[d] = place + STEP_S * velocity
            speeds[d] = velocity + STEP_S * _accelerate(place, velocity, targets[d], leads[d], driver)
            _interpolate(path, progress[d], poses[d, step])
    return NO_TIE


@compile_kernel
def _accelerate(place: float, speed: float, target: float, lead: Any, driver: Driver) -> float:
    """Acceleration of the intelligent driver model behind `lead` (progress, speed, rear length)."""
    braking = 2.0 * np.sqrt(driver.max_acceleration * driver.max_deceleration)
    wanted = driver.min_gap + speed * driver.headway_s + speed * (speed - lead[1]) / braking
    gap = max(lead[0] - place - lead[2], driver.min_gap)
    free = (speed / target) ** driver.exponent
    acceleration = driver.max_acceleration * (1.0 - free - (wanted / gap) ** 2)
    return min(max(acceleration, -driver.max_deceleration), driver.max_acceleration)


@compile_kernel
def _interpolate(path: Path, distance: float, pose: Any) -> None:
    """Pose at an arc length; outside the path its ends are held (the start to 10 micrometres, as in the devkit)."""
    last = path.progress.shape[0] - 1
    distance = min(max(distance, MIN_DISTANCE), path.progress[last])
    upper = min(max(np.searchsorted(path.progress, distance), 1), last)
    lower = upper - 1
    share = (distance - path.progress[lower]) / (path.progress[upper] - path.progress[lower])
    for i in range(3):
        pose[i] = path.states[lower, i] + share * (path.states[upper, i] - path.states[lower, i])
    pose[2] = np.arctan2(np.sin(pose[2]), np.cos(pose[2]))


@compile_kernel
def _find_leads(
    path: Path, progress: Any, poses: Any, obstacles: Obstacles, rings: Rings, driver: Driver, frame: int, leads: Any
) -> int:
    """Fill leads (D, 3) from the obstacles of a frame; returns the frame if a tie must be ordered first."""
    place, speed, rear_length = 0.0, 0.0, 0.0
    box = np.empty((4, 2))
    for d in range(progress.shape[0]):
        nearest, distance, is_tie = _find_nearest(progress[d], poses[d], obstacles, rings, driver, frame, box)
        if is_tie and not obstacles.is_ordered[frame]:
            return frame
        if nearest < 0:
            place, rear_length = path.progress[-1], driver.half_length
        else:
            place = progress[d] + distance
            if not rings.is_red_light[nearest]:
                speed = rings.speeds[nearest] * np.cos(rings.headings[nearest] - poses[d, 2])
        leads[d, 0], leads[d, 1], leads[d, 2] = place, speed, rear_length
    return NO_TIE


@compile_kernel
def _find_nearest(
    progress: float, pose: Any, obstacles: Obstacles, rings: Rings, driver: Driver, frame: int, box: Any
) -> Tuple[int, float, bool]:
    """Column and distance [m] of the obstacle ahead that is nearest to the ego box, and whether others are as near."""
    nearest, least, is_tie = -1, np.inf, False
    for entry in range(obstacles.starts[frame], obstacles.starts[frame + 1]):
        if not obstacles.progress[entry] > progress:
            continue
        if nearest < 0:
            place_ego(pose, driver.rear_axle_to_center, driver.half_length, driver.half_width, box, np.empty(2))
        column = obstacles.columns[entry]
        start = rings.starts[frame, column]
        distance = box_ring_distance(box, rings.vertices, start, start + rings.sizes[column])
        if distance == least:
            is_tie = True
        elif distance < least:
            nearest, least, is_tie = column, distance, False
    return nearest, least, is_tie
