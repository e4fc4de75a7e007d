"""What iPad sees: the pictures of some cameras, and where points of the ego frame lie in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Tuple

import numpy as np
import numpy.typing as npt
import torch

from latentvla_agent.data.sensors import CAMERA_NAMES, SensorConfig
from latentvla_agent.errors import ConfigError
from latentvla_agent.features.ego_status import EgoStatusFeatures
from latentvla_agent.features.pictures import average_into

CURRENT_FRAME = 3  # of NAVSIM's four history frames, oldest first


@dataclass(frozen=True)
class CameraFeaturesConfig:
    """Cameras, and the size of their pictures [px]. `blank`: no sensor at all, zeros instead (controls)."""

    cameras: Tuple[str, ...] = ("cam_f0", "cam_l0", "cam_r0", "cam_b0")
    width: int = 480
    height: int = 270
    blank: bool = False

    def __post_init__(self) -> None:
        unknown = [name for name in self.cameras if name not in CAMERA_NAMES]
        if unknown or not self.cameras or self.width < 1 or self.height < 1:
            raise ConfigError(f"expected cameras among {', '.join(CAMERA_NAMES)} and a size, got {self}")


class CameraFeatures:
    """A feature builder of NAVSIM's interface: cameras and ego status of the current frame."""

    def __init__(self, config: CameraFeaturesConfig = CameraFeaturesConfig()):
        self.config = config
        self._ego_status = EgoStatusFeatures()
        asked = {} if config.blank else {name: [CURRENT_FRAME] for name in config.cameras}
        self.sensor_config = SensorConfig(**asked, picture_size=(config.width, config.height))

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        config = self.config
        cameras = "_".join(name.replace("cam_", "") for name in config.cameras)
        return f"latentvla_cameras_{cameras}_{config.width}x{config.height}{'_blank' if config.blank else ''}"

    def compute_features(self, agent_input: Any) -> Dict[str, torch.Tensor]:
        """Tensors of an `AgentInput`, ours or NAVSIM's; C cameras in the order of the configuration.

        images (C, 3, H, W) uint8, red, green, blue. projections (C, 3, 4) float32: of a homogeneous point [m] of the
        ego frame to (u d, v d, d), where u and v are 0 to 1 from the left and upper edge of the picture and d is the
        depth [m]. camera_present (C,) bool: a missing camera's picture and projection are zeros. ego_status (8,): see
        `EgoStatusFeatures`.
        """
        config, number = self.config, len(self.config.cameras)
        images = np.zeros((number, 3, config.height, config.width), np.uint8)
        projections, present = np.zeros((number, 3, 4), np.float32), np.zeros(number, bool)
        for index, name in enumerate(() if config.blank else config.cameras):
            camera = getattr(agent_input.cameras[-1], name)
            if camera.image is not None:
                average_into(images[index], camera.image)
                projections[index], present[index] = project_to_picture(camera), True
        return {
            "images": torch.from_numpy(images),
            "projections": torch.from_numpy(projections),
            "camera_present": torch.from_numpy(present),
            **self._ego_status.compute_features(agent_input),
        }


def project_to_picture(camera: Any) -> npt.NDArray[np.float64]:
    """(3, 4): see `CameraFeatures.compute_features`. As of a pinhole camera: distortion is left out."""
    height, width = camera.image.shape[:2]
    to_camera = np.asarray(camera.sensor2lidar_rotation, np.float64).T
    offset = to_camera @ np.asarray(camera.sensor2lidar_translation, np.float64)
    pose = np.column_stack([to_camera, -offset])
    matrix: npt.NDArray[np.float64] = (np.asarray(camera.intrinsics, np.float64) / [[width], [height], [1.0]]) @ pose
    return matrix


def is_blank(features: Any) -> bool:
    """Whether these features, of any kind, are those of a blind control."""
    return bool(getattr(getattr(features, "config", None), "blank", False))
