"""The ego state as a row of numbers, and the corners of boxes."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import EgoStatus
from latentvla_agent.scoring.config import DEFAULT_CONFIG, VehicleConfig
from latentvla_agent.scoring.kernels import compile_kernel

FloatArray = npt.NDArray[np.float64]


class StateIndex(IntEnum):
    """Columns of an ego state: rear-axle pose in the map frame, motion in ego axes, SI units."""

    X = 0
    Y = 1
    HEADING = 2
    VELOCITY_X = 3
    VELOCITY_Y = 4
    ACCELERATION_X = 5
    ACCELERATION_Y = 6
    STEERING_ANGLE = 7
    STEERING_RATE = 8
    ANGULAR_VELOCITY = 9
    ANGULAR_ACCELERATION = 10


class CornerIndex(IntEnum):
    """Order of box corners: counter-clockwise from the front left."""

    FRONT_LEFT = 0
    REAR_LEFT = 1
    REAR_RIGHT = 2
    FRONT_RIGHT = 3


def initial_state(status: EgoStatus, vehicle: VehicleConfig = DEFAULT_CONFIG.vehicle) -> FloatArray:
    """Ego state (11,) of a global ego status; steering and turning are taken as zero, as the devkit does."""
    state = np.zeros(len(StateIndex))
    state[: StateIndex.HEADING + 1] = status.ego_pose
    settle(state, vehicle.rear_axle_to_center)
    state[StateIndex.VELOCITY_X : StateIndex.VELOCITY_Y + 1] = status.ego_velocity
    state[StateIndex.ACCELERATION_X : StateIndex.ACCELERATION_Y + 1] = status.ego_acceleration
    return state


def box_corners(centers: Any, headings: Any, half_lengths: Any, half_widths: Any) -> FloatArray:
    """Corners (..., 4, 2) of boxes from centres (..., 2), headings (...) and half extents (...), see `CornerIndex`."""
    centers = np.asarray(centers, dtype=np.float64)
    headings = np.asarray(headings, dtype=np.float64)
    forward = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    left = np.stack([-forward[..., 1], forward[..., 0]], axis=-1)
    along = forward * np.asarray(half_lengths, dtype=np.float64)[..., None]
    across = left * np.asarray(half_widths, dtype=np.float64)[..., None]
    offsets = np.stack([along + across, across - along, -along - across, along - across], axis=-2)
    corners: FloatArray = centers[..., None, :] + offsets
    return corners


def ego_centers(states: FloatArray, vehicle: VehicleConfig) -> FloatArray:
    """Box centres (..., 2) of ego states or poses (..., >=3)."""
    headings = states[..., StateIndex.HEADING]
    direction = np.stack([np.cos(headings), np.sin(headings)], axis=-1)
    centers: FloatArray = states[..., :2] + vehicle.rear_axle_to_center * direction
    return centers


def ego_corners(states: FloatArray, vehicle: VehicleConfig) -> FloatArray:
    """Box corners (..., 4, 2) of ego states or poses (..., >=3)."""
    headings = states[..., StateIndex.HEADING]
    half_length, half_width = np.full(headings.shape, vehicle.half_length), np.full(headings.shape, vehicle.half_width)
    return box_corners(ego_centers(states, vehicle), headings, half_length, half_width)


@compile_kernel
def settle(pose: Any, shift: float) -> None:
    """Move a rear-axle pose forward to the box centre and back by `shift` [m], in place; for kernels.

    The devkit keeps an ego pose as that of the centre, so both roundings are in every rear axle that it computes with.
    """
    forward, left = shift * np.cos(pose[2]), shift * np.sin(pose[2])
    pose[0], pose[1] = (pose[0] + forward) - forward, (pose[1] + left) - left


@compile_kernel
def place_box(x: float, y: float, cos: float, sin: float, half_length: float, half_width: float, corners: Any) -> None:
    """Fill corners (4, 2) of one box around (x, y) that looks to (cos, sin), see `CornerIndex`; for kernels."""
    for corner, (i, j) in enumerate(((1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0), (1.0, -1.0))):
        along, across = i * half_length, j * half_width
        corners[corner, 0] = x + (along * cos - across * sin)
        corners[corner, 1] = y + (along * sin + across * cos)


@compile_kernel
def find_centroid(corners: Any, center: Any) -> None:
    """Fill in the centroid (2,) of a box (4, 2), rounded as GEOS does: that of two triangles, weighted by their areas.

    A box without area keeps the centre that it has.
    """
    x, y, total = 0.0, 0.0, 0.0
    for i in range(1, 3):
        a, b, c = corners[0], corners[i], corners[i + 1]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        x += area * (a[0] + b[0] + c[0])
        y += area * (a[1] + b[1] + c[1])
        total += area
    if total != 0.0:
        center[0], center[1] = x / 3.0 / total, y / 3.0 / total


@compile_kernel
def place_ego(
    pose: Any, rear_axle_to_center: float, half_length: float, half_width: float, corners: Any, center: Any
) -> None:
    """Fill corners (4, 2) and centre (2,) of the ego box at a rear-axle pose; for kernels."""
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    center[0] = pose[0] + rear_axle_to_center * cos
    center[1] = pose[1] + rear_axle_to_center * sin
    place_box(center[0], center[1], cos, sin, half_length, half_width, corners)
