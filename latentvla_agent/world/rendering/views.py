"""A camera as rays: through the middle of each pixel, and more of them where the picture has edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, NamedTuple, Optional, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.calibration import FULL_SIZE, CameraCalibration, camera_rig, pixel_rays
from latentvla_agent.world.rendering.compiled import compile_inlined, compile_kernel
from latentvla_agent.world.rendering.embree import Float32Array

# Where in a pixel the further rays go: the first two lie on a slanted line through the middle one, so that the three
# have three columns and three rows.
SUBPIXELS = np.array([[-0.33, -0.2], [0.33, 0.2], [0.2, -0.36], [-0.2, 0.36], [-0.42, 0.1], [0.42, -0.1], [0.0, 0.42]])


class Pinhole(NamedTuple):
    """A camera for kernels: `axes` (3, 3) right, down, forward as rows in the street's frame, `position` (3,)."""

    axes: Any
    position: Any
    focal_x: float
    focal_y: float
    centre_x: float
    centre_y: float
    width: int
    height: int


@dataclass(frozen=True, eq=False)
class CameraView:
    """A camera of the rig with the directions of its rays (H * W, 3), unit length, in the ego frame."""

    camera: CameraCalibration
    directions: Float32Array
    pixel_angle: float

    def place(self, pose: npt.NDArray[np.float64]) -> Pinhole:
        """The camera on a car at the pose (x, y, heading), in the pose's frame."""
        turn = rotate_up(pose[2])
        position = turn @ self.camera.sensor2lidar_translation + np.array([pose[0], pose[1], 0.0])
        axes = np.ascontiguousarray((turn @ self.camera.sensor2lidar_rotation).T)
        k = self.camera.intrinsic
        focal = (float(k[0, 0]), float(k[1, 1]), float(k[0, 2]), float(k[1, 2]))
        return Pinhole(axes, position, *focal, self.camera.width, self.camera.height)

    def aim(self, pose: npt.NDArray[np.float64]) -> Float32Array:
        """Directions of the rays in the frame of the pose."""
        turned = np.empty_like(self.directions)
        turn_rays(self.directions, float(np.cos(pose[2])), float(np.sin(pose[2])), turned)
        return turned


def rotate_up(heading: float) -> npt.NDArray[np.float64]:
    """Matrix (3, 3) that turns by `heading` [rad] around the vertical axis."""
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])


def make_view(camera: CameraCalibration) -> CameraView:
    """Rays of a camera."""
    columns, rows = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    directions = pixel_rays(camera, np.column_stack([columns.ravel(), rows.ravel()]))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return CameraView(camera, directions.astype(np.float32), 1.0 / float(camera.intrinsic[0, 0]))


def resize_camera(camera: CameraCalibration, size: Optional[Tuple[int, int]]) -> CameraCalibration:
    """The camera with pictures of another size (width, height)."""
    if size is None or size == (camera.width, camera.height):
        return camera
    scale = np.diag([size[0] / camera.width, size[1] / camera.height, 1.0])
    placement = (camera.sensor2lidar_rotation, camera.sensor2lidar_translation)
    return CameraCalibration(camera.name, *placement, scale @ camera.intrinsic, camera.distortion, *size)


class ViewCache:
    """Views of the cameras that were asked for; a world has one rig, so that there are eight."""

    def __init__(self) -> None:
        self._views: Dict[Tuple[bytes, int, int], CameraView] = {}

    def view_of(self, camera: CameraCalibration) -> CameraView:
        """The view of a camera, from the cache if its numbers are there."""
        numbers = (camera.sensor2lidar_rotation, camera.sensor2lidar_translation, camera.intrinsic)
        key = (b"".join(np.ascontiguousarray(array).tobytes() for array in numbers), camera.width, camera.height)
        if key not in self._views:
            self._views[key] = make_view(camera)
        return self._views[key]


def default_camera(name: str) -> CameraCalibration:
    """The rig's camera at full size."""
    return camera_rig(*FULL_SIZE)[name]


@compile_kernel
def turn_rays(directions: Any, cos: float, sin: float, out: Any) -> None:
    """Turn vectors (N, 3) around the vertical axis; a matrix product would wake all of BLAS's threads."""
    for ray in range(len(directions)):
        x, y = directions[ray, 0], directions[ray, 1]
        out[ray, 0], out[ray, 1], out[ray, 2] = cos * x - sin * y, sin * x + cos * y, directions[ray, 2]


@compile_inlined
def _project(pinhole: Pinhole, vertex: Any) -> Tuple[float, float, float]:
    x, y, z = vertex[0] - pinhole.position[0], vertex[1] - pinhole.position[1], vertex[2] - pinhole.position[2]
    axes = pinhole.axes
    return (
        axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z,
        axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z,
        axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z,
    )


@compile_kernel
def mark_faces(pinhole: Pinhole, vertices: Any, faces: Any, near: float, mask: Any) -> None:
    """Set to True each pixel of `mask` (H, W) that a face may cover: the rectangle around its picture, with a rim of a
    pixel. A face that crosses the plane `near` metres ahead is cut there."""
    width, height = pinhole.width, pinhole.height
    seen = np.empty((3, 3))
    for face in range(len(faces)):
        deepest = -np.inf
        for corner in range(3):
            x, y, z = _project(pinhole, vertices[faces[face, corner]])
            seen[corner, 0], seen[corner, 1], seen[corner, 2] = x, y, z
            deepest = max(deepest, z)
        if deepest < near:
            continue
        left, right, top, bottom = np.inf, -np.inf, np.inf, -np.inf
        for corner in range(3):
            after = (corner + 1) % 3
            for end in range(2):
                x, y, z = seen[corner, 0], seen[corner, 1], seen[corner, 2]
                if end == 1:  # where the edge crosses the near plane
                    other = seen[after, 2]
                    if (z < near) == (other < near):
                        continue
                    share = (near - z) / (other - z)
                    x += share * (seen[after, 0] - x)
                    y += share * (seen[after, 1] - y)
                    z = near
                elif z < near:
                    continue
                u = pinhole.focal_x * x / z + pinhole.centre_x
                v = pinhole.focal_y * y / z + pinhole.centre_y
                left, right, top, bottom = min(left, u), max(right, u), min(top, v), max(bottom, v)
        if right < -1.0 or bottom < -1.0 or left > width + 1.0 or top > height + 1.0:
            continue
        first, last = int(max(left - 1.0, 0.0)), int(min(right + 1.0, width - 1.0))
        low, high = int(max(top - 1.0, 0.0)), int(min(bottom + 1.0, height - 1.0))
        mask[low : high + 1, first : last + 1] = True


@compile_kernel
def aim_subpixels(pinhole: Pinhole, pixels: Any, offsets: Any, out: Any) -> None:
    """Unit directions (P * S, 3), into `out`, through the S `offsets` (px from the middle) of each of P pixels."""
    axes = pinhole.axes
    for index in range(len(pixels)):
        row, column = pixels[index] // pinhole.width, pixels[index] % pinhole.width
        for sample in range(len(offsets)):
            x = (column + 0.5 + offsets[sample, 0] - pinhole.centre_x) / pinhole.focal_x
            y = (row + 0.5 + offsets[sample, 1] - pinhole.centre_y) / pinhole.focal_y
            scale = 1.0 / np.sqrt(x * x + y * y + 1.0)
            for axis in range(3):
                value = (x * axes[0, axis] + y * axes[1, axis] + axes[2, axis]) * scale
                out[index * len(offsets) + sample, axis] = value
