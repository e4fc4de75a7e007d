"""A teacher that plans by itself: its embeddings to a trajectory, in numbers or in words.

What the fused planner is compared with: the abstract says that models that write trajectories are imprecise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

import torch
from torch import nn

from latentvla_agent.data.pose_bins import PoseBins
from latentvla_agent.data.scene import EgoStatusIndex, PoseIndex
from latentvla_agent.models.latent_tokens import ACTION_TOKENS, VISUAL_TOKENS, Tensors
from latentvla_agent.models.motion import MotionConfig, MotionIndex, integrate_motion
from latentvla_agent.models.told_model import ToldModel


@dataclass(frozen=True)
class DirectPlannerConfig:
    """`bins`: each number of each pose is one of them, chosen by itself; None: accelerations and curvatures."""

    hidden_size: int = 256
    num_poses: int = 8
    motion: MotionConfig = MotionConfig(gain=0.3)
    bins: Optional[PoseBins] = None


class DirectPlanner(ToldModel):
    """`student`, a teacher or a student, and a small head on its tokens; whose they are stays as it is."""

    def __init__(self, student: Any, token_width: int, num_slots: int = 12, config: Any = DirectPlannerConfig()):
        super().__init__(student)
        self.config, self.num_poses = config, config.num_poses
        columns = len(MotionIndex) if config.bins is None else len(PoseIndex) * config.bins.count
        size = (num_slots + 1) * token_width + len(EgoStatusIndex)
        self.head = nn.Sequential(
            nn.LayerNorm(size),
            nn.Linear(size, config.hidden_size),
            nn.GELU(),
            nn.Linear(config.hidden_size, config.hidden_size),
            nn.GELU(),
            nn.Linear(config.hidden_size, config.num_poses * columns),
        )

    def encode(self, features: Tensors) -> Tensors:
        """A cache keeps no pictures: those are the teacher's, whose tokens have caches of their own."""
        return {}

    def forward(self, features: Tensors) -> Tensors:
        """The "trajectory" (B, T, 3); in words also "pose_logits" (B, T, 3, bins), of which the likeliest are taken,
        and "pose_centers" (3, bins), what they stand for."""
        features = self.add_tokens(features)
        said = features[ACTION_TOKENS].flatten(1)
        seen = features[VISUAL_TOKENS].mean(dim=1)
        raw = self.head(torch.cat([said, seen, features["ego_status"]], dim=1)).unflatten(1, (self.num_poses, -1))
        bins = self.config.bins
        if bins is None:
            return {"trajectory": integrate_motion(raw, features["ego_status"], self.config.motion)}
        logits = raw.unflatten(2, (len(PoseIndex), bins.count))
        centers = torch.as_tensor(bins.centers(), dtype=raw.dtype, device=raw.device)
        chosen = centers.expand(*logits.shape).gather(-1, logits.argmax(dim=-1, keepdim=True))[..., 0]
        return {"trajectory": chosen, "pose_logits": logits, "pose_centers": centers}
