"""C, HC and EC: the filters, each of the six bounds by itself, the driven history, and plans of two scenes."""

from __future__ import annotations

import dataclasses
from typing import Any, Dict, Optional, Tuple

import numpy as np
import pytest
from scipy.signal import savgol_filter

from latentvla_agent.scoring.config import DEFAULT_CONFIG, NUM_STATES, STEP_S, ComfortConfig
from latentvla_agent.scoring.kernels import NO_STEP
from latentvla_agent.scoring.metrics.comfort import compare_plans, filter_matrix, score_comfort
from latentvla_agent.scoring.state import FloatArray, StateIndex
from latentvla_agent.scoring.versions import V1, V2, Rules
from tests.scoring.scenes import VEHICLE, apply, build_world, drive_straight

TIME = STEP_S * np.arange(NUM_STATES)
WIDE = ComfortConfig(-1e9, 1e9, 1e9, 1e9, 1e9, 1e9, 1e9)  # nothing is uncomfortable
COMFORTABLE = (1.0, NO_STEP)
BOTH = pytest.mark.parametrize("rules", [V1, V2], ids=["v1", "v2"])


def make_states(**columns: Any) -> FloatArray:
    states = drive_straight(5.0)
    for name, values in columns.items():
        states[:, StateIndex[name]] = values
    return states


def score(
    states: FloatArray, rules: Rules = V1, config: ComfortConfig = ComfortConfig(), history: Optional[FloatArray] = None
) -> Tuple[float, int]:
    world = build_world(rules=rules, config=dataclasses.replace(DEFAULT_CONFIG, comfort=config), history=history)
    return apply(score_comfort, states, world)


@pytest.mark.parametrize("length", [36, 41, 55])
@pytest.mark.parametrize(("window", "order", "derivative"), [(0, 2, 0), (8, 2, 0), (0, 2, 1), (5, 3, 2), (15, 2, 1)])
def test_filter_matrix_equals_the_filter(length: int, window: int, order: int, derivative: int) -> None:
    """Window 0 is the whole signal."""
    window = window or length
    signals = np.random.default_rng(0).normal(size=(6, length)).cumsum(axis=1)
    expected = savgol_filter(signals, window, order, deriv=derivative, delta=STEP_S, axis=-1)
    filtered = signals @ filter_matrix(length, window, order, derivative)
    np.testing.assert_allclose(filtered, expected, rtol=0.0, atol=1e-9)


SIGNALS: Dict[str, FloatArray] = {
    "steady deceleration": make_states(ACCELERATION_X=np.full(NUM_STATES, -2.0)),
    "steady acceleration": make_states(ACCELERATION_X=np.full(NUM_STATES, 2.0)),
    "steady sideways": make_states(ACCELERATION_Y=np.full(NUM_STATES, -2.0)),
    "jerk": make_states(ACCELERATION_X=-2.0 * TIME),
    "total jerk": make_states(ACCELERATION_X=1.2 * TIME, ACCELERATION_Y=1.6 * TIME),
    "turning ever faster": make_states(HEADING=TIME**2),
    "turning": make_states(HEADING=-2.0 * TIME),
}


@BOTH
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
def test_each_bound_by_itself(signal: str, bound: str, sign: float, slack: float, rules: Rules) -> None:
    """Every signal has the value 2 (or -2) all the time, but for the jerks, whose even window bends the ends."""
    assert score(SIGNALS[signal], rules, WIDE) == COMFORTABLE
    for limit, value in ((2.0 + slack, 1.0), (2.0 - slack, 0.0)):
        found, step = score(SIGNALS[signal], rules, dataclasses.replace(WIDE, **{bound: sign * limit}))
        assert found == value, limit
        assert (step == NO_STEP) == (value == 1.0)


@BOTH
@pytest.mark.parametrize(
    ("column", "comfortable", "uncomfortable"),
    [
        ("ACCELERATION_X", 2.39, 2.41),
        ("ACCELERATION_X", -4.04, -4.06),
        ("ACCELERATION_Y", 4.88, 4.90),
        ("ACCELERATION_Y", -4.88, -4.90),
    ],
)
def test_nuplans_limits_of_acceleration(column: str, comfortable: float, uncomfortable: float, rules: Rules) -> None:
    values = [score(make_states(**{column: np.full(NUM_STATES, v)}), rules)[0] for v in (comfortable, uncomfortable)]
    assert values == [1.0, 0.0]


