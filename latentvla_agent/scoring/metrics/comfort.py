"""C: accelerations, jerks and turning of the simulated rollout stay within nuPlan's comfort bounds."""

from __future__ import annotations

from functools import lru_cache
from typing import Tuple

import numpy as np

from latentvla_agent.scoring.config import NUM_STATES, STEP_S, ComfortConfig
from latentvla_agent.scoring.metrics.metric import MetricValues, Rollouts, find_first_step, values_of
from latentvla_agent.scoring.state import FloatArray, StateIndex

DECIMALS = 8  # the devkit rounds every filtered signal


@lru_cache(maxsize=16)
def filter_matrix(window: int, poly_order: int, derivative: int = 0) -> FloatArray:
    """Savitzky-Golay filter over the 41 states as a matrix (41, 41), applied as `signal @ matrix`."""
    from scipy.signal import savgol_filter  # imported late: scipy.signal alone takes a third of a second

    step = float(np.diff(np.arange(NUM_STATES) * STEP_S).mean())
    matrix: FloatArray = savgol_filter(np.eye(NUM_STATES), window, poly_order, deriv=derivative, delta=step, axis=-1)
    return matrix


def _filter(signal: FloatArray, window: int, poly_order: int = 2, derivative: int = 0) -> FloatArray:
    return np.round(signal @ filter_matrix(window, poly_order, derivative), DECIMALS)


def _unwrap(headings: FloatArray) -> FloatArray:
    turns = np.cumsum(np.round(np.diff(headings, axis=-1) / (2.0 * np.pi)), axis=-1)
    unwrapped = headings.copy()
    unwrapped[..., 1:] -= 2.0 * np.pi * turns
    return unwrapped


def score_comfort(rollouts: Rollouts, config: ComfortConfig) -> MetricValues:
    """1, or 0 where one of six signals leaves its open interval at any step (the windows are the devkit's)."""
    longitudinal = rollouts.states[..., StateIndex.ACCELERATION_X]
    lateral = rollouts.states[..., StateIndex.ACCELERATION_Y]
    yaw = _unwrap(rollouts.states[..., StateIndex.HEADING])
    smoothed, horizon = 8, NUM_STATES
    signals: Tuple[Tuple[FloatArray, float, float], ...] = (
        (_filter(longitudinal, horizon), config.min_lon_acceleration, config.max_lon_acceleration),
        (_filter(lateral, horizon), -config.max_lat_acceleration, config.max_lat_acceleration),
        (_jerk(np.hypot(longitudinal, lateral), smoothed), -config.max_jerk, config.max_jerk),
        (_jerk(longitudinal, smoothed), -config.max_lon_jerk, config.max_lon_jerk),
        (_filter(yaw, 5, 3, 2), -config.max_yaw_acceleration, config.max_yaw_acceleration),
        (_filter(yaw, 5, 2, 1), -config.max_yaw_rate, config.max_yaw_rate),
    )
    outside = np.zeros(yaw.shape, dtype=bool)
    for signal, low, high in signals:
        outside |= ~((signal > low) & (signal < high))
    return values_of(np.where(outside.any(axis=1), 0.0, 1.0), find_first_step(outside))


def _jerk(acceleration: FloatArray, window: int) -> FloatArray:
    return _filter(_filter(acceleration, window), NUM_STATES, 2, 1)
