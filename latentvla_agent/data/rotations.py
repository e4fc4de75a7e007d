"""Rotations and rigid transforms in space: quaternions (w, x, y, z) and matrices."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]


def matrix_of_quaternion(quaternion: Any) -> FloatArray:
    """Rotation (3, 3) of a quaternion (4,) that is not all zero; its length does not matter."""
    w, x, y, z = np.asarray(quaternion, np.float64) / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def quaternion_of_matrix(rotation: Any) -> FloatArray:
    """Unit quaternion (4,) with w >= 0 of a rotation (3, 3)."""
    (xx, xy, xz), (yx, yy, yz), (zx, zy, zz) = np.asarray(rotation, np.float64)
    # The quaternion is the eigenvector of the largest eigenvalue (Bar-Itzhack, 2000): no case needs care.
    symmetric = np.array(
        [
            [xx + yy + zz, zy - yz, xz - zx, yx - xy],
            [zy - yz, xx - yy - zz, xy + yx, xz + zx],
            [xz - zx, xy + yx, yy - xx - zz, yz + zy],
            [yx - xy, xz + zx, yz + zy, zz - xx - yy],
        ]
    )
    quaternion: FloatArray = np.linalg.eigh(symmetric)[1][:, -1]
    return -quaternion if quaternion[0] < 0 else quaternion


def quaternion_of_yaw(yaw: float) -> FloatArray:
    """Quaternion (4,) of a turn by `yaw` [rad] about the vertical axis."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def heading_of_quaternion(quaternion: Any) -> float:
    """Where the x axis points [rad], seen from above: nuScenes' yaw. Pyquaternion's differs where the ego is tilted."""
    rotation = matrix_of_quaternion(quaternion)
    return float(np.arctan2(rotation[1, 0], rotation[0, 0]))


def make_transform(quaternion: Any, translation: Any) -> FloatArray:
    """(4, 4) that takes points of a frame to the one in which its rotation (4,) and its origin (3,) [m] are given."""
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = matrix_of_quaternion(quaternion), translation
    return transform


def invert_transform(transform: Any) -> FloatArray:
    """The inverse of a rigid transform (4, 4)."""
    inverse = np.eye(4)
    inverse[:3, :3] = transform[:3, :3].T
    inverse[:3, 3] = -inverse[:3, :3] @ transform[:3, 3]
    return inverse


def apply_transform(transform: Any, points: Any) -> FloatArray:
    """Points (N, 3) after a rigid transform (4, 4)."""
    moved: FloatArray = np.asarray(points, np.float64) @ transform[:3, :3].T + transform[:3, 3]
    return moved
