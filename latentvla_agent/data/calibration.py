"""The camera rig of OpenScene/nuPlan: where eight cameras sit on the car, and what they see of a point.

The numbers are nuPlan's rounded and made mirror-symmetrical: one calibration fits every car of ours. nuPlan gives
heights above the rear axle, which is taken to be 0.33 m above the road; here z = 0 is the road. Our pictures are those
of pinhole cameras: the distortion is zero (nuPlan's lenses have some).

Pixel coordinates are continuous, (0, 0) is the upper left corner of the picture, and the centre of the pixel in row i
and column j is (j + 0.5, i + 0.5). So intrinsics scale with the size of the picture and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Dict, Mapping, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.checks import describe, is_finite
from latentvla_agent.data.sensors import CAMERA_NAMES
from latentvla_agent.errors import DataError

FULL_SIZE = (1920, 1080)  # width, height [px] of nuPlan's pictures
FOCAL_LENGTH = 1545.0  # px at full size, in both directions
PRINCIPAL_POINT = (960.0, 560.0)  # px at full size; not the middle
PITCH_DOWN = np.deg2rad(1.0)
LIDAR_FOLDER = "MergedPointCloud"
FloatArray = npt.NDArray[np.float64]
ROTATION_DECIMALS = 12  # the last bit of a sine differs between machines; files must not

# Yaw [degrees], and x, y, z [m] in the ego frame: rear axle, on the road.
MOUNTS: Mapping[str, Tuple[float, float, float, float]] = MappingProxyType(
    {
        "cam_f0": (0.0, 1.66, 0.00, 1.82),
        "cam_l0": (55.0, 1.62, 0.14, 1.82),
        "cam_l1": (111.5, 1.29, 0.62, 1.70),
        "cam_l2": (141.0, -0.49, 0.52, 1.68),
        "cam_r0": (-55.0, 1.62, -0.14, 1.82),
        "cam_r1": (-111.5, 1.29, -0.62, 1.70),
        "cam_r2": (-141.0, -0.49, -0.52, 1.68),
        "cam_b0": (180.0, -0.47, 0.00, 1.76),
    }
)


@dataclass(frozen=True, eq=False)
class CameraCalibration:
    """A camera in the ego frame, which is also that of the lidar. Its axes: x right, y down, z forward.

    `sensor2lidar_rotation` (3, 3) has these axes as columns; `intrinsic` (3, 3), `width` and `height` in px.
    """

    name: str
    sensor2lidar_rotation: FloatArray
    sensor2lidar_translation: FloatArray
    intrinsic: FloatArray
    distortion: FloatArray
    width: int
    height: int

    @property
    def key(self) -> str:
        """Name of the camera in a log, such as CAM_F0."""
        return self.name.upper()


Rig = Mapping[str, CameraCalibration]  # by the names of `CAMERA_NAMES`, in their order


@lru_cache(maxsize=8)
def camera_rig(width: int = FULL_SIZE[0], height: int = FULL_SIZE[1]) -> Rig:
    """The eight cameras with pictures of this size [px]; arrays are shared and read-only."""
    if width < 1 or height < 1:
        raise DataError(f"expected pictures of at least 1 x 1 px, got {width} x {height}")
    return MappingProxyType({name: _place_camera(name, width, height) for name in CAMERA_NAMES})


def _place_camera(name: str, width: int, height: int) -> CameraCalibration:
    yaw, *translation = MOUNTS[name]
    scale = (width / FULL_SIZE[0], height / FULL_SIZE[1])
    intrinsic = np.array(
        [
            [FOCAL_LENGTH * scale[0], 0.0, PRINCIPAL_POINT[0] * scale[0]],
            [0.0, FOCAL_LENGTH * scale[1], PRINCIPAL_POINT[1] * scale[1]],
            [0.0, 0.0, 1.0],
        ]
    )
    rotation, distortion = look_along(float(np.deg2rad(yaw)), PITCH_DOWN), np.zeros(5)
    camera = CameraCalibration(name, rotation, np.array(translation), intrinsic, distortion, width, height)
    for array in (camera.sensor2lidar_rotation, camera.sensor2lidar_translation, intrinsic, distortion):
        array.setflags(write=False)
    return camera


def look_along(yaw: float, pitch_down: float) -> FloatArray:
    """Axes of a level camera, as columns, that looks along `yaw` [rad] and `pitch_down` [rad] below the horizon."""
    forward = [np.cos(yaw) * np.cos(pitch_down), np.sin(yaw) * np.cos(pitch_down), -np.sin(pitch_down)]
    right = [np.sin(yaw), -np.cos(yaw), 0.0]
    axes: FloatArray = np.column_stack([right, np.cross(forward, right), forward])
    axes = np.round(axes, ROTATION_DECIMALS) + 0.0  # no -0.0
    return axes


def describe_cameras(rig: Rig, log_name: str, token: str) -> Dict[str, Dict[str, Any]]:
    """The entry `cams` of a log's frame; its arrays are those of the rig."""
    return {
        camera.key: {
            "data_path": f"{log_name}/{camera.key}/{token}.jpg",
            "sensor2lidar_rotation": camera.sensor2lidar_rotation,
            "sensor2lidar_translation": camera.sensor2lidar_translation,
            "cam_intrinsic": camera.intrinsic,
            "distortion": camera.distortion,
        }
        for camera in rig.values()
    }


