"""Makes smooth drives of SUMO's samples.

SUMO gives the front bumper's place, an angle that jumps from vertex to vertex and accelerations that jump from step to
step. Here the place along the path and the path itself are smoothed apart: the path over metres, so that a standing
vehicle cannot slide or turn, and the speed over seconds, with a kernel that is nowhere negative, so that nobody drives
backwards and a stop stays a stop.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np

from latentvla_agent.world.traffic.recording import BoolArray, FloatArray, StateIndex


@dataclass(frozen=True)
class SmoothingConfig:
    """Metres, seconds, m/s. Kernels are Gaussians cut off at `kernel_reach` standard deviations."""

    speed_sigma_s: float = 0.4
    path_sigma_m: float = 2.0
    path_step_m: float = 0.25
    bend_sigma_m: float = 3.0
    bend_shift: float = (
        14.0  # m^2: the ego's rear axle cuts a bend by so much times its curvature: its front swings out,
    )
    max_bend_shift: float = 0.33  # and NAVSIM's simulation starts each window with straight wheels; at most so much
    kernel_reach: float = 4.0
    standstill_speed: float = 0.04  # slower is standing: SUMO's drivers creep to the end of a queue
    catch_up: float = 0.03  # what standing costs in distance is caught up by so much more speed
    rear_axle_share: float = 4.049 / 5.176  # of the length, from the front bumper
    front_axle_share: float = 0.18
    walk_sigma_s: float = 0.5
    walk_turn_sigma_s: float = 0.3
    walk_turn_speed: float = 0.3  # slower walkers keep their heading
    brake_deceleration: float = 0.4
    brake_speed: float = 0.1  # who stands has a foot on the brake


@dataclass(frozen=True, eq=False)
class Path:
    """A smooth path: points (M, 2) at even arc length `step` from `start` on; `headings` (M,) don't jump."""

    points: FloatArray
    headings: FloatArray
    start: float
    step: float

    def place(self, arc: FloatArray) -> FloatArray:
        """Points (T, 2) at arc lengths (T,)."""
        at = self.start + self.step * np.arange(len(self.points))
        return np.column_stack([np.interp(arc, at, self.points[:, i]) for i in range(2)])

    def heading(self, arc: FloatArray) -> FloatArray:
        """Headings (T,) of the path at arc lengths (T,)."""
        at = self.start + self.step * np.arange(len(self.points))
        return np.interp(arc, at, self.headings)


