"""A planned trajectory on the scorer's 10 Hz grid, with the devkit's rounding of time to whole microseconds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import PoseIndex, TrajectorySampling, to_global_frame
from latentvla_agent.scoring.config import NUM_STATES, STEP_S
from latentvla_agent.scoring.state import FloatArray


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


def sample_trajectories(
    poses: FloatArray, sampling: TrajectorySampling, ego_pose: FloatArray, start_us: int
) -> FloatArray:
    """Planned poses (N, T, 3) in the ego frame -> global poses (N, 41, 3) at 0, 0.1 ... 4 s.

    The first pose is the ego pose. A plan shorter than 4 s stays at its last pose; what lies beyond is not scored.
    Behaviour of `navsim.evaluate.pdm_score.get_trajectory_as_array`.
    """
    planned = to_global_frame(np.asarray(poses, dtype=np.float64), ego_pose)
    current = np.broadcast_to(np.asarray(ego_pose, dtype=np.float64), (len(planned), 1, len(PoseIndex)))
    knots = _planned_times_us(start_us, sampling)
    return interpolate_poses(scored_times_us(start_us), knots, np.concatenate([current, planned], axis=1))


def sample_reference(poses: FloatArray, start_us: int) -> FloatArray:
    """Reference poses (P, 3) at exactly 0.1 s steps -> (41, 3) on the scorer's grid."""
    knots = start_us + np.arange(len(poses), dtype=np.int64) * int(STEP_S * 1e6)
    return interpolate_poses(scored_times_us(start_us), knots, poses)
