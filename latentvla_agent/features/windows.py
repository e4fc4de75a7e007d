"""What the latent action model sees: one camera now and some seconds later, and how the ego moved in between.

Pictures and ego poses, nothing else: no map, no boxes, no scores (method page, "Definitions").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Sequence, Tuple

import numpy as np
import torch

from latentvla_agent.data.scene import PoseIndex, Scene, to_local_frame
from latentvla_agent.data.sensors import CAMERA_NAMES
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.features.cameras import project_to_picture
from latentvla_agent.features.pictures import average_into

PROJECTION = "window_projection"


@dataclass(frozen=True)
class WindowConfig:
    """Camera, size of its pictures [px], and the frames of the window: numbers of log frames after the current one.

    NAVSIM's navtrain guarantees pictures of history alone: (-3, -2, -1, 0), whose codes are of the past.
    """

    camera: str = "cam_f0"
    width: int = 480
    height: int = 270
    frames: Tuple[int, ...] = (0, 2, 4, 6)  # at 2 Hz: three transitions of a second

    def __post_init__(self) -> None:
        if self.camera not in CAMERA_NAMES or min(self.width, self.height) < 1:
            raise ConfigError(f"expected a camera among {', '.join(CAMERA_NAMES)} and a size, got {self}")
        if len(self.frames) < 2 or list(self.frames) != sorted(set(self.frames)):
            raise ConfigError(f"frames: expected at least two, in the order of time, got {self.frames}")


class WindowTargets:
    """A target builder of NAVSIM's interface."""

    def __init__(self, config: WindowConfig = WindowConfig()):
        self.config = config

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        config = self.config
        frames = "_".join(map(str, config.frames))
        return f"latentvla_window_{config.camera}_{config.width}x{config.height}_{frames}"

    def compute_targets(self, scene: Scene) -> Dict[str, torch.Tensor]:
        """frames (T, 3, H, W) uint8; motion (T - 1, 7) float32, see `data.scene.MOTION_SIZE`; `PROJECTION` (3, 4)
        float32 of the camera in the first of them, as of `features.cameras`.

        Raises `DataError` where the scene has no such frame, or a frame no such picture.
        """
        config = self.config
        indices = [scene.current_index + offset for offset in config.frames]
        if not 0 <= indices[0] <= indices[-1] < len(scene.frames):
            raise DataError(f"scene {scene.token}: expected frames {config.frames} around the current one")
        pictures = np.zeros((len(indices), 3, config.height, config.width), np.uint8)
        cameras = [self._read(scene, index) for index in indices]
        for out, camera in zip(pictures, cameras):
            average_into(out, camera.image)
        return {
            "frames": torch.from_numpy(pictures),
            "motion": measure_motion(scene, indices),
            PROJECTION: torch.from_numpy(project_to_picture(cameras[0]).astype(np.float32)),
        }

    def _read(self, scene: Scene, index: int) -> Any:
        frame, config = scene.frames[index], self.config
        if scene.sensor_files is None:
            raise DataError(f"scene {scene.token}: no sensor files are open")
        size = config.width, config.height
        cameras, _ = scene.sensor_files.load(frame.token, frame.sensors, [config.camera], size)
        camera = getattr(cameras, config.camera)
        if camera.image is None:
            raise DataError(f"scene {scene.token}: frame {frame.token} has no picture of {config.camera}")
        return camera


def measure_motion(scene: Scene, indices: Sequence[int]) -> torch.Tensor:
    """(T - 1, 7) of the transitions between frames."""
    poses, rows = scene.global_ego_poses(), []
    for before, after in zip(indices, indices[1:]):
        way = to_local_frame(poses[after : after + 1], poses[before])[0]
        status = scene.frames[before].ego_status
        rows.append(np.concatenate([way[: PoseIndex.HEADING + 1], status.ego_velocity, status.ego_acceleration]))
    return torch.from_numpy(np.stack(rows).astype(np.float32))
