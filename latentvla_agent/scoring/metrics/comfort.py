"""C and HC: accelerations, jerks and turning stay within nuPlan's bounds; EC: so does the change from plan to plan."""

from __future__ import annotations

from functools import lru_cache
from math import factorial
from typing import Any, Tuple

import numpy as np

from latentvla_agent.scoring.config import NUM_STATES, STEP_S, ComfortConfig
from latentvla_agent.scoring.kernels import NO_STEP, Comfort, Rollout, World, compile_kernel
from latentvla_agent.scoring.state import FloatArray, StateIndex
from latentvla_agent.scoring.versions import Rules

ROUNDING = 1e8  # the devkit rounds every filtered signal to eight decimals
BOUNDS_FILTER, SMOOTH, JERK, YAW_RATE, YAW_ACCELERATION = range(5)
SMOOTH_WINDOW, JERK_WINDOW, YAW_WINDOW = 8, 15, 5
HEADING, ACCELERATION_X = int(StateIndex.HEADING), int(StateIndex.ACCELERATION_X)
ACCELERATION_Y, ANGULAR_VELOCITY = int(StateIndex.ACCELERATION_Y), int(StateIndex.ANGULAR_VELOCITY)
ANGULAR_ACCELERATION = int(StateIndex.ANGULAR_ACCELERATION)


