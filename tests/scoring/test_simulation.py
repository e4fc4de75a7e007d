"""The closed-loop rollout: fitted profiles, the simplest drives, independence of the batch, official states."""

from __future__ import annotations

from typing import Dict

import numpy as np
import pytest

from latentvla_agent.data.scene import Scene, TrajectorySampling
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES, NUM_STEPS, STEP_S
from latentvla_agent.scoring.interpolation import sample_trajectories
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.simulation import _fit_curvature, simulate, velocity_fit_matrix
from latentvla_agent.scoring.state import FloatArray, StateIndex
from tests.scoring.golden import SHARED, read_cases
from tests.scoring.scenes import drive_straight

SIM = DEFAULT_CONFIG.simulation
# Columns: the first value, then its 39 rates of change; times it gives the 40 values.
INTEGRATE = np.column_stack([np.ones(NUM_STEPS), np.tril(np.ones((NUM_STEPS, NUM_STEPS - 1)), -1) * STEP_S])


def make_poses(rng: np.random.Generator, count: int) -> FloatArray:
    """Winding drives of 2 to 12 m/s."""
    speed = rng.uniform(2.0, 12.0, (count, 1)) + np.cumsum(rng.normal(0.0, 0.1, (count, NUM_STEPS)), axis=1)
    heading = np.cumsum(rng.normal(0.0, 0.02, (count, NUM_STATES)), axis=1)
    poses = np.zeros((count, NUM_STATES, 3))
    poses[:, 1:, 0] = np.cumsum(speed * STEP_S * np.cos(heading[:, :-1]), axis=1)
    poses[:, 1:, 1] = np.cumsum(speed * STEP_S * np.sin(heading[:, :-1]), axis=1)
    poses[..., 2] = heading
    return poses


def test_velocity_fit_solves_the_dense_least_squares() -> None:
    """Unknowns are the first velocity and the 39 accelerations; of the penalty rows only the last is a difference."""
    penalty = np.zeros((NUM_STEPS - 2, NUM_STEPS))
    for row in range(NUM_STEPS - 3):
        penalty[row, 1 + row] = 1.0
    penalty[-1, -2:] = -1.0, 1.0
    displacements = np.random.default_rng(1).uniform(0.0, 1.5, NUM_STEPS)
    matrix = np.vstack([STEP_S * INTEGRATE, np.sqrt(SIM.jerk_penalty) * penalty])
    solution = np.linalg.lstsq(matrix, np.append(displacements, np.zeros(len(penalty))), rcond=None)[0]
    fitted = velocity_fit_matrix(SIM.jerk_penalty) @ displacements
    np.testing.assert_allclose(fitted, INTEGRATE @ solution, rtol=0.0, atol=1e-9)


