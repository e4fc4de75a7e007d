"""Cameras and lidar of a nuScenes sample, as a frame of ours has them.

nuScenes calibrates each sensor to the ego frame of the moment at which that sensor took its picture, and the moments of
one sample lie up to 50 ms apart. Here everything is in the ego frame of the lidar's moment: what a camera's calibration
says is carried there through the two ego poses. That frame is ours: rear axle, on the road, x forward, y left.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.nuscenes.tables import NuScenesTables, Row
from latentvla_agent.data.rotations import FloatArray, apply_transform, invert_transform, make_transform
from latentvla_agent.data.sensor_files import LidarIndex, PointCloud, locate
from latentvla_agent.data.sensors import LIDAR_NAME, NO_LIDAR, Cameras, Lidar, LogSensors
from latentvla_agent.errors import DataError

LIDAR_CHANNEL = "LIDAR_TOP"
# By direction: the rear cameras look 110 degrees to the side, as nuPlan's l1 and r1 (111.5) do, not l2 and r2 (141).
CAMERA_OF_CHANNEL: Mapping[str, str] = MappingProxyType(
    {
        "CAM_FRONT": "cam_f0",
        "CAM_FRONT_LEFT": "cam_l0",
        "CAM_FRONT_RIGHT": "cam_r0",
        "CAM_BACK_LEFT": "cam_l1",
        "CAM_BACK_RIGHT": "cam_r1",
        "CAM_BACK": "cam_b0",
    }
)
LIDAR_FIELDS = 5  # of a point in a file: x, y, z [m] in the lidar's frame, intensity 0 to 255, ring


def ego_transform(tables: NuScenesTables, data: Row) -> FloatArray:
    """(4, 4) from the ego frame of the moment of a row of `sample_data` to the global frame."""
    pose = tables.get("ego_pose", data["ego_pose_token"])
    return make_transform(pose["rotation"], pose["translation"])


def sensor_transform(tables: NuScenesTables, data: Row) -> FloatArray:
    """(4, 4) from the sensor that took a row of `sample_data` to the ego frame of that moment."""
    calibrated = tables.get("calibrated_sensor", data["calibrated_sensor_token"])
    return make_transform(calibrated["rotation"], calibrated["translation"])


def find_lidar(tables: NuScenesTables, sample_token: str) -> Row:
    """The lidar's row of a sample, whose ego pose is that of the sample; raises `DataError` where there is none."""
    row = tables.data_of(sample_token).get(LIDAR_CHANNEL)
    if row is None:
        place = f"{tables.path('sample_data')}: sample {sample_token}"
        raise DataError(f"{place}: expected a key frame of {LIDAR_CHANNEL}, got none")
    return row


def describe_sensors(tables: NuScenesTables, sample_token: str) -> Dict[str, Any]:
    """`cams`, `lidar_path` and `lidar2ego` (4, 4) of a sample: what `NuScenesSensors.load` reads.

    `cams` has the layout of an OpenScene log's, under NAVSIM's names; cameras that the sample lacks are not in it.
    """
    lidar = find_lidar(tables, sample_token)
    to_ego = invert_transform(ego_transform(tables, lidar))
    cams = {
        CAMERA_OF_CHANNEL[channel].upper(): _describe_camera(tables, data, to_ego)
        for channel, data in tables.data_of(sample_token).items()
        if channel in CAMERA_OF_CHANNEL
    }
    return {"cams": cams, "lidar_path": lidar["filename"], "lidar2ego": sensor_transform(tables, lidar)}


def _describe_camera(tables: NuScenesTables, data: Row, to_ego: FloatArray) -> Dict[str, Any]:
    calibrated = tables.get("calibrated_sensor", data["calibrated_sensor_token"])
    if not calibrated["camera_intrinsic"]:
        place = f"{tables.path('calibrated_sensor')}: {calibrated['token']}"
        raise DataError(f"{place}: camera_intrinsic: expected 3 x 3 finite numbers of a camera, got none")
    camera2ego = to_ego @ ego_transform(tables, data) @ sensor_transform(tables, data)
    return {
        "data_path": data["filename"],
        "sensor2lidar_rotation": camera2ego[:3, :3],
        "sensor2lidar_translation": camera2ego[:3, 3],
        "cam_intrinsic": np.array(calibrated["camera_intrinsic"], np.float64),
        "distortion": np.zeros(5),  # the published pictures are rectified
    }


@dataclass(frozen=True)
class NuScenesSensors(LogSensors):
    """The sensor files of a nuScenes database, below its root `folder`."""

    def load(
        self,
        token: str,
        paths: Mapping[str, Any],
        names: Sequence[str],
        picture_size: Optional[Tuple[int, int]] = None,
    ) -> Tuple[Cameras, Lidar]:
        """As `LogSensors.load`, of what `describe_sensors` gives."""
        cameras, _ = super().load(token, paths, [name for name in names if name != LIDAR_NAME], picture_size)
        if LIDAR_NAME not in names or paths["lidar_path"] is None:
            return cameras, NO_LIDAR
        path = paths["lidar_path"]
        return cameras, Lidar(read_sweep(locate(self.folder, path), paths["lidar2ego"]), str(path))


def read_sweep(path: Path, lidar2ego: FloatArray) -> PointCloud:
    """Points (6, N) of a `.pcd.bin` in the ego frame, rows: `LidarIndex`; the lidar's number is 0.

    Raises `DataError` for a file that is missing, no multiple of 20 bytes long, or not finite.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: expected a point cloud, got: {error.strerror or error}") from error
    if len(content) % (4 * LIDAR_FIELDS):
        raise DataError(f"{path}: expected points of {4 * LIDAR_FIELDS} bytes, got {len(content)} bytes")
    table = np.frombuffer(content, "<f4").reshape(-1, LIDAR_FIELDS)
    if not np.isfinite(table).all():
        raise DataError(f"{path}: expected finite numbers, got others")
    points = np.zeros((len(LidarIndex), len(table)), np.float32)
    points[: LidarIndex.INTENSITY] = apply_transform(lidar2ego, table[:, :3]).T
    points[LidarIndex.INTENSITY : LidarIndex.LIDAR] = table[:, 3:].T
    return points


def write_sweep(path: Path, points: PointCloud, lidar2ego: FloatArray) -> None:
    """Write points (6, N) of the ego frame as `read_sweep` reads them, whole or not at all."""
    if points.ndim != 2 or len(points) != len(LidarIndex) or not np.isfinite(points).all():
        raise DataError(f"{path}: expected finite points of shape ({len(LidarIndex)}, N), got {points.shape}")
    own = apply_transform(invert_transform(lidar2ego), points[: LidarIndex.INTENSITY].T)
    table = np.column_stack([own, points[LidarIndex.INTENSITY : LidarIndex.LIDAR].T]).astype("<f4")
    write_atomically(path, table.tobytes(), durable=False)
