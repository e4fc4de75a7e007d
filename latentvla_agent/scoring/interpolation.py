"""A planned trajectory on the scorer's 10 Hz grid, with the devkit's rounding of time to whole microseconds."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import PoseIndex, TrajectorySampling
from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES, STEP_S, VehicleConfig
from latentvla_agent.scoring.kernels import compile_kernel, multiply_add
from latentvla_agent.scoring.state import FloatArray, settle


def scored_times_us(start_us: int) -> npt.NDArray[np.int64]:
    """The 41 sample times [us]. Seconds are truncated after a round trip through a double of about 1.6e9 s."""
    seconds = np.arange(NUM_STATES) * STEP_S + start_us * 1e-6
    return (seconds * 1e6).astype(np.int64)


def _planned_times_us(start_us: int, sampling: TrajectorySampling) -> npt.NDArray[np.int64]:
    steps = np.arange(sampling.num_poses) * sampling.interval_length + sampling.interval_length
    return np.concatenate([[start_us], ((steps + start_us * 1e-6) * 1e6).astype(np.int64)])


def interpolate_rows(times: npt.NDArray[np.int64], knots: npt.NDArray[np.int64], rows: FloatArray) -> FloatArray:
    """Interpolate rows (..., K, C) at ascending knots (K,) linearly to (..., T, C); outside the end rows are held."""
    clipped = np.clip(times, knots[0], knots[-1])
    upper = np.clip(np.searchsorted(knots, clipped), 1, len(knots) - 1)
    lower = upper - 1
    slope = (rows[..., upper, :] - rows[..., lower, :]) / (knots[upper] - knots[lower])[:, None]
    values: FloatArray = slope * (clipped - knots[lower])[:, None] + rows[..., lower, :]
    return values


def wrap_positive(angle: FloatArray) -> FloatArray:
    """Into [-pi, pi), as the devkit's interpolated trajectory gives its headings."""
    wrapped: FloatArray = (angle + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped


def interpolate_poses(
    times: npt.NDArray[np.int64], knots: npt.NDArray[np.int64], poses: FloatArray
) -> npt.NDArray[np.float64]:
    """Interpolate poses (..., K, 3), headings on the shorter way, to (..., T, 3)."""
    unwrapped = poses.copy()
    unwrapped[..., PoseIndex.HEADING] = np.unwrap(poses[..., PoseIndex.HEADING], axis=-1)
    result = interpolate_rows(times, knots, unwrapped)
    result[..., PoseIndex.HEADING] = wrap_positive(result[..., PoseIndex.HEADING])
    return result


@lru_cache(maxsize=4096)
def _find_knots(start_us: int, sampling: TrajectorySampling) -> Tuple[npt.NDArray[np.int64], FloatArray, FloatArray]:
    """For every scored time: the knot before it (0 is the ego pose), the time [us] since, and that between knots."""
    times, knots = scored_times_us(start_us), _planned_times_us(start_us, sampling)
    clipped = np.clip(times, knots[0], knots[-1])
    upper = np.clip(np.searchsorted(knots, clipped), 1, len(knots) - 1)
    lower = (upper - 1).astype(np.int64)
    return lower, (clipped - knots[lower]).astype(np.float64), (knots[upper] - knots[lower]).astype(np.float64)


def sample_trajectories(
    poses: FloatArray,
    sampling: TrajectorySampling,
    ego_pose: FloatArray,
    start_us: int,
    vehicle: VehicleConfig = DEFAULT_CONFIG.vehicle,
) -> FloatArray:
    """Planned poses (N, T, 3) in the ego frame -> global poses (N, 41, 3) at 0, 0.1 ... 4 s.

    The first pose is the ego pose. A plan shorter than 4 s stays at its last pose; what lies beyond is not scored.
    Behaviour of `navsim.evaluate.pdm_score.get_trajectory_as_array`, to the last bit.
    """
    sampled = np.empty((len(poses), NUM_STATES, len(PoseIndex)))
    local = np.ascontiguousarray(poses, dtype=np.float64)
    ego_pose = np.ascontiguousarray(ego_pose, dtype=np.float64)
    _sample(local, ego_pose, *_find_knots(start_us, sampling), vehicle.rear_axle_to_center, sampled)
    return sampled


@compile_kernel
def _sample(poses: Any, ego_pose: Any, lower: Any, elapsed: Any, spans: Any, shift: float, sampled: Any) -> None:
    """Global poses at the knots, then between them; headings go the shorter way."""
    knots = np.empty((poses.shape[1] + 1, 3))
    cos, sin = np.cos(ego_pose[2]), np.sin(ego_pose[2])
    for n in range(poses.shape[0]):
        knots[0] = ego_pose
        turns, before = 0.0, ego_pose[2]  # whole turns are summed up as numpy's unwrap does
        for i in range(poses.shape[1]):
            knot = knots[i + 1]
            _place(poses[n, i], ego_pose, cos, sin, knot)
            settle(knot, shift)
            turns += _shorten(knot[2] - before)
            before = knot[2]
            knot[2] += turns
        for t in range(sampled.shape[1]):
            low = lower[t]
            for c in range(3):
                slope = (knots[low + 1, c] - knots[low, c]) / spans[t]
                sampled[n, t, c] = slope * elapsed[t] + knots[low, c]
            sampled[n, t, 2] = (sampled[n, t, 2] + np.pi) % (2.0 * np.pi) - np.pi
            settle(sampled[n, t], shift)


@compile_kernel
def _place(pose: Any, origin: Any, cos: float, sin: float, placed: Any) -> None:
    """Bring a pose (3,) from the frame `origin` (3,), which looks to (cos, sin), into the map frame.

    The devkit multiplies matrices and takes the angle of the product
    (`nuplan.common.geometry.convert.relative_to_absolute_poses`). BLAS fuses multiplication and addition on every
    processor that can; the last bit of a heading depends on both.
    """
    local_cos, local_sin = np.cos(pose[2]), np.sin(pose[2])
    placed[0] = origin[0] + multiply_add(-sin, pose[1], cos * pose[0])
    placed[1] = origin[1] + multiply_add(cos, pose[1], sin * pose[0])
    placed[2] = np.arctan2(
        multiply_add(cos, local_sin, sin * local_cos), multiply_add(-sin, local_sin, cos * local_cos)
    )


@compile_kernel
def _shorten(turn: float) -> float:
    """What to add to a turn [rad] so that it goes the shorter way, rounded as by `numpy.unwrap`."""
    if np.abs(turn) < np.pi:
        return 0.0
    shorter = (turn + np.pi) % (2.0 * np.pi) - np.pi
    if shorter == -np.pi and turn > 0.0:
        shorter = np.pi
    return shorter - turn


def sample_reference(poses: FloatArray, start_us: int) -> FloatArray:
    """Reference poses (P, 3) at exactly 0.1 s steps -> (41, 3) on the scorer's grid."""
    knots = start_us + np.arange(len(poses), dtype=np.int64) * int(STEP_S * 1e6)
    return interpolate_poses(scored_times_us(start_us), knots, poses)
