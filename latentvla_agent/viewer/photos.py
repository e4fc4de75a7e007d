"""The picture of the front camera, small, and how points of the ego frame fall into it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional

import numpy as np

from latentvla_agent.data.checks import is_finite
from latentvla_agent.data.scene import BoxIndex, Scene
from latentvla_agent.data.sensor_files import Image, encode_image, locate, read_image
from latentvla_agent.evaluation.comparison_pictures import FRONT_CAMERA, shrink

PHOTO_WIDTH, PHOTO_QUALITY = 640, 72
GROUND_RADIUS_M = 40.0  # boxes of vehicles within it tell where the ground is
CALIBRATION = {
    "sensor2lidar_rotation": (3, 3),
    "sensor2lidar_translation": (3,),
    "cam_intrinsic": (3, 3),
    "distortion": (5,),
}
DECIMALS = 6


@dataclass(frozen=True)
class Photo:
    """A JPEG, and its `projection` for the page: see `describe_projection`; None where the log lacks a calibration."""

    jpeg: bytes
    projection: Optional[Dict[str, Any]]


def load_photo(scene: Scene, sensors: Path) -> Optional[Photo]:
    """The current frame's; None where there is no such file. `sensors` is the folder that the log's paths start from.

    Raises `DataError` for a path that leaves the folder, or a file that is no picture.
    """
    camera = scene.current_frame.sensors["cams"].get(FRONT_CAMERA, {})
    if camera.get("data_path") is None:
        return None
    path = locate(sensors, camera["data_path"])
    if not path.is_file():
        return None
    image = read_image(path)
    projection = describe_projection(camera, image, estimate_ground(scene))
    return Photo(encode_image(shrink(image, PHOTO_WIDTH), PHOTO_QUALITY), projection)


def describe_projection(camera: Mapping[str, Any], image: Image, ground: float) -> Optional[Dict[str, Any]]:
    """`pose` (3 x 4, rows): of a homogeneous point of the ego frame [m] into the camera (x right, y down, z forward);
    `lens` [fx, fy, cx, cy] in shares of the picture (H, W, 3), `distortion` [k1, k2, p1, p2, k3] as OpenCV has them,
    and `ground`, the height of the road in the ego frame [m]."""
    arrays: Dict[str, Any] = {}
    for name, shape in CALIBRATION.items():
        value = camera.get(name)
        if value is None or np.shape(value) != shape or not is_finite(value):
            return None
        arrays[name] = np.asarray(value, np.float64)
    height, width = image.shape[:2]
    to_camera = arrays["sensor2lidar_rotation"].T
    pose = np.column_stack([to_camera, -to_camera @ arrays["sensor2lidar_translation"]])
    lens = arrays["cam_intrinsic"]
    return {
        "pose": _round(pose.ravel()),
        "lens": _round([lens[0, 0] / width, lens[1, 1] / height, lens[0, 2] / width, lens[1, 2] / height]),
        "distortion": _round(arrays["distortion"]),
        "ground": round(ground, 2),
    }


def estimate_ground(scene: Scene) -> float:
    """Height of the road in the ego frame [m]: the median underside of the vehicles around, 0 where there are none.

    nuPlan's ego frame has its origin at the height of the rear axle, that of the embedded world on the road.
    """
    annotations = scene.current_frame.annotations
    boxes = np.asarray(annotations.boxes, np.float64)[[name == "vehicle" for name in annotations.names]]
    near = boxes[np.hypot(boxes[:, BoxIndex.X], boxes[:, BoxIndex.Y]) < GROUND_RADIUS_M]
    undersides = near[:, BoxIndex.Z] - near[:, BoxIndex.HEIGHT] / 2.0
    return float(np.median(undersides)) if len(undersides) else 0.0


def _round(values: Any) -> Any:
    return np.round(np.asarray(values, np.float64), DECIMALS).tolist()
