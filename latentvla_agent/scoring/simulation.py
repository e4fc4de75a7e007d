"""Closed-loop rollout: an LQR tracker drives a kinematic bicycle along the planned poses (nuPlan's two stages).

The tracker first fits velocity and curvature profiles to the poses by regularised least squares. Written in the
velocities and curvatures themselves (not in their derivatives), the first problem has a constant matrix and the second
a tridiagonal one, so neither needs a general solver; the minimisers are the devkit's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from latentvla_agent.scoring.config import NUM_STATES, NUM_STEPS, STEP_S, ScoringConfig
from latentvla_agent.scoring.kernels import compile_kernel
from latentvla_agent.scoring.state import FloatArray, StateIndex

X, Y, HEADING = int(StateIndex.X), int(StateIndex.Y), int(StateIndex.HEADING)
VELOCITY_X = int(StateIndex.VELOCITY_X)
ACCELERATION_X = int(StateIndex.ACCELERATION_X)
STEERING_ANGLE, STEERING_RATE = int(StateIndex.STEERING_ANGLE), int(StateIndex.STEERING_RATE)
ANGULAR_VELOCITY = int(StateIndex.ANGULAR_VELOCITY)
ANGULAR_ACCELERATION = int(StateIndex.ANGULAR_ACCELERATION)
BICYCLE_STEP_S = 100_000 * 1e-6  # the motion model's step goes through whole microseconds


class Tracker(NamedTuple):
    """Numbers of the tracker and the bicycle, see `SimulationConfig`; `velocity_fit` (40, 40)."""

    velocity_fit: Any
    curvature_rate_penalty: float
    initial_curvature_penalty: float
    horizon: int
    speed_gain: float
    stopping_gain: float
    stopping_speed: float
    q_lateral: float
    q_heading: float
    r_rate: float
    wheel_base: float
    max_angle: float
    acceleration_share: float  # of the wanted change that one step of the first-order lag lets through
    steering_share: float


@lru_cache(maxsize=4)
def velocity_fit_matrix(jerk_penalty: float) -> FloatArray:
    """Matrix (40, 40) from displacements along the heading [m] to fitted velocities [m/s].

    Minimises sum (dt v_i - s_i)^2 + jerk_penalty * sum p_j^2. In nuPlan p is the jerk; NAVSIM's batched tracker
    overwrites half of its difference matrix, so p are the accelerations themselves, save for the last, which is the
    difference of the last two (measured on v1.1 and v2.2).
    """
    acceleration = np.diff(np.eye(NUM_STEPS), axis=0) / STEP_S
    penalised = np.vstack([acceleration[:-2], acceleration[-1] - acceleration[-2]])
    normal = STEP_S**2 * np.eye(NUM_STEPS) + jerk_penalty * penalised.T @ penalised
    matrix: FloatArray = np.linalg.inv(normal) * STEP_S
    return matrix


@compile_kernel
def _wrap(angle: float) -> float:
    return np.arctan2(np.sin(angle), np.cos(angle))


@compile_kernel
def _fit_curvature(poses: Any, velocity: Any, rate_penalty: float, initial_penalty: float, curvature: Any) -> None:
    """Minimise sum (dt v_i k_i - dheading_i)^2 + rate_penalty * sum rate_j^2 + initial_penalty * k_0^2.

    Thomas algorithm that carries the excess of each pivot over the coupling, a sum of positive terms: nothing cancels
    where the car stands and the matrix is all but singular.
    """
    coupling = rate_penalty / (STEP_S * STEP_S)
    pivots = np.empty(NUM_STEPS)
    excess, carried = initial_penalty, 0.0
    for i in range(NUM_STEPS):
        gain = STEP_S * velocity[i]
        excess += gain * gain
        curvature[i] = gain * _wrap(poses[i + 1, HEADING] - poses[i, HEADING]) + carried
        pivots[i] = excess + coupling if i < NUM_STEPS - 1 else excess
        share = coupling / pivots[i]
        carried = share * curvature[i]
        excess *= share
    curvature[NUM_STEPS - 1] /= pivots[NUM_STEPS - 1]
    for i in range(NUM_STEPS - 2, -1, -1):
        curvature[i] = (curvature[i] + coupling * curvature[i + 1]) / pivots[i]


@compile_kernel
def _fit_profiles(poses: Any, tracker: Tracker, velocity: Any, curvature: Any) -> None:
    """Velocity and curvature (40,) of poses (41, 3)."""
    along = np.empty(NUM_STEPS)
    for i in range(NUM_STEPS):
        heading = poses[i, HEADING]
        along[i] = (poses[i + 1, X] - poses[i, X]) * np.cos(heading) + (poses[i + 1, Y] - poses[i, Y]) * np.sin(heading)
    for i in range(NUM_STEPS):
        total = 0.0
        for j in range(NUM_STEPS):
            total += tracker.velocity_fit[i, j] * along[j]
        velocity[i] = total
    rate_penalty, initial_penalty = tracker.curvature_rate_penalty, tracker.initial_curvature_penalty
    _fit_curvature(poses, velocity, rate_penalty, initial_penalty, curvature)


@compile_kernel
def _steering_rate(state: Any, pose: Any, acceleration: float, curvature: Any, step: int, tracker: Tracker) -> float:
    """One-step LQR over the linearised lateral dynamics of the next `horizon` steps.

    The state is (lateral error, heading error, steering angle). Because the dynamics are upper triangular, the error
    without input and the effect of a constant steering rate need only two accumulators each.
    """
    wheel_base = tracker.wheel_base
    sin, cos = np.sin(pose[HEADING]), np.cos(pose[HEADING])
    lateral = -(state[X] - pose[X]) * sin + (state[Y] - pose[Y]) * cos
    heading = _wrap(state[HEADING] - pose[HEADING])
    steering = state[STEERING_ANGLE]
    input_lateral, input_heading, input_steering = 0.0, 0.0, 0.0
    for i in range(tracker.horizon):
        speed = state[VELOCITY_X] + i * STEP_S * acceleration
        reference = min(step + i, NUM_STEPS - 1)
        lateral += speed * STEP_S * heading
        heading += speed * STEP_S * (steering / wheel_base - curvature[reference])
        input_lateral += speed * STEP_S * input_heading
        input_heading += speed * STEP_S / wheel_base * input_steering
        input_steering += STEP_S
    heading = _wrap(heading)
    lateral_gain, heading_gain = input_lateral * tracker.q_lateral, input_heading * tracker.q_heading
    effort = input_lateral * lateral_gain + input_heading * heading_gain + tracker.r_rate
    return -(lateral_gain * lateral + heading_gain * heading) / effort


@compile_kernel
def _drive(state: Any, acceleration: float, steering_rate: float, tracker: Tracker, following: Any) -> None:
    """One Euler step of the bicycle with first-order lag on acceleration and steering."""
    dt, wheel_base, max_angle = BICYCLE_STEP_S, tracker.wheel_base, tracker.max_angle
    previous = state[ACCELERATION_X]
    acceleration = tracker.acceleration_share * (acceleration - previous) + previous
    rate = tracker.steering_share * steering_rate
    speed, heading, angle = state[VELOCITY_X], state[HEADING], state[STEERING_ANGLE]
    following[X] = state[X] + speed * np.cos(heading) * dt
    following[Y] = state[Y] + speed * np.sin(heading) * dt
    turned = heading + speed * np.tan(angle) / wheel_base * dt
    following[HEADING] = (turned + np.pi) % (2.0 * np.pi) - np.pi
    following[VELOCITY_X] = speed + acceleration * dt
    following[VELOCITY_X + 1] = 0.0
    following[ACCELERATION_X] = acceleration
    following[ACCELERATION_X + 1] = 0.0
    following[STEERING_ANGLE] = min(max(angle + rate * dt, -max_angle), max_angle)
    following[STEERING_RATE] = rate
    turning = following[VELOCITY_X] * np.tan(following[STEERING_ANGLE]) / wheel_base
    following[ANGULAR_ACCELERATION] = (turning - state[ANGULAR_VELOCITY]) / dt
    following[ANGULAR_VELOCITY] = turning


@compile_kernel
def simulate_rollout(poses: Any, start: Any, tracker: Tracker, states: Any) -> None:
    """Fill states (41, 11) with the rollout that tracks poses (41, 3) from the state `start` (11,)."""
    velocity, curvature = np.empty(NUM_STEPS), np.empty(NUM_STEPS)
    _fit_profiles(poses, tracker, velocity, curvature)
    states[0] = start
    for step in range(NUM_STEPS):
        state = states[step]
        reference = velocity[min(step + tracker.horizon, NUM_STEPS - 1)]
        error = state[VELOCITY_X] - reference
        if reference <= tracker.stopping_speed and state[VELOCITY_X] <= tracker.stopping_speed:
            acceleration, rate = -tracker.stopping_gain * error, 0.0
        else:
            acceleration = -tracker.speed_gain * error
            rate = _steering_rate(state, poses[step], acceleration, curvature, step, tracker)
        _drive(state, acceleration, rate, tracker, states[step + 1])


@compile_kernel
def _simulate(poses: Any, start: Any, tracker: Tracker, states: Any) -> None:
    for n in range(poses.shape[0]):
        simulate_rollout(poses[n], start, tracker, states[n])


def simulate(poses: FloatArray, start: FloatArray, config: ScoringConfig) -> FloatArray:
    """Track poses (N, 41, 3) at 10 Hz from the ego state `start` (11,): simulated states (N, 41, 11).

    Behaviour of NAVSIM's `PDMSimulator` (LQR tracker and kinematic bicycle, identical in v1.1 and v2.2).
    """
    states = np.empty((len(poses), NUM_STATES, len(StateIndex)))
    poses, start = (np.ascontiguousarray(array, dtype=np.float64) for array in (poses, start))
    _simulate(poses, start, make_tracker(config), states)
    return states


@lru_cache(maxsize=4)
def make_tracker(config: ScoringConfig) -> Tracker:
    """The numbers of tracker and bicycle, with what can be computed beforehand."""
    sim = config.simulation
    lookahead = sim.tracking_horizon * STEP_S
    return Tracker(
        velocity_fit=velocity_fit_matrix(sim.jerk_penalty),
        curvature_rate_penalty=sim.curvature_rate_penalty,
        initial_curvature_penalty=sim.initial_curvature_penalty,
        horizon=sim.tracking_horizon,
        speed_gain=lookahead * sim.q_velocity / (lookahead * sim.q_velocity * lookahead + sim.r_acceleration),
        stopping_gain=sim.stopping_gain,
        stopping_speed=sim.stopping_speed,
        q_lateral=sim.q_lateral_error,
        q_heading=sim.q_heading_error,
        r_rate=sim.r_steering_rate,
        wheel_base=config.vehicle.wheel_base,
        max_angle=sim.max_steering_angle,
        acceleration_share=BICYCLE_STEP_S / (BICYCLE_STEP_S + sim.acceleration_time_constant),
        steering_share=BICYCLE_STEP_S / (BICYCLE_STEP_S + sim.steering_time_constant),
    )