@BOTH
@pytest.mark.parametrize(("rate", "value"), [(0.94, 1.0), (-0.94, 1.0), (0.96, 0.0), (-0.96, 0.0)])
def test_nuplans_limit_of_turning_also_where_the_heading_wraps(rate: float, value: float, rules: Rules) -> None:
    heading = (np.sign(rate) * 3.0 + rate * TIME + np.pi) % (2.0 * np.pi) - np.pi
    assert np.abs(np.diff(heading)).max() > 6.0
    assert score(make_states(HEADING=heading), rules)[0] == value


@BOTH
def test_the_first_infraction_is_told(rules: Rules) -> None:
    """A sudden turn at 2 s."""
    value, step = score(make_states(HEADING=np.where(TIME < 2.0, 0.0, 0.5)), rules)
    assert value == 0.0 and 17 <= step <= 20


def test_v2_filters_over_windows_and_v1_over_all_of_the_rollout() -> None:
    """A short push of 5 m/s2 is lost in a parabola over four seconds, not in one over 0.8 s."""
    push = make_states(ACCELERATION_X=np.where(np.abs(TIME - 2.0) < 0.35, 5.0, 0.0))
    only_bound = dataclasses.replace(WIDE, max_lon_acceleration=2.4)
    assert score(push, V1, only_bound) == COMFORTABLE
    assert score(push, V2, only_bound)[0] == 0.0


@pytest.mark.parametrize("column", ["ANGULAR_VELOCITY", "ANGULAR_ACCELERATION"])
def test_v2_takes_the_longitudinal_acceleration_at_the_box_centre(column: str) -> None:
    """1.461 m ahead of the rear axle, turning adds 1.461 (w^2 + a) to it; v1.1 looks at the rear axle."""
    states = make_states(ACCELERATION_X=np.full(NUM_STATES, 1.0), **{column: np.ones(NUM_STATES)})
    for limit, value in ((2.462, 1.0), (2.460, 0.0)):
        config = dataclasses.replace(WIDE, max_lon_acceleration=limit)
        assert (score(states, V1, config)[0], score(states, V2, config)[0]) == (1.0, value)


def test_the_history_counts_in_v2_only() -> None:
    """The ego braked hard until 0.2 s before the scene; the plan is calm."""
    history = drive_straight(5.0)[:14]
    history[:, StateIndex.ACCELERATION_X] = -5.0
    calm = drive_straight(5.0)
    assert score(calm, V1, history=history) == COMFORTABLE == score(calm, V2)
    assert score(calm, V2, history=history) == (0.0, 0), "the step of an infraction in the history is that of the start"


def test_the_seam_of_history_and_plan_counts() -> None:
    """Each alone is comfortable; a jump of the heading between them is not."""
    history, turned = drive_straight(5.0)[:14], drive_straight(5.0, heading=0.5)
    assert score(turned, V2) == COMFORTABLE == score(drive_straight(5.0), V2, history=history)
    value, step = score(turned, V2, history=history)
    assert (value, step) == (0.0, 0)
    assert score(drive_straight(5.0, heading=-np.pi), V2, history=_turned_by(history, np.pi)) == COMFORTABLE


def _turned_by(history: FloatArray, angle: float) -> FloatArray:
    turned = history.copy()
    turned[:, StateIndex.HEADING] += angle
    return turned


def test_steps_are_counted_from_the_start_of_the_plan() -> None:
    states = make_states(HEADING=np.where(TIME < 2.0, 0.0, 0.5))
    assert score(states, V2, history=drive_straight(5.0)[:14]) == score(states, V2)


