"""Closed-loop rollout: an LQR tracker drives a kinematic bicycle along the planned poses (nuPlan's two stages).

The tracker first fits velocity and curvature profiles to the poses by regularised least squares. Written in the
velocities and curvatures themselves (not in their derivatives), the first problem has a constant matrix and the second
a tridiagonal one, so neither needs a general solver; the minimisers are the devkit's.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numba
import numpy as np

from latentvla_agent.scoring.config import NUM_STATES, NUM_STEPS, STEP_S, ScoringConfig, SimulationConfig
from latentvla_agent.scoring.state import FloatArray, StateIndex

X, Y, HEADING = int(StateIndex.X), int(StateIndex.Y), int(StateIndex.HEADING)
VELOCITY_X = int(StateIndex.VELOCITY_X)
ACCELERATION_X = int(StateIndex.ACCELERATION_X)
STEERING_ANGLE, STEERING_RATE = int(StateIndex.STEERING_ANGLE), int(StateIndex.STEERING_RATE)
ANGULAR_VELOCITY = int(StateIndex.ANGULAR_VELOCITY)
ANGULAR_ACCELERATION = int(StateIndex.ANGULAR_ACCELERATION)
BICYCLE_STEP_S = 100_000 * 1e-6  # the motion model's step goes through whole microseconds


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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _wrap(angle: float) -> float:
    return np.arctan2(np.sin(angle), np.cos(angle))


@numba.njit(cache=True, nogil=True, error_model="numpy")
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _fit_profiles(
    poses: Any, fit: Any, rate_penalty: float, initial_penalty: float, velocity: Any, curvature: Any
) -> None:
    """Velocity and curvature (40,) of poses (41, 3)."""
    along = np.empty(NUM_STEPS)
    for i in range(NUM_STEPS):
        heading = poses[i, HEADING]
        along[i] = (poses[i + 1, X] - poses[i, X]) * np.cos(heading) + (poses[i + 1, Y] - poses[i, Y]) * np.sin(heading)
    for i in range(NUM_STEPS):
        total = 0.0
        for j in range(NUM_STEPS):
            total += fit[i, j] * along[j]
        velocity[i] = total
    _fit_curvature(poses, velocity, rate_penalty, initial_penalty, curvature)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _steering_rate(state: Any, pose: Any, acceleration: float, curvature: Any, step: int, gains: Any) -> float:
    """One-step LQR over the linearised lateral dynamics of the next `horizon` steps.

    The state is (lateral error, heading error, steering angle). Because the dynamics are upper triangular, the error
    without input and the effect of a constant steering rate need only two accumulators each.
    """
    horizon, wheel_base = int(gains[0]), gains[1]
    sin, cos = np.sin(pose[HEADING]), np.cos(pose[HEADING])
    lateral = -(state[X] - pose[X]) * sin + (state[Y] - pose[Y]) * cos
    heading = _wrap(state[HEADING] - pose[HEADING])
    steering = state[STEERING_ANGLE]
    input_lateral, input_heading, input_steering = 0.0, 0.0, 0.0
    for i in range(horizon):
        speed = state[VELOCITY_X] + i * STEP_S * acceleration
        reference = min(step + i, NUM_STEPS - 1)
        lateral += speed * STEP_S * heading
        heading += speed * STEP_S * (steering / wheel_base - curvature[reference])
        input_lateral += speed * STEP_S * input_heading
        input_heading += speed * STEP_S / wheel_base * input_steering
        input_steering += STEP_S
    heading = _wrap(heading)
    q_lateral, q_heading, r_rate = gains[2], gains[3], gains[4]
    numerator = input_lateral * q_lateral * lateral + input_heading * q_heading * heading
    return -numerator / (input_lateral**2 * q_lateral + input_heading**2 * q_heading + r_rate)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _drive(state: Any, acceleration: float, steering_rate: float, bicycle: Any, following: Any) -> None:
    """One Euler step of the bicycle with first-order lag on acceleration and steering."""
    dt, wheel_base, max_angle, lag_acceleration, lag_steering = bicycle
    previous = state[ACCELERATION_X]
    acceleration = dt / (dt + lag_acceleration) * (acceleration - previous) + previous
    rate = dt / (dt + lag_steering) * (dt * steering_rate) / dt
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


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _simulate(poses: Any, start: Any, fit: Any, penalties: Any, speed_gains: Any, gains: Any, bicycle: Any) -> Any:
    states = np.empty((poses.shape[0], NUM_STATES, start.shape[0]))
    velocity, curvature = np.empty(NUM_STEPS), np.empty(NUM_STEPS)
    horizon = int(gains[0])
    speed_gain, stopping_gain, stopping_speed = speed_gains
    for n in range(poses.shape[0]):
        _fit_profiles(poses[n], fit, penalties[0], penalties[1], velocity, curvature)
        states[n, 0] = start
        for step in range(NUM_STEPS):
            state = states[n, step]
            error = state[VELOCITY_X] - velocity[min(step + horizon, NUM_STEPS - 1)]
            reference = velocity[min(step + horizon, NUM_STEPS - 1)]
            if reference <= stopping_speed and state[VELOCITY_X] <= stopping_speed:
                acceleration, rate = -stopping_gain * error, 0.0
            else:
                acceleration = -speed_gain * error
                rate = _steering_rate(state, poses[n, step], acceleration, curvature, step, gains)
            _drive(state, acceleration, rate, bicycle, states[n, step + 1])
    return states


def simulate(poses: FloatArray, start: FloatArray, config: ScoringConfig) -> FloatArray:
    """Track poses (N, 41, 3) at 10 Hz from the ego state `start` (11,): simulated states (N, 41, 11).

    Behaviour of NAVSIM's `PDMSimulator` (LQR tracker and kinematic bicycle, identical in v1.1 and v2.2).
    """
    sim = config.simulation
    lookahead = sim.tracking_horizon * STEP_S
    speed_gain = lookahead * sim.q_velocity / (lookahead * sim.q_velocity * lookahead + sim.r_acceleration)
    states: FloatArray = _simulate(
        np.ascontiguousarray(poses, dtype=np.float64),
        np.ascontiguousarray(start, dtype=np.float64),
        velocity_fit_matrix(sim.jerk_penalty),
        (sim.curvature_rate_penalty, sim.initial_curvature_penalty),
        (speed_gain, sim.stopping_gain, sim.stopping_speed),
        _lateral_gains(sim, config.vehicle.wheel_base),
        _bicycle_constants(sim, config.vehicle.wheel_base),
    )
    return states


def _lateral_gains(sim: SimulationConfig, wheel_base: float) -> tuple[float, ...]:
    return (float(sim.tracking_horizon), wheel_base, sim.q_lateral_error, sim.q_heading_error, sim.r_steering_rate)


def _bicycle_constants(sim: SimulationConfig, wheel_base: float) -> tuple[float, ...]:
    lags = (sim.acceleration_time_constant, sim.steering_time_constant)
    return (BICYCLE_STEP_S, wheel_base, sim.max_steering_angle) + lags
