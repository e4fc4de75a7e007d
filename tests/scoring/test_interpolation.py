"""A plan on the scorer's 10 Hz grid."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Sequence, Tuple

import numpy as np
import pytest

from latentvla_agent.data.scene import TrajectorySampling, to_global_frame
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES
from latentvla_agent.scoring.interpolation import (
    interpolate_poses,
    interpolate_rows,
    sample_reference,
    sample_trajectories,
    scored_times_us,
)
from tests.scoring.scenes import START_US

EGO = np.array([1000.0, 2000.0, 0.5])
HALF_SECONDS, TENTHS = TrajectorySampling(8, 0.5), TrajectorySampling(40, 0.1)


def straight_plan(sampling: TrajectorySampling, speed: float = 6.0) -> np.ndarray:
    poses = np.zeros((1, sampling.num_poses, 3))
    poses[0, :, 0] = speed * sampling.interval_length * np.arange(1, sampling.num_poses + 1)
    return poses


@pytest.mark.parametrize("sampling", [HALF_SECONDS, TENTHS])
def test_straight_plan_has_41_samples_from_the_ego_pose(sampling: TrajectorySampling) -> None:
    samples = sample_trajectories(straight_plan(sampling), sampling, EGO, START_US)
    expected = np.zeros((NUM_STATES, 3))
    expected[:, 0] = 0.6 * np.arange(NUM_STATES)
    assert samples.shape == (1, NUM_STATES, 3)
    np.testing.assert_allclose(samples[0, 0], EGO, rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(samples[0], to_global_frame(expected, EGO), rtol=0.0, atol=1e-5)


def test_knots_of_a_10_hz_plan_are_kept() -> None:
    poses = np.random.default_rng(0).normal(0.0, 0.3, (3, 40, 3)).cumsum(axis=1)
    samples = sample_trajectories(poses, TENTHS, EGO, START_US)
    expected = to_global_frame(poses, EGO)
    np.testing.assert_allclose(samples[:, 1:, :2], expected[..., :2], rtol=0.0, atol=2e-5)
    assert np.abs(np.sin(samples[:, 1:, 2] - expected[..., 2])).max() < 2e-5


def test_knots_of_a_2_hz_plan_are_met_every_fifth_sample() -> None:
    poses = np.random.default_rng(1).normal(0.0, 2.0, (1, 8, 3))
    samples = sample_trajectories(poses, HALF_SECONDS, EGO, START_US)
    np.testing.assert_allclose(samples[0, 5::5, :2], to_global_frame(poses, EGO)[0, :, :2], rtol=0.0, atol=2e-5)
    middle = (samples[0, 5, :2] + samples[0, 10, :2]) / 2.0
    np.testing.assert_allclose((samples[0, 7, :2] + samples[0, 8, :2]) / 2.0, middle, rtol=0.0, atol=2e-5)


@pytest.mark.parametrize("sampling", [HALF_SECONDS, TENTHS])
def test_samples_are_rounded_as_in_the_devkit(sampling: TrajectorySampling) -> None:
    """A fused product of matrices for each pose, numpy's unwrapping, and every pose kept as that of the box centre."""
    rng = np.random.default_rng(3)
    ego = np.array([600_123.4, 4_001_234.5, 3.0])
    poses = rng.normal(0.0, 0.5, (20, sampling.num_poses, 3)).cumsum(axis=1)
    samples = sample_trajectories(poses, sampling, ego, START_US)
    steps = np.arange(1, sampling.num_poses + 1) * sampling.interval_length
    knots = np.append(START_US, ((steps + START_US * 1e-6) * 1e6).astype(np.int64))
    for plan, sampled in zip(poses, samples):
        rows = np.array([ego, *(_keep_center(_place(pose, ego)) for pose in plan.tolist())])
        unsettled = interpolate_poses(scored_times_us(START_US), knots, rows)
        expected = np.array([_keep_center(pose) for pose in unsettled])
        assert np.array_equal(sampled, expected)


def _place(pose: Sequence[float], origin: Sequence[float]) -> Tuple[float, float, float]:
    """By exact products of the matrices' numbers, rounded once, in BLAS's order."""
    cos, sin = math.cos(origin[2]), math.sin(origin[2])
    columns = (pose[:2], (math.cos(pose[2]), math.sin(pose[2])))
    (x, y), (along, across) = [(_multiply_add(-sin, b, cos * a), _multiply_add(cos, b, sin * a)) for a, b in columns]
    return origin[0] + x, origin[1] + y, math.atan2(across, along)


