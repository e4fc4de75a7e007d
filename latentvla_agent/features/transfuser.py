"""What TransFuser sees: three cameras side by side, the lidar from above, the ego status.

Pictures and histogram are those of NAVSIM's own TransFuser (`navsim/agents/transfuser`): equal for pictures of 1920 x
1080 and the sizes of the paper, which are the defaults. Theirs are floats, ours 0 to 255 and counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping

import numpy as np
import torch

from latentvla_agent.data.sensors import SensorConfig
from latentvla_agent.errors import ConfigError
from latentvla_agent.features.cameras import CURRENT_FRAME
from latentvla_agent.features.ego_status import EgoStatusFeatures
from latentvla_agent.features.lidar_histogram import LidarHistogramConfig, count_points
from latentvla_agent.features.pictures import Planes, sample_into

FULL_SIZE = (1920, 1080)  # of the pictures that the crops are given for [px]
CUT_ROWS = 28  # above and below
CUT_COLUMNS: Mapping[str, int] = {"cam_l0": 416, "cam_f0": 0, "cam_r0": 416}  # left and right; in the order of the row
STITCHED_SIZE = (4096, 1024)  # [px] of the row of crops
WHOLE_CUTS = (480, 270)  # [px]: in smaller pictures a cut ends within a pixel


@dataclass(frozen=True)
class TransfuserFeaturesConfig:
    """Size of the stitched picture [px], the histogram, and what to leave out.

    `with_lidar`: False for the latent variant, which asks for no point cloud. `reduced`: pictures may be decoded at a
    half, a quarter or an eighth: several times faster, about half a grey level from the exact ones. `blank`: no sensor
    at all, zeros instead (controls).
    """

    width: int = 1024
    height: int = 256
    histogram: LidarHistogramConfig = field(default_factory=LidarHistogramConfig)
    with_lidar: bool = True
    reduced: bool = False
    blank: bool = False

    def __post_init__(self) -> None:
        if self.width < 4 or self.height < 1:
            raise ConfigError(f"expected a picture of at least 4 x 1 px, got {self.width} x {self.height}")


class TransfuserFeatures:
    """A feature builder of NAVSIM's interface, of the current frame."""

    def __init__(self, config: TransfuserFeaturesConfig = TransfuserFeaturesConfig()):
        self.config = config
        self._ego_status = EgoStatusFeatures()
        self.sensor_config = SensorConfig.build_no_sensors()
        if not config.blank:
            asked: Dict[str, Any] = {name: [CURRENT_FRAME] for name in CUT_COLUMNS}
            lidar = [CURRENT_FRAME] if config.with_lidar else False
            self.sensor_config = SensorConfig(**asked, lidar_pc=lidar, picture_size=self._find_picture_size())

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        config = self.config
        flags = ("" if config.with_lidar else "_latent") + ("_blank" if config.blank else "")
        return f"latentvla_transfuser_{config.width}x{config.height}_{config.histogram.size}{flags}"

    def compute_features(self, agent_input: Any) -> Dict[str, torch.Tensor]:
        """Tensors of an `AgentInput`, ours or NAVSIM's.

        image (3, H, W) uint8: left, front and right camera, cropped. lidar (1, G, G) uint8: see `count_points`;
        NAVSIM's values are these divided by `max_count`. camera_present (3,) and lidar_present () bool: what is
        missing is zeros. ego_status (8,): see `EgoStatusFeatures`.
        """
        size, config = self.config.histogram.size, self.config
        image, present = np.zeros((3, config.height, config.width), np.uint8), np.zeros(len(CUT_COLUMNS), bool)
        lidar, points = np.zeros((1, size, size), np.uint8), None
        if not config.blank:
            present = self._stitch_into(image, agent_input.cameras[-1])
            points = agent_input.lidars[-1].lidar_pc if config.with_lidar else None
        if points is not None:
            lidar = count_points(points, config.histogram)
        return {
            "image": torch.from_numpy(image),
            "lidar": torch.from_numpy(lidar),
            "camera_present": torch.from_numpy(present),
            "lidar_present": torch.tensor(points is not None),
            **self._ego_status.compute_features(agent_input),
        }

    def _stitch_into(self, image: Planes, cameras: Any) -> Any:
        """Write the crops side by side; which cameras (3,) are there. Each crop is resized on its own."""
        present = np.zeros(len(CUT_COLUMNS), bool)
        left, scale = 0, self.config.width / STITCHED_SIZE[0]
        for index, (name, cut) in enumerate(CUT_COLUMNS.items()):
            start, left = left, left + FULL_SIZE[0] - 2 * cut
            picture = getattr(cameras, name).image
            if picture is not None:
                height, width = picture.shape[:2]
                rows, columns = round(CUT_ROWS * height / FULL_SIZE[1]), round(cut * width / FULL_SIZE[0])
                place = image[:, :, round(start * scale) : round(left * scale)]
                sample_into(place, picture[rows : height - rows, columns : width - columns])
                present[index] = True
        return present

    def _find_picture_size(self) -> Any:
        """A picture of this size has a pixel for each of ours, and is cut between two of them."""
        if not self.config.reduced:
            return None
        sizes = zip((self.config.width, self.config.height), FULL_SIZE, STITCHED_SIZE, WHOLE_CUTS)
        return tuple(max(-(-wanted * full // stitched), least) for wanted, full, stitched, least in sizes)