def measure_arc(points: FloatArray) -> FloatArray:
    """Arc length (T,) of samples (T, 2) from the first."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(points, axis=0).T))])


def make_kernel(sigma: float, step: float, reach: float) -> FloatArray:
    """A Gaussian over samples `step` apart that sums to 1; its length is odd."""
    half = max(int(np.ceil(reach * sigma / step)), 1)
    weights = np.exp(-0.5 * (np.arange(-half, half + 1) * step / sigma) ** 2)
    kernel: FloatArray = weights / weights.sum()
    return kernel


def smooth_signal(signal: FloatArray, kernel: FloatArray) -> FloatArray:
    """The signal (T,) under the kernel, with its ends continued as they are."""
    half = len(kernel) // 2
    return np.convolve(np.pad(signal, half, mode="edge"), kernel, mode="valid")


def make_path(points: FloatArray, start_heading: float, room: float, config: SmoothingConfig) -> Path:
    """Smooth path of samples (T, 2), arc length 0 at the first; straight on for `room` metres before and after."""
    arc = measure_arc(points)
    moved = np.concatenate([[True], np.diff(arc) > MIN_MOVE_M])
    points, arc = points[moved], arc[moved]
    first = np.array([np.cos(start_heading), np.sin(start_heading)])
    last = (points[-1] - points[-2]) / (arc[-1] - arc[-2]) if len(points) > 1 else first
    points = np.vstack([points[:1] - room * first, points, points[-1:] + room * last])
    arc = np.concatenate([[-room], arc, [arc[-1] + room]])
    step = config.path_step_m
    at = np.arange(-room, arc[-1], step)
    kernel = make_kernel(config.path_sigma_m, step, config.kernel_reach)
    half = len(kernel) // 2
    dense = [np.interp(at, arc, points[:, i]) for i in range(2)]
    smooth = np.column_stack([np.convolve(values, kernel, mode="valid") for values in dense])
    return Path(smooth, _measure_headings(smooth), float(at[half]), step)


MIN_MOVE_M = 1e-4


def cut_bends(path: Path, config: SmoothingConfig) -> Path:
    """The path of a rear axle that is moved to the inside of bends, as drivers of long cars do; arc lengths stay."""
    bends = smooth_signal(
        np.gradient(path.headings, path.step), make_kernel(config.bend_sigma_m, path.step, config.kernel_reach)
    )
    limit = config.max_bend_shift
    left = np.column_stack([-np.sin(path.headings), np.cos(path.headings)])
    points = path.points + (limit * np.tanh(config.bend_shift * bends / limit))[:, None] * left
    return Path(points, _measure_headings(points), path.start, path.step)


def _measure_headings(points: FloatArray) -> FloatArray:
    steps = np.gradient(points, axis=0)
    return np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))


def smooth_progress(arc: FloatArray, step_s: float, config: SmoothingConfig) -> Tuple[FloatArray, FloatArray]:
    """Smooth arc length and speed (T,) of raw arc lengths (T,): speeds are never negative, standing is standing."""
    if len(arc) < 2:
        return arc.copy(), np.zeros_like(arc)
    raw = np.diff(arc, prepend=2.0 * arc[0] - arc[1]) / step_s
    speed = smooth_signal(raw, make_kernel(config.speed_sigma_s, step_s, config.kernel_reach))
    speed = _stand_still(speed, step_s, config)
    progress = arc[0] + np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]) * step_s)])
    return progress, speed


def _stand_still(speed: FloatArray, step_s: float, config: SmoothingConfig) -> FloatArray:
    """Creeping becomes standing; the distance that is lost is made up for while driving on."""
    stands = speed < config.standstill_speed
    bounds = np.flatnonzero(np.diff(stands)) + 1
    result = np.minimum(speed, 2.0 * np.maximum(speed - config.standstill_speed, 0.0))  # without a jump at the limit
    debt = 0.0
    for begin, end in zip([0, *bounds], [*bounds, len(speed)]):
        debt += float((speed[begin:end] - result[begin:end]).sum()) * step_s
        distance = float(result[begin:end].sum()) * step_s
        if distance > 0.0:
            paid = min(debt, config.catch_up * distance)
            result[begin:end] *= 1.0 + paid / distance
            debt -= paid
    return result


def smooth_drive(
    points: FloatArray, start_heading: float, length: float, step_s: float, config: SmoothingConfig, is_ego: bool
) -> Tuple[FloatArray, FloatArray]:
    """States (T, 4) of a vehicle's box centre and arc lengths (T,) of its rear axle, from front-bumper samples (T, 2).

    The ego's rear axle follows the path along its tangent, as a car that doesn't slip. Others have both axles on the
    path, so that a bus doesn't swing out into the next lane.
    """
    path = make_path(points, start_heading, ROOM_LENGTHS * length + config.kernel_reach * config.path_sigma_m, config)
    progress, speed = smooth_progress(measure_arc(points), step_s, config)
    rear_arc = progress - config.rear_axle_share * length
    path = cut_bends(path, config) if is_ego else path
    rear = path.place(rear_arc)
    if is_ego:
        heading = path.heading(rear_arc)
    else:
        ahead = path.place(progress - config.front_axle_share * length) - rear
        heading = np.unwrap(np.arctan2(ahead[:, 1], ahead[:, 0]))
    to_center = (config.rear_axle_share - 0.5) * length
    center = rear + to_center * np.column_stack([np.cos(heading), np.sin(heading)])
    return _join(center, heading, speed), rear_arc


ROOM_LENGTHS = 1.5


def smooth_walk(points: FloatArray, start_heading: float, step_s: float, config: SmoothingConfig) -> FloatArray:
    """States (T, 4) of a walker from samples (T, 2) of its middle. Who stands keeps looking where they looked."""
    kernel = make_kernel(config.walk_sigma_s, step_s, config.kernel_reach)
    center = np.column_stack([smooth_signal(points[:, i], kernel) for i in range(2)])
    velocity = np.gradient(center, step_s, axis=0) if len(center) > 1 else np.zeros_like(center)
    speed = np.hypot(velocity[:, 0], velocity[:, 1])
    turned = np.where(speed > config.walk_turn_speed, np.arctan2(velocity[:, 1], velocity[:, 0]), np.nan)
    heading = np.unwrap(_hold(turned, start_heading))
    heading = smooth_signal(heading, make_kernel(config.walk_turn_sigma_s, step_s, config.kernel_reach))
    return _join(center, heading, speed)


def _hold(values: FloatArray, first: float) -> FloatArray:
    """Fill NaN with the value before; before all values with the first of them, or `first`."""
    known = np.flatnonzero(~np.isnan(values))
    if len(known) == 0:
        return np.full_like(values, first)
    source = np.maximum(np.searchsorted(known, np.arange(len(values)), side="right") - 1, 0)
    held: FloatArray = values[known[source]]
    return held


def _join(center: FloatArray, heading: FloatArray, speed: FloatArray) -> FloatArray:
    states = np.empty((len(center), len(StateIndex)))
    states[:, [StateIndex.X, StateIndex.Y]] = center
    states[:, StateIndex.HEADING], states[:, StateIndex.SPEED] = heading, speed
    return states


def find_braking(speed: FloatArray, step_s: float, config: SmoothingConfig) -> BoolArray:
    """When the brake lights of a motor vehicle are lit (T,)."""
    if len(speed) < 2:
        return np.ones(len(speed), dtype=np.bool_)
    lit: BoolArray = (np.gradient(speed, step_s) < -config.brake_deceleration) | (speed < config.brake_speed)
    return lit
