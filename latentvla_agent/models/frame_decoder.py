"""The later frame, from the one before and a transition's codes: the forward dynamics of the latent action model."""

from __future__ import annotations

from typing import Dict, Optional

import torch
from torch import nn

from latentvla_agent.data.scene import MOTION_SIZE, PoseIndex
from latentvla_agent.models.blocks import Block
from latentvla_agent.models.latent_action_config import LatentActionConfig
from latentvla_agent.models.street_warp import StreetWarp

POSE_SIZE = PoseIndex.HEADING + 1  # dx, dy [m], dyaw [rad]


class FrameDecoder(nn.Module):
    """Moves the frame before as the ego moved, and adds what a transformer says of the rest.

    In the first step the motion is told. In the second one the ego's codes say it, and are heard of nothing else: what
    they could tell of the scene would pay better than how far the ego gets. Untrained, it says that nothing but the ego
    moves.
    """

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        width, self.config = config.width, config
        self.warp = StreetWarp(config)
        self.input = nn.Conv2d(2 * config.feature_size, width, config.patch, config.patch)  # before and after it moved
        self.places = nn.Parameter(0.02 * torch.randn(config.num_tokens, width))
        numbers = config.vocabulary.codes_per_transition * config.quantiser.size
        self.environment = nn.Linear(numbers, width)
        self.motion = nn.Linear(POSE_SIZE, width)
        self.motion_of_codes = nn.Linear(numbers, POSE_SIZE) if config.step == "ego" else None
        self.register_buffer("motion_mean", torch.zeros(POSE_SIZE))
        self.register_buffer("motion_deviation", torch.ones(POSE_SIZE))
        self.motion_mean: torch.Tensor
        self.motion_deviation: torch.Tensor
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in range(config.decoder_depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.feature_size * config.patch**2)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self,
        maps: torch.Tensor,
        vectors: Dict[str, torch.Tensor],
        projections: torch.Tensor,
        motion: Optional[torch.Tensor],
    ) -> torch.Tensor:
        """Pooled maps (B, C, r, k) of normalised ones (B, C, R, K) and vectors (B, Q, d) of each kind; `motion`
        (B, 7) in the first step, `projections` (B, 3, 4)."""
        flat = {kind: own.flatten(1) for kind, own in vectors.items()}
        moves = self.tell_motion(flat, motion)
        moved = self.pool(self.warp(maps, self.motion_mean + self.motion_deviation * moves, projections))
        tokens = self.input(torch.cat([self.pool(maps), moved], dim=1)).flatten(2).transpose(1, 2) + self.places
        tokens = tokens + (self.motion(moves) + self.environment(flat["environment"]))[:, None]
        for block in self.blocks:
            tokens, _ = block(tokens)
        rest = self.output(self.norm(tokens)).transpose(1, 2).unflatten(2, self.config.token_grid)
        predicted: torch.Tensor = moved + nn.functional.pixel_shuffle(rest, self.config.patch)
        return predicted

    def set_statistics(self, motion: torch.Tensor) -> None:
        """Take mean and deviation of motions (..., 7)."""
        poses = motion.flatten(0, -2)[:, :POSE_SIZE]
        self.motion_mean.copy_(poses.mean(dim=0))
        self.motion_deviation.copy_(poses.std(dim=0).clamp(min=1e-6))

    def tell_motion(self, codes: Dict[str, torch.Tensor], motion: Optional[torch.Tensor]) -> torch.Tensor:
        """dx, dy and dyaw (B, 3) in deviations from their mean: the true ones, or what the ego's codes say."""
        if self.motion_of_codes is not None:
            said: torch.Tensor = self.motion_of_codes(codes["ego"])
            return said
        assert motion is not None and motion.shape[-1] == MOTION_SIZE
        return (motion[:, :POSE_SIZE] - self.motion_mean) / self.motion_deviation

    def pool(self, maps: torch.Tensor) -> torch.Tensor:
        """What is predicted of maps: the means of squares of cells."""
        return nn.functional.avg_pool2d(maps, self.config.pool)