def test_constant_displacements_are_fitted_exactly() -> None:
    fitted = velocity_fit_matrix(SIM.jerk_penalty) @ np.full(NUM_STEPS, 0.8)
    np.testing.assert_allclose(fitted, 8.0, rtol=0.0, atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_curvature_fit_solves_the_dense_least_squares(seed: int) -> None:
    """Unknowns are the first curvature and its 39 rates; heading steps are taken on the shorter way round."""
    rng = np.random.default_rng(seed)
    velocity = rng.uniform(0.5, 10.0, NUM_STEPS)
    steps = rng.normal(0.0, 0.05, NUM_STEPS)
    poses = np.zeros((NUM_STATES, 3))
    poses[:, 2] = 3.1 + np.concatenate([[0.0], np.cumsum(steps)])
    poses[:, 2] = np.arctan2(np.sin(poses[:, 2]), np.cos(poses[:, 2]))
    curvature = np.empty(NUM_STEPS)
    _fit_curvature(poses, velocity, SIM.curvature_rate_penalty, SIM.initial_curvature_penalty, curvature)
    penalties = np.full(NUM_STEPS, SIM.curvature_rate_penalty)
    penalties[0] = SIM.initial_curvature_penalty
    matrix = np.vstack([STEP_S * velocity[:, None] * INTEGRATE, np.diag(np.sqrt(penalties))])
    solution = np.linalg.lstsq(matrix, np.append(steps, np.zeros(NUM_STEPS)), rcond=None)[0]
    np.testing.assert_allclose(curvature, INTEGRATE @ solution, rtol=0.0, atol=1e-9)


def test_curvature_of_a_standing_car_is_finite_and_small() -> None:
    curvature = np.full(NUM_STEPS, np.nan)
    rates = SIM.curvature_rate_penalty, SIM.initial_curvature_penalty
    _fit_curvature(np.zeros((NUM_STATES, 3)), np.zeros(NUM_STEPS), *rates, curvature)
    assert np.array_equal(curvature, np.zeros(NUM_STEPS))


@pytest.mark.parametrize("heading", [0.0, 0.7, -2.9])
def test_straight_constant_speed_stays_so(heading: float) -> None:
    expected = drive_straight(8.0, x=600_000.0, y=4_000_000.0, heading=heading)
    states = simulate(expected[None, :, :3], expected[0], DEFAULT_CONFIG)
    np.testing.assert_allclose(states[0], expected, rtol=0.0, atol=1e-5)


def test_standing_stays_standing() -> None:
    expected = drive_straight(0.0, x=10.0, y=20.0, heading=1.0)
    states = simulate(expected[None, :, :3], expected[0], DEFAULT_CONFIG)
    np.testing.assert_array_equal(states[0], expected)


def test_a_faster_plan_is_caught_up_with_smoothly() -> None:
    states = simulate(drive_straight(10.0)[None, :, :3], drive_straight(5.0)[0], DEFAULT_CONFIG)[0]
    speed = states[:, StateIndex.VELOCITY_X]
    assert speed[0] == 5.0 and speed[-1] == pytest.approx(10.0, abs=0.2)
    assert states[0, StateIndex.ACCELERATION_X] == 0.0 and np.diff(speed).max() < 5.0 * STEP_S
    np.testing.assert_allclose(states[:, StateIndex.Y], 0.0, atol=1e-9)


def test_a_plan_to_the_left_is_steered_to() -> None:
    states = simulate(drive_straight(8.0, y=1.0)[None, :, :3], drive_straight(8.0)[0], DEFAULT_CONFIG)[0]
    assert states[-1, StateIndex.Y] == pytest.approx(1.0, abs=0.2)
    assert states[5, StateIndex.STEERING_ANGLE] > 0.0


def test_steering_is_limited() -> None:
    poses = drive_straight(3.0)[None, :, :3].copy()
    poses[0, :, 2] = np.linspace(0.0, 30.0, NUM_STATES)
    angles = simulate(poses, drive_straight(3.0)[0], DEFAULT_CONFIG)[0, :, StateIndex.STEERING_ANGLE]
    assert np.abs(angles).max() == SIM.max_steering_angle


@pytest.mark.parametrize("count", [2, 7, 64])
def test_batch_equals_single_in_any_order(count: int) -> None:
    poses, start = (make_poses(np.random.default_rng(count), count), drive_straight(6.0)[0])
    batch = simulate(poses, start, DEFAULT_CONFIG)
    order = np.random.default_rng(0).permutation(count)
    assert np.array_equal(simulate(poses[order], start, DEFAULT_CONFIG), batch[order])
    for n in range(count):
        assert np.array_equal(simulate(poses[n : n + 1], start, DEFAULT_CONFIG)[0], batch[n])


def test_states_equal_the_official_ones(
    embedded_scenes: Dict[str, Scene], embedded_caches: Dict[str, MetricCache]
) -> None:
    folder = SHARED / "golden" / "dev"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: the full golden sets are not shipped with the repository")
    cases = {f"{case['token']}/{case['name']}": case for case in read_cases(folder / "golden.json.gz")}
    compared = 0
    with np.load(folder / "simulated.npz") as official:
        for key in official.files:
            if key not in cases or cases[key]["token"] not in embedded_scenes:
                continue
            case, cache = cases[key], embedded_caches[cases[key]["token"]]
            sampling = TrajectorySampling(case["sampling"]["num_poses"], case["sampling"]["interval"])
            poses = sample_trajectories(np.array(case["poses"])[None], sampling, cache.start[:3], cache.timestamp)
            states = simulate(poses, cache.start, DEFAULT_CONFIG)[0]
            difference = states - official[key]
            difference[:, 2] = (difference[:, 2] + np.pi) % (2.0 * np.pi) - np.pi
            # The last bits of a position, and what the devkit's fits by LAPACK are uncertain by.
            np.testing.assert_allclose(difference, 0.0, rtol=0.0, atol=3e-9, err_msg=key)
            assert np.abs(difference[:, 2]).max() < 1e-11, key
            compared += 1
    assert compared >= 20
