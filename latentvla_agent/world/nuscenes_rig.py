"""The cameras of nuScenes' cars, and the mirror that turns right-hand traffic into left-hand traffic."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Dict, Mapping, Tuple

import numpy as np

from latentvla_agent.data.calibration import CameraCalibration, look_along
from latentvla_agent.data.scene import BoxIndex, FloatArray, Frame, PoseIndex

FULL_SIZE = (1600, 900)  # px, as focal lengths and the principal point below
PRINCIPAL_POINT = (816.0, 492.0)
# Yaw [degrees], place x, y, z [m] in the ego frame, focal length [px]: nuScenes' cars, rounded. They are 0.3 m lower
# than NAVSIM's, the rear one looks wider, and there is none at the rear corners.
MOUNTS: Mapping[str, Tuple[float, Tuple[float, float, float], float]] = MappingProxyType(
    {
        "CAM_FRONT": (0.0, (1.70, 0.0, 1.51), 1266.0),
        "CAM_FRONT_LEFT": (55.0, (1.53, 0.49, 1.51), 1266.0),
        "CAM_FRONT_RIGHT": (-55.0, (1.53, -0.49, 1.51), 1266.0),
        "CAM_BACK_LEFT": (109.0, (1.02, 0.48, 1.57), 1258.0),
        "CAM_BACK_RIGHT": (-109.0, (1.02, -0.48, 1.57), 1258.0),
        "CAM_BACK": (180.0, (0.03, 0.0, 1.58), 809.0),
    }
)
_ACROSS = np.array([1.0, -1.0, 1.0])  # the mirror, of places


def make_rig(width: int, height: int) -> Dict[str, CameraCalibration]:
    """The six cameras by nuScenes' channels, with pictures of this size [px]."""
    scale = np.diag([width / FULL_SIZE[0], height / FULL_SIZE[1], 1.0])
    rig = {}
    for channel, (yaw, place, focal) in MOUNTS.items():
        intrinsic = np.array([[focal, 0.0, PRINCIPAL_POINT[0]], [0.0, focal, PRINCIPAL_POINT[1]], [0.0, 0.0, 1.0]])
        rotation = look_along(float(np.deg2rad(yaw)), 0.0)
        rig[channel] = CameraCalibration(
            channel, rotation, np.array(place), scale @ intrinsic, np.zeros(5), width, height
        )
    return rig


def mirror_camera(camera: CameraCalibration) -> CameraCalibration:
    """The camera whose picture, mirrored, is that of `camera` in the mirrored world."""
    intrinsic = camera.intrinsic.copy()
    intrinsic[0, 2] = camera.width - intrinsic[0, 2]
    rotation = np.diag(_ACROSS) @ camera.sensor2lidar_rotation @ np.diag([-1.0, 1.0, 1.0])
    place = camera.sensor2lidar_translation * _ACROSS
    return replace(camera, sensor2lidar_rotation=rotation, sensor2lidar_translation=place, intrinsic=intrinsic)


@dataclass(frozen=True)
class Placement:
    """Where the coordinates of a map of ours go in the database: mirrored or not, then less `origin` (2,) [m]."""

    mirrored: bool
    origin: Tuple[float, float] = (0.0, 0.0)

    def place(self, points: FloatArray) -> FloatArray:
        """Points (N, 2)."""
        sides = np.array([1.0, -1.0 if self.mirrored else 1.0])
        placed: FloatArray = np.asarray(points, np.float64) * sides - np.array(self.origin)
        return placed

    def place_frame(self, frame: Frame) -> Frame:
        """A frame with pose, boxes and motion there; it keeps its command, which nuScenes has none of."""
        status, annotations = frame.ego_status, frame.annotations
        pose = status.ego_pose.copy()
        pose[: PoseIndex.HEADING] = self.place(pose[None, : PoseIndex.HEADING])[0]
        if not self.mirrored:
            return replace(frame, ego_status=replace(status, ego_pose=pose))
        pose[PoseIndex.HEADING] *= -1.0
        sides = _ACROSS[:2].astype(np.float32)
        boxes = annotations.boxes.copy()
        boxes[:, [BoxIndex.Y, BoxIndex.HEADING]] *= -1.0
        velocity = annotations.velocity_3d * _ACROSS.astype(np.float32)
        moved = replace(
            status,
            ego_pose=pose,
            ego_velocity=status.ego_velocity * sides,
            ego_acceleration=status.ego_acceleration * sides,
        )
        return replace(frame, ego_status=moved, annotations=replace(annotations, boxes=boxes, velocity_3d=velocity))
