"""The human's future as the target of imitation."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import torch


class TrajectoryTargets:
    """A target builder of NAVSIM's interface."""

    def __init__(self, num_poses: int):
        self._num_poses = num_poses

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        return f"latentvla_trajectory_{self._num_poses}"

    def compute_targets(self, scene: Any) -> Dict[str, torch.Tensor]:
        """{"trajectory": (T, 3) float32}: poses x, y [m], heading [rad] at 2 Hz in the current ego frame."""
        poses = scene.get_future_trajectory(self._num_poses).poses
        return {"trajectory": torch.from_numpy(np.asarray(poses, np.float32))}