@lru_cache(maxsize=64)
def filter_matrix(length: int, window: int, poly_order: int, derivative: int = 0) -> FloatArray:
    """Savitzky-Golay filter over `length` states as a matrix, applied as `signal @ matrix`.

    Equals scipy's `savgol_filter` (a test says so), whose import takes longer than scoring a hundred scenes: a
    polynomial is fitted to a window of states and evaluated in its middle, near the ends where the state is. The middle
    of an even window lies between two states, which is what the devkit gets with its window of eight.
    """
    matrix = np.zeros((length, length))
    half = window // 2
    for i in range(length):
        start = min(max(i - (window - 1) // 2, 0), length - window)
        middle = (window - 1) / 2.0 if half <= i < length - half else i - start
        powers = np.vander((np.arange(window) - middle) * STEP_S, poly_order + 1, increasing=True)
        matrix[start : start + window, i] = np.linalg.pinv(powers)[derivative] * factorial(derivative)
    return matrix


@lru_cache(maxsize=16)
def comfort_filters(length: int, whole_window: bool) -> FloatArray:
    """The five filters (5, length, length). v1.1 filters bounds and jerk over the whole rollout, v2.2 over windows."""
    return np.stack(
        [
            filter_matrix(length, length if whole_window else SMOOTH_WINDOW, 2),
            filter_matrix(length, SMOOTH_WINDOW, 2),
            filter_matrix(length, length if whole_window else JERK_WINDOW, 2, 1),
            filter_matrix(length, YAW_WINDOW, 2, 1),
            filter_matrix(length, YAW_WINDOW, 3, 2),
        ]
    )


def make_comfort(history: FloatArray, config: ComfortConfig, rules: Rules) -> Comfort:
    """Filters and limits for rollouts with `history` (H, 11) in front; v1.1 uses none."""
    history = history if rules.history_comfort else history[:0]
    high = [config.max_lon_acceleration, config.max_lat_acceleration, config.max_jerk, config.max_lon_jerk]
    high += [config.max_yaw_acceleration, config.max_yaw_rate]
    low = [config.min_lon_acceleration] + [-bound for bound in high[1:]]
    filters = comfort_filters(len(history) + NUM_STATES, not rules.history_comfort)
    return Comfort(np.ascontiguousarray(history), filters, np.array(low), np.array(high))


@compile_kernel
def _filter(signal: Any, matrix: Any, out: Any) -> None:
    out[:] = 0.0
    for i in range(signal.shape[0]):
        for j in range(signal.shape[0]):
            out[j] += signal[i] * matrix[i, j]
    for j in range(signal.shape[0]):
        out[j] = np.rint(out[j] * ROUNDING) / ROUNDING


@compile_kernel
def _fill_signals(states: Any, history: Any, shift: float, signals: Any) -> None:
    """Longitudinal and lateral acceleration, its magnitude at the rear axle, and unwrapped heading, over time.

    v2.2 takes the accelerations at the box centre, `shift` ahead; the devkit adds turning to the longitudinal one.
    """
    turns, heading = 0.0, 0.0
    for t in range(signals.shape[1]):
        state = history[t] if t < history.shape[0] else states[t - history.shape[0]]
        turning = state[ANGULAR_VELOCITY] ** 2 + state[ANGULAR_ACCELERATION]
        signals[0, t] = state[ACCELERATION_X] + shift * turning
        signals[1, t] = state[ACCELERATION_Y]
        signals[2, t] = np.hypot(state[ACCELERATION_X], state[ACCELERATION_Y])
        if t > 0:
            turns += np.rint((state[HEADING] - heading) / (2.0 * np.pi))
        heading = state[HEADING]
        signals[3, t] = heading - 2.0 * np.pi * turns


@compile_kernel
def score_comfort(rollout: Rollout, world: World) -> Tuple[float, int]:
    """1, or 0 where one of six signals leaves its open interval at any step, those of the history included."""
    states, comfort, numbers = rollout.states, world.comfort, world.numbers
    length = comfort.history.shape[0] + states.shape[0]
    signals, smooth, out = np.empty((4, length)), np.empty(length), np.empty(length)
    shift = numbers.rear_axle_to_center if numbers.history_comfort else 0.0
    _fill_signals(states, comfort.history, shift, signals)
    first = length
    for bound in range(6):
        if bound < 2:
            _filter(signals[bound], comfort.filters[BOUNDS_FILTER], out)
        elif bound < 4:
            _filter(signals[2 if bound == 2 else 0], comfort.filters[SMOOTH], smooth)
            _filter(smooth, comfort.filters[JERK], out)
        else:
            _filter(signals[3], comfort.filters[YAW_ACCELERATION if bound == 4 else YAW_RATE], out)
        for t in range(min(first, length)):
            if not (out[t] > comfort.low[bound] and out[t] < comfort.high[bound]):
                first = t
                break
    if first == length:
        return 1.0, NO_STEP
    return 0.0, max(first - comfort.history.shape[0], 0)


def compare_plans(current: FloatArray, previous: FloatArray, interval_s: float, config: ComfortConfig) -> FloatArray:
    """EC (N,): 1 where the rollouts `current` (N, 41, 11) and those of the scene `interval_s` earlier agree.

    Compared where they overlap: RMS difference of acceleration, jerk, yaw rate and yaw acceleration.
    """
    shift = int(round(interval_s / STEP_S))
    length = NUM_STATES - shift
    differences = zip(_describe_motion(current[:, :length]), _describe_motion(previous[:, shift:]))
    limits = [config.two_frame_acceleration, config.two_frame_jerk]
    limits += [config.two_frame_yaw_rate, config.two_frame_yaw_acceleration]
    agrees = [np.sqrt(np.mean((a - b) ** 2, axis=1)) <= limit for (a, b), limit in zip(differences, limits)]
    return np.logical_and.reduce(agrees).astype(np.float64)


def _describe_motion(states: FloatArray) -> Tuple[FloatArray, ...]:
    """Smoothed acceleration and jerk (magnitudes), yaw rate and yaw acceleration of rollouts (N, T, 11)."""
    length = states.shape[1]
    magnitude = np.hypot(states[..., ACCELERATION_X], states[..., ACCELERATION_Y])
    acceleration = np.round(magnitude @ filter_matrix(length, SMOOTH_WINDOW, 2), 8)
    turns = np.cumsum(np.round(np.diff(states[..., HEADING], axis=-1) / (2.0 * np.pi)), axis=-1)
    yaw = states[..., HEADING].copy()
    yaw[..., 1:] -= 2.0 * np.pi * turns
    jerk = np.round(acceleration @ filter_matrix(length, JERK_WINDOW, 2, 1), 8)
    yaw_rate, yaw_acceleration = (np.round(yaw @ filter_matrix(length, YAW_WINDOW, 2, order), 8) for order in (1, 2))
    return acceleration, jerk, yaw_rate, yaw_acceleration
