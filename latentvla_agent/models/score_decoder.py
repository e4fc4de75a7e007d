"""What iPad's scorer may know beyond its own queries: the other proposals, and all of the pictures.

D, not in iPad, whose scorer is one perceptron. The best of 64 proposals is worth 98 PDMS on minitown-dev and the chosen
one 83: signals and traffic that no corner of the ego box touches decide how fast is too fast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import torch
from torch import nn


@dataclass(frozen=True)
class ScoreDecoderConfig:
    """Sizes."""

    grid: Tuple[int, int] = (6, 10)  # tokens (rows, columns) of each picture
    width: int = 96
    num_layers: int = 2
    num_heads: int = 4
    feedforward_width: int = 192


class ScoreDecoder(nn.Module):
    """Proposals (B, N, d) that have looked at each other and at the pictures, (B, N, `config.width`)."""

    def __init__(self, config: ScoreDecoderConfig, width: int, num_cameras: int):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(config.grid)
        self.proposal_input, self.token_input = nn.Linear(width, config.width), nn.Linear(width, config.width)
        self.places = nn.Parameter(0.02 * torch.randn(num_cameras * config.grid[0] * config.grid[1], config.width))
        self.token_norm = nn.LayerNorm(config.width)
        self.layers = nn.ModuleList(
            nn.TransformerDecoderLayer(
                config.width,
                config.num_heads,
                config.feedforward_width,
                dropout=0.0,
                activation="gelu",
                batch_first=True,
                norm_first=True,
            )
            for _ in range(config.num_layers)
        )
        self.norm = nn.LayerNorm(config.width)

    def forward(self, proposals: torch.Tensor, ego: torch.Tensor, maps: torch.Tensor) -> torch.Tensor:
        """`ego` (B, 1, d); feature maps (B, C, d, h, w)."""
        pooled = self.pool(maps.flatten(0, 1)).unflatten(0, maps.shape[:2])
        tokens = self.token_input(pooled.permute(0, 1, 3, 4, 2).flatten(1, 3)) + self.places
        memory = self.token_norm(torch.cat([self.token_input(ego), tokens], dim=1))
        hidden: torch.Tensor = self.proposal_input(proposals)
        for layer in self.layers:
            hidden = layer(hidden, memory)
        scored: torch.Tensor = self.norm(hidden)
        return scored
