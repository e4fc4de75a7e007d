"""What the ego is doing and was told to do, as a vector."""

from __future__ import annotations

from typing import Any, Dict

import numpy as np
import torch


class EgoStatusFeatures:
    """A feature builder of NAVSIM's interface: the ego status of the current frame."""

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        return "latentvla_ego_status"

    def compute_features(self, agent_input: Any) -> Dict[str, torch.Tensor]:
        """{"ego_status": (8,) float32}, columns `data.scene.EgoStatusIndex`."""
        status = agent_input.ego_statuses[-1]
        parts = (status.ego_velocity, status.ego_acceleration, status.driving_command)
        return {"ego_status": torch.from_numpy(np.concatenate([np.asarray(part, np.float32) for part in parts]))}
