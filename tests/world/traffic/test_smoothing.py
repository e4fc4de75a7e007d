"""What smoothing promises, whatever SUMO's samples look like."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.world.traffic.recording import StateIndex
from latentvla_agent.world.traffic.smoothing import (
    SmoothingConfig,
    cut_bends,
    find_braking,
    make_path,
    smooth_drive,
    smooth_progress,
    smooth_walk,
)

STEP_S = 0.1
LENGTH = 5.176
CONFIG = SmoothingConfig()
Samples = npt.NDArray[np.float64]


def drive_along(corners: Samples, speeds: Samples) -> Samples:
    """Samples of a point that moves along a polyline at these speeds, as SUMO's do."""
    legs = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    at = np.clip(np.concatenate([[0.0], np.cumsum(speeds * STEP_S)]), 0.0, legs[-1])
    return np.column_stack([np.interp(at, legs, corners[:, i]) for i in range(2)])


def stop_and_go(seed: int) -> Tuple[Samples, Samples]:
    """A winding polyline and a drive with jumps of acceleration and stops."""
    rng = np.random.default_rng(seed)
    headings = np.cumsum(rng.uniform(-0.15, 0.15, 300))
    corners = np.vstack([[0.0, 0.0], np.cumsum(2.0 * np.column_stack([np.cos(headings), np.sin(headings)]), axis=0)])
    target = np.repeat(rng.choice([0.0, 3.0, 8.0], 8), 60)
    speeds, speed = [], 0.0
    for wanted in target:
        speed = max(speed + float(np.clip(wanted - speed, -0.22, 0.18)), 0.0)
        speeds.append(speed)
    return corners, np.array(speeds)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.booleans())
def test_drives_are_smooth(seed: int, is_ego: bool) -> None:
    corners, speeds = stop_and_go(seed)
    states, rear_arc = smooth_drive(drive_along(corners, speeds), 0.0, LENGTH, STEP_S, CONFIG, is_ego)
    speed, moves = states[:, StateIndex.SPEED], np.hypot(*np.diff(states[:, :2], axis=0).T)
    assert (speed >= 0.0).all() and (np.diff(rear_arc) >= 0.0).all()
    assert np.abs(np.diff(speed)).max() < 0.3  # no jump of more than 3 m/s²
    assert np.abs(np.diff(speed, 2)).max() / STEP_S**2 < 5.0  # jerk, where the acceleration jumps by 4 m/s²
    turning = np.diff(states[:, StateIndex.HEADING])
    assert np.abs(turning).max() <= 0.2 * np.maximum(moves, 1e-3).max()
    stands = (speed[:-1] == 0.0) & (speed[1:] == 0.0)
    assert (moves[stands] == 0.0).all() and (turning[stands] == 0.0).all()


def test_standing_is_standing_and_distance_is_kept() -> None:
    speeds = np.concatenate([np.full(100, 6.0), np.full(80, 0.01), np.full(150, 6.0)])
    arc = np.concatenate([[0.0], np.cumsum(speeds * STEP_S)])
    progress, speed = smooth_progress(arc, STEP_S, CONFIG)
    assert (speed[114:166] == 0.0).all()
    assert np.ptp(progress[114:166]) == 0.0
    assert abs(progress[-1] - arc[-1]) < 0.1  # creeping is caught up with


def test_path_rounds_corners_and_keeps_straights() -> None:
    corners = np.array([[0.0, 0.0], [60.0, 0.0], [60.0, 60.0]])
    path = make_path(drive_along(corners, np.full(150, 8.0)), 0.0, 20.0, CONFIG)
    np.testing.assert_allclose(path.place(np.array([20.0, 30.0])), [[20.0, 0.0], [30.0, 0.0]], atol=1e-9)
    assert np.abs(np.diff(path.headings)).max() < 0.11
    assert abs(path.heading(np.array([100.0]))[0] - np.pi / 2) < 1e-6


def test_rear_axle_is_moved_to_the_inside_of_a_bend() -> None:
    angles = np.linspace(0.0, np.pi, 400)
    circle = 20.0 * np.column_stack([np.sin(angles), 1.0 - np.cos(angles)])  # a left bend
    path = cut_bends(make_path(circle, 0.0, 15.0, CONFIG), CONFIG)
    radius = np.hypot(*(path.place(np.array([30.0])) - (0.0, 20.0)).T)[0]
    assert 20.0 - CONFIG.max_bend_shift - 0.15 < radius < 20.0 - 0.2


def test_bus_has_both_axles_on_the_path() -> None:
    angles = np.linspace(0.0, np.pi, 600)
    circle = 15.0 * np.column_stack([np.sin(angles), 1.0 - np.cos(angles)])
    states, _ = smooth_drive(circle, 0.0, 12.0, STEP_S, CONFIG, is_ego=False)
    radius = np.hypot(*(states[400, :2] - (0.0, 15.0)).T)
    assert 13.0 < radius < 15.0  # the middle of the box is inside the circle


def test_walker_keeps_looking_where_it_stands() -> None:
    speeds = np.concatenate([np.full(60, 1.3), np.zeros(80), np.full(60, 1.3)])
    points = drive_along(np.array([[0.0, 0.0], [7.8, 0.0], [7.8, 30.0]]), speeds)
    states = smooth_walk(points, 2.0, STEP_S, CONFIG)
    assert np.ptp(states[90:110, StateIndex.HEADING]) < 1e-9
    assert abs(states[0, StateIndex.HEADING]) < 1e-6
    assert abs(states[-1, StateIndex.HEADING] - np.pi / 2) < 1e-3
    assert np.abs(np.diff(states[:, StateIndex.HEADING])).max() < 0.5


def test_single_samples_are_taken() -> None:
    states, _ = smooth_drive(np.array([[3.0, 4.0]]), 0.0, 4.0, STEP_S, CONFIG, is_ego=False)
    assert states.shape == (1, 4) and states[0, StateIndex.SPEED] == 0.0
    assert smooth_walk(np.array([[3.0, 4.0]]), 1.0, STEP_S, CONFIG).shape == (1, 4)


def test_brake_lights() -> None:
    speed = np.concatenate([np.full(10, 5.0), np.linspace(5.0, 0.0, 25), np.zeros(10), np.linspace(0.0, 5.0, 30)])
    lit = find_braking(speed, STEP_S, CONFIG)
    assert not lit[:8].any() and lit[12:44].all() and not lit[48:].any()