def _multiply_add(a: float, b: float, c: float) -> float:
    return float(Fraction(a) * Fraction(b) + Fraction(c))


def _keep_center(pose: Sequence[float]) -> Tuple[float, float, float]:
    """A rear axle from the box centre from the rear axle."""
    shift, (x, y, heading) = DEFAULT_CONFIG.vehicle.rear_axle_to_center, pose
    forward, left = shift * math.cos(heading), shift * math.sin(heading)
    return (x + forward) - forward, (y + left) - left, heading


def test_headings_take_the_short_way_across_pi() -> None:
    knots = np.array([0, 1_000_000, 2_000_000])
    poses = np.zeros((1, 3, 3))
    poses[0, :, 2] = [3.0, -3.0, 3.0]
    headings = interpolate_poses(np.array([0, 500_000, 1_000_000, 1_500_000]), knots, poses)[0, :, 2]
    np.testing.assert_allclose(headings[[0, 2]], [3.0, -3.0], rtol=0.0, atol=1e-12)
    np.testing.assert_allclose(np.abs(headings[[1, 3]]), np.pi, rtol=0.0, atol=1e-12)
    assert (headings >= -np.pi).all() and (headings < np.pi).all()


def test_interpolation_leaves_its_input_alone() -> None:
    poses = np.zeros((1, 2, 3))
    poses[0, :, 2] = [3.0, -3.0]
    interpolate_poses(np.array([5]), np.array([0, 10]), poses)
    assert poses[0, :, 2].tolist() == [3.0, -3.0]


def test_a_plan_shorter_than_4_s_holds_its_last_pose() -> None:
    sampling = TrajectorySampling(4, 0.5)
    samples = sample_trajectories(straight_plan(sampling), sampling, EGO, START_US)[0]
    assert np.array_equal(samples[21:], np.repeat(samples[21:22], 20, axis=0))
    assert not np.array_equal(samples[19], samples[21])


def test_what_lies_beyond_4_s_is_not_scored() -> None:
    longer = straight_plan(TrajectorySampling(10, 0.5))
    changed = longer.copy()
    changed[0, 8:] += 50.0
    sampling = TrajectorySampling(10, 0.5)
    samples = [sample_trajectories(poses, sampling, EGO, START_US) for poses in (longer, changed)]
    assert np.array_equal(*samples)


@pytest.mark.parametrize("interval", [0.5, 1.0, 2.0])
def test_rows_are_held_outside_the_knots(interval: float) -> None:
    knots = (np.array([0.0, interval, 2.0 * interval]) * 1e6).astype(np.int64)
    rows = np.array([[1.0, 10.0], [2.0, 20.0], [4.0, 0.0]])
    values = interpolate_rows(np.array([-5, knots[2] + 5, knots[1], knots[1] // 2]), knots, rows)
    np.testing.assert_allclose(values, [[1.0, 10.0], [4.0, 0.0], [2.0, 20.0], [1.5, 15.0]])


def test_times_are_truncated_through_a_double_in_seconds() -> None:
    """Some samples lie a microsecond early, as in the devkit: int((i * 0.1 + start * 1e-6) * 1e6)."""
    late = 0
    for start in range(START_US, START_US + 20):
        times = scored_times_us(start)
        assert times.tolist() == [int((i * 0.1 + start * 1e-6) * 1e6) for i in range(NUM_STATES)]
        exact = start + 100_000 * np.arange(NUM_STATES)
        assert set((exact - times).tolist()) <= {0, 1}
        late += int((exact - times).sum())
    assert late > 0


def test_the_reference_is_sampled_on_the_same_grid() -> None:
    poses = np.zeros((51, 3))
    poses[:, 0] = 0.6 * np.arange(51)
    samples = sample_reference(poses, START_US)
    assert samples.shape == (NUM_STATES, 3)
    np.testing.assert_allclose(samples[:, 0], 0.6 * np.arange(NUM_STATES), rtol=0.0, atol=1e-5)
    early = START_US + 100_000 * np.arange(NUM_STATES) - scored_times_us(START_US)
    np.testing.assert_allclose(samples[1:, 0], poses[1:41, 0] - 6e-6 * early[1:], rtol=0.0, atol=1e-9)