def judge_with_scipy(states: FloatArray, config: ComfortConfig, history: FloatArray, rules: Rules) -> bool:
    """The definition, with scipy's filters; every signal is rounded to eight decimals."""
    joined = np.concatenate([history, states]) if rules is V2 else states
    window = {"bound": 8, "jerk": 15} if rules is V2 else {"bound": len(joined), "jerk": len(joined)}
    shift = VEHICLE.rear_axle_to_center if rules is V2 else 0.0
    turning = joined[:, StateIndex.ANGULAR_VELOCITY] ** 2 + joined[:, StateIndex.ANGULAR_ACCELERATION]
    ax, ay = joined[:, StateIndex.ACCELERATION_X], joined[:, StateIndex.ACCELERATION_Y]
    heading = np.unwrap(joined[:, StateIndex.HEADING])

    def smooth(signal: FloatArray, length: int, order: int = 2, derivative: int = 0) -> Any:
        return np.round(savgol_filter(signal, length, order, deriv=derivative, delta=STEP_S), 8)

    lon = ax + shift * turning
    low_high = [
        (smooth(lon, window["bound"]), config.min_lon_acceleration, config.max_lon_acceleration),
        (smooth(ay, window["bound"]), -config.max_lat_acceleration, config.max_lat_acceleration),
        (smooth(smooth(np.hypot(ax, ay), 8), window["jerk"], 2, 1), -config.max_jerk, config.max_jerk),
        (smooth(smooth(lon, 8), window["jerk"], 2, 1), -config.max_lon_jerk, config.max_lon_jerk),
        (smooth(heading, 5, 3, 2), -config.max_yaw_acceleration, config.max_yaw_acceleration),
        (smooth(heading, 5, 2, 1), -config.max_yaw_rate, config.max_yaw_rate),
    ]
    return all(((signal > low) & (signal < high)).all() for signal, low, high in low_high)


def make_random_drive(rng: np.random.Generator, length: int, share: float) -> FloatArray:
    """Smooth random motion whose signals reach about `share` of the limits."""
    states = np.zeros((length, len(StateIndex)))

    def wave(top: float) -> FloatArray:
        phase, rate = rng.uniform(0.0, 2.0 * np.pi), rng.uniform(0.5, 3.0)
        values: FloatArray = share * top * rng.random() * np.sin(phase + rate * STEP_S * np.arange(length))
        return values

    states[:, StateIndex.ACCELERATION_X], states[:, StateIndex.ACCELERATION_Y] = wave(4.0), wave(5.0)
    states[:, StateIndex.ANGULAR_VELOCITY], states[:, StateIndex.ANGULAR_ACCELERATION] = wave(0.9), wave(1.0)
    heading = 3.0 + np.cumsum(wave(1.0)) * STEP_S
    states[:, StateIndex.HEADING] = (heading + np.pi) % (2.0 * np.pi) - np.pi
    return states


@BOTH
def test_random_drives_are_judged_as_with_scipy(rules: Rules) -> None:
    rng, verdicts = np.random.default_rng(7), []
    for share in np.repeat([0.6, 1.0, 1.4], 60):
        joined = make_random_drive(rng, 14 + NUM_STATES, share)
        history, states = joined[:14].copy(), joined[14:].copy()
        expected = judge_with_scipy(states, ComfortConfig(), history, rules)
        assert score(states, rules, history=history)[0] == float(expected)
        verdicts.append(expected)
    assert 30 < sum(verdicts) < 150


HALF_SECOND = 5  # steps


def shift_back(states: FloatArray) -> FloatArray:
    """The rollout half a second earlier that agrees with `states` (41, 11) wherever they overlap."""
    return np.concatenate([np.repeat(states[:1], HALF_SECOND, axis=0), states[:-HALF_SECOND]])


def compare(current: FloatArray, previous: FloatArray, interval_s: float = 0.5) -> float:
    found = compare_plans(current[None], previous[None], interval_s, ComfortConfig())
    assert found.shape == (1,)
    return float(found[0])


def test_a_plan_that_goes_on_agrees() -> None:
    states = make_states(ACCELERATION_X=np.sin(TIME), HEADING=np.sin(3.0 * TIME))
    assert compare(states, shift_back(states)) == 1.0
    assert compare(states, states) == 0.0, "not shifted"


@pytest.mark.parametrize("interval_s", [0.496, 0.504])
def test_the_interval_is_rounded_to_whole_steps(interval_s: float) -> None:
    states = make_states(ACCELERATION_X=np.sin(TIME), HEADING=np.sin(3.0 * TIME))
    assert compare(states, shift_back(states), interval_s) == 1.0


