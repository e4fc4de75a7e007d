"""C: the filters, and each of the six bounds by itself."""

from __future__ import annotations

import dataclasses
from typing import Dict

import numpy as np
import pytest
from scipy.signal import savgol_filter

from latentvla_agent.scoring.config import NUM_STATES, STEP_S, ComfortConfig
from latentvla_agent.scoring.metrics.comfort import filter_matrix, score_comfort
from latentvla_agent.scoring.metrics.metric import NO_STEP, find_first_step
from latentvla_agent.scoring.state import FloatArray, StateIndex
from tests.scoring.scenes import drive_straight, roll_out

TIME = STEP_S * np.arange(NUM_STATES)
WIDE = ComfortConfig(-1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9)  # nothing is uncomfortable


def make_states(**columns: FloatArray) -> FloatArray:
    states = drive_straight(5.0)
    for name, values in columns.items():
        states[:, StateIndex[name]] = values
    return states


@pytest.mark.parametrize(("window", "order", "derivative"), [(41, 2, 0), (8, 2, 0), (41, 2, 1), (5, 3, 2), (5, 2, 1)])
def test_filter_matrix_equals_the_filter(window: int, order: int, derivative: int) -> None:
    signals = np.random.default_rng(0).normal(size=(6, NUM_STATES)).cumsum(axis=1)
    expected = savgol_filter(signals, window, order, deriv=derivative, delta=STEP_S, axis=-1)
    np.testing.assert_allclose(signals @ filter_matrix(window, order, derivative), expected, rtol=0.0, atol=1e-9)


SIGNALS: Dict[str, FloatArray] = {
    "steady deceleration": make_states(ACCELERATION_X=np.full(NUM_STATES, -2.0)),
    "steady acceleration": make_states(ACCELERATION_X=np.full(NUM_STATES, 2.0)),
    "steady sideways": make_states(ACCELERATION_Y=np.full(NUM_STATES, -2.0)),
    "jerk": make_states(ACCELERATION_X=-2.0 * TIME),
    "total jerk": make_states(ACCELERATION_X=1.2 * TIME, ACCELERATION_Y=1.6 * TIME),
    "turning ever faster": make_states(HEADING=TIME**2),
    "turning": make_states(HEADING=-2.0 * TIME),
}


@pytest.mark.parametrize(
    ("signal", "bound", "sign", "slack"),
    [
        ("steady deceleration", "min_lon_acceleration", -1.0, 1e-6),
        ("steady acceleration", "max_lon_acceleration", 1.0, 1e-6),
        ("steady sideways", "max_lat_acceleration", 1.0, 1e-6),
        ("total jerk", "max_jerk", 1.0, 0.3),
        ("jerk", "max_lon_jerk", 1.0, 0.3),
        ("turning ever faster", "max_yaw_acceleration", 1.0, 1e-6),
        ("turning", "max_yaw_rate", 1.0, 1e-6),
    ],
)
def test_each_bound_by_itself(signal: str, bound: str, sign: float, slack: float) -> None:
    """Every signal has the value 2 (or -2) all the time, but for the jerks, whose even window bends the ends."""
    rollouts = roll_out(SIGNALS[signal])
    assert score_comfort(rollouts, WIDE).value.tolist() == [1.0]
    for limit, value in ((2.0 + slack, 1.0), (2.0 - slack, 0.0)):
        values = score_comfort(rollouts, dataclasses.replace(WIDE, **{bound: sign * limit}))
        assert values.value.tolist() == [value], limit
        assert (values.first_step[0] == NO_STEP) == (value == 1.0)


@pytest.mark.parametrize(
    ("column", "comfortable", "uncomfortable"),
    [
        ("ACCELERATION_X", 2.39, 2.41),
        ("ACCELERATION_X", -4.04, -4.06),
        ("ACCELERATION_Y", 4.88, 4.90),
        ("ACCELERATION_Y", -4.88, -4.90),
    ],
)
def test_nuplans_limits_of_acceleration(column: str, comfortable: float, uncomfortable: float) -> None:
    states = [make_states(**{column: np.full(NUM_STATES, value)}) for value in (comfortable, uncomfortable)]
    assert score_comfort(roll_out(*states), ComfortConfig()).value.tolist() == [1.0, 0.0]


@pytest.mark.parametrize(("rate", "value"), [(0.94, 1.0), (-0.94, 1.0), (0.96, 0.0), (-0.96, 0.0)])
def test_nuplans_limit_of_turning_also_where_the_heading_wraps(rate: float, value: float) -> None:
    heading = (3.0 + rate * TIME + np.pi) % (2.0 * np.pi) - np.pi
    assert np.abs(np.diff(heading)).max() > 6.0 or rate < 0.0
    assert score_comfort(roll_out(make_states(HEADING=heading)), ComfortConfig()).value.tolist() == [value]


def test_the_first_infraction_is_told() -> None:
    """A sudden turn at 2 s."""
    heading = np.where(TIME < 2.0, 0.0, 0.5)
    values = score_comfort(roll_out(make_states(HEADING=heading), drive_straight(5.0)), ComfortConfig())
    assert values.value.tolist() == [0.0, 1.0] and values.valid.all()
    assert 17 <= values.first_step[0] <= 20 and values.first_step[1] == NO_STEP


def test_first_steps_of_flags() -> None:
    flags = np.array([[False, True, True], [False, False, False], [True, False, False]])
    assert find_first_step(flags).tolist() == [1, NO_STEP, 0]