def lidar_path(log_name: str, token: str) -> str:
    """The entry `lidar_path` of a log's frame."""
    return f"{log_name}/{LIDAR_FOLDER}/{token}.pcd"


def rig_of_frame(cams: Mapping[str, Mapping[str, Any]]) -> Dict[str, CameraCalibration]:
    """Cameras of a log's frame, written as `describe_cameras` does; the principal point tells the size of the picture.

    Raises `DataError` naming the camera and what is wrong with it.
    """
    return {name: _read_camera(name, cams.get(name.upper(), {})) for name in CAMERA_NAMES}


def _read_camera(name: str, entry: Mapping[str, Any]) -> CameraCalibration:
    rotation, translation, intrinsic, distortion = (_read_array(name, entry, *item) for item in _SHAPES.items())
    width, height = (int(round(FULL_SIZE[i] * intrinsic[i, 2] / PRINCIPAL_POINT[i])) for i in (0, 1))
    if width < 1 or height < 1:
        raise DataError(f"{name.upper()}.cam_intrinsic: expected a principal point inside, got {intrinsic[:2, 2]}")
    return CameraCalibration(name, rotation, translation, intrinsic, distortion, width, height)


def _read_array(name: str, entry: Mapping[str, Any], key: str, shape: Tuple[int, ...]) -> FloatArray:
    if key not in entry or not is_finite(entry[key]) or np.shape(entry[key]) != shape:
        got = describe(entry[key]) if key in entry else "no such key"
        raise DataError(f"{name.upper()}.{key}: expected finite numbers of shape {shape}, got {got}")
    return np.asarray(entry[key], dtype=np.float64)


_SHAPES: Mapping[str, Tuple[int, ...]] = MappingProxyType(
    {"sensor2lidar_rotation": (3, 3), "sensor2lidar_translation": (3,), "cam_intrinsic": (3, 3), "distortion": (5,)}
)


def project_points(points: npt.NDArray[Any], camera: CameraCalibration) -> Tuple[FloatArray, FloatArray]:
    """Pixels (N, 2) and depth (N,) [m] along the optical axis of points (N, 3) in the ego frame.

    Pixels of points that are not in front of the camera (depth <= 0) are NaN. Distortion is not applied.
    """
    offset = np.asarray(points, dtype=np.float64) - camera.sensor2lidar_translation
    inside = offset @ camera.sensor2lidar_rotation  # its inverse is its transpose
    depth = inside[:, 2]
    in_front = np.where(depth > 0.0, depth, np.nan)
    pixels = (inside @ camera.intrinsic.T)[:, :2] / in_front[:, None]
    return pixels, depth


def pixel_rays(camera: CameraCalibration, pixels: npt.NDArray[Any]) -> FloatArray:
    """Directions (N, 3) in the ego frame, of depth 1 and not of unit length, of pixels (N, 2)."""
    flat = np.column_stack([np.asarray(pixels, dtype=np.float64), np.ones(len(pixels))])
    rays: FloatArray = flat @ np.linalg.inv(camera.intrinsic).T @ camera.sensor2lidar_rotation.T
    return rays


def is_in_picture(pixels: npt.NDArray[Any], camera: CameraCalibration) -> npt.NDArray[np.bool_]:
    """Which pixels (N, 2) lie inside the picture; NaN does not."""
    x, y = pixels[:, 0], pixels[:, 1]
    return (x >= 0.0) & (x < camera.width) & (y >= 0.0) & (y < camera.height)
