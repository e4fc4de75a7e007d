"""What TransFuser learns: the human's trajectory, the vehicles around, and the scene from above."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict

import torch

from latentvla_agent.features.agent_boxes import nearest_vehicles
from latentvla_agent.features.bev_semantics import BevConfig, draw_bev
from latentvla_agent.features.trajectory import TrajectoryTargets


@dataclass(frozen=True)
class TransfuserTargetsConfig:
    """Poses at 2 Hz, number of boxes and how far away [m] they may be, the picture from above."""

    num_poses: int = 8
    num_agents: int = 30
    agent_reach: float = 32.0
    bev: BevConfig = field(default_factory=BevConfig)


class TransfuserTargets:
    """A target builder of NAVSIM's interface, for scenes of ours with maps."""

    def __init__(self, config: TransfuserTargetsConfig = TransfuserTargetsConfig()):
        self.config = config
        self._trajectory = TrajectoryTargets(config.num_poses)

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        config = self.config
        bev = f"{config.bev.rows}x{config.bev.columns}"
        return f"latentvla_transfuser_targets_{config.num_poses}_{config.num_agents}_{bev}"

    def compute_targets(self, scene: Any) -> Dict[str, torch.Tensor]:
        """trajectory (T, 3) float32, agent_boxes (A, 5) float32 and agent_labels (A,) bool: see `nearest_vehicles`,

        bev_semantics (rows, columns) uint8: see `draw_bev`.
        """
        frame = scene.frames[scene.scene_metadata.num_history_frames - 1]
        boxes, labels = nearest_vehicles(frame.annotations, self.config.num_agents, self.config.agent_reach)
        return {
            **self._trajectory.compute_targets(scene),
            "agent_boxes": torch.from_numpy(boxes),
            "agent_labels": torch.from_numpy(labels),
            "bev_semantics": torch.from_numpy(draw_bev(scene, self.config.bev)),
        }