@pytest.mark.parametrize(("difference", "value"), [(0.69, 1.0), (-0.69, 1.0), (0.71, 0.0), (-0.71, 0.0)])
def test_accelerations_may_differ_by_0_7(difference: float, value: float) -> None:
    current, previous = (make_states(ACCELERATION_X=np.full(NUM_STATES, a)) for a in (1.0 + difference, 1.0))
    assert compare(current, previous) == value


def test_what_is_compared_is_the_magnitude_of_the_acceleration() -> None:
    current, previous = (make_states(ACCELERATION_X=np.full(NUM_STATES, a)) for a in (2.0, -2.0))
    assert compare(current, previous) == 1.0


@pytest.mark.parametrize(("difference", "value"), [(0.49, 1.0), (0.51, 0.0)])
def test_jerks_may_differ_by_0_5(difference: float, value: float) -> None:
    """Around the middle of the overlap, so that the accelerations differ by less than 0.7."""
    middle = TIME[36] / 2.0
    previous, current = (make_states(ACCELERATION_X=10.0 + d * (TIME - middle)) for d in (0.0, difference))
    previous[:] = shift_back(previous)
    assert compare(current, previous) == value


@pytest.mark.parametrize(("difference", "value"), [(0.099, 1.0), (0.101, 0.0)])
def test_yaw_rates_may_differ_by_0_1(difference: float, value: float) -> None:
    """Turning on across pi."""
    wrapped = [(3.0 + rate * TIME + np.pi) % (2.0 * np.pi) - np.pi for rate in (0.5 + difference, 0.5)]
    current, previous = (make_states(HEADING=heading) for heading in wrapped)
    assert compare(current, previous) == value


@pytest.mark.parametrize(("difference", "value"), [(0.09, 1.0), (0.12, 0.0)])
def test_yaw_accelerations_may_differ_by_0_1(difference: float, value: float) -> None:
    """A sine of that root mean square; the yaw rates differ by a third of it. The filter flattens it a little."""
    heading = difference * np.sqrt(2.0) / 9.0 * np.sin(3.0 * TIME)
    assert compare(make_states(HEADING=heading), drive_straight(5.0)) == value


@pytest.mark.parametrize("seed", range(5))
def test_plans_are_compared_as_with_scipy(seed: int) -> None:
    rng, config = np.random.default_rng(seed), ComfortConfig()
    current = np.stack([make_random_drive(rng, NUM_STATES, 0.3) for _ in range(40)])
    previous = np.stack([shift_back(states) for states in current])
    previous += np.stack(
        [
            make_random_drive(rng, NUM_STATES, share) * [0, 0, 1e-3, 0, 0, 1, 1, 0, 0, 0, 0]
            for share in np.linspace(0.0, 0.3, 40)
        ]
    )
    found = compare_plans(current, previous, 0.5, config)
    for n in range(40):
        a, b = (_describe(states) for states in (current[n, :36], previous[n, 5:]))
        limits = [config.two_frame_acceleration, config.two_frame_jerk]
        limits += [config.two_frame_yaw_rate, config.two_frame_yaw_acceleration]
        agrees = all(np.sqrt(np.mean((x - y) ** 2)) <= limit for x, y, limit in zip(a, b, limits))
        assert found[n] == float(agrees)
        assert compare(current[n], previous[n]) == found[n], "one by one"
    assert 0 < found.sum() < 40


def _describe(states: FloatArray) -> Tuple[Any, ...]:
    magnitude = np.hypot(states[:, StateIndex.ACCELERATION_X], states[:, StateIndex.ACCELERATION_Y])
    heading = np.unwrap(states[:, StateIndex.HEADING])
    acceleration = savgol_filter(magnitude, 8, 2)
    return (
        acceleration,
        savgol_filter(acceleration, 15, 2, deriv=1, delta=STEP_S),
        savgol_filter(heading, 5, 2, deriv=1, delta=STEP_S),
        savgol_filter(heading, 5, 2, deriv=2, delta=STEP_S),
    )
