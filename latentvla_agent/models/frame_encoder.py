"""Frames to the coarse grid of features that the latent action model reads and predicts."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import nn

from latentvla_agent.models.backbones import BackboneConfig, make_backbone, make_normalization
from latentvla_agent.models.latent_tokens import Tensors


class FrameEncoder(nn.Module):
    """A frozen backbone, passed in by its config, and a mean over the cells of a grid (rows, columns)."""

    def __init__(self, backbone: BackboneConfig, grid: Tuple[int, int] = (6, 10)):
        super().__init__()
        self.config, self.grid = backbone, grid
        self.normalization = make_normalization(backbone)
        self.backbone = make_backbone(backbone)
        self.pool = nn.AdaptiveAvgPool2d(grid)

    def encode(self, features: Tensors) -> Tensors:
        """`frames` (B, T, 3, H, W) uint8 to `frame_features` (B, T, rows * columns, C)."""
        frames = features["frames"]
        maps = self.pool(self.backbone(self.normalization(frames.flatten(0, 1)))[-1])
        return {"frame_features": maps.flatten(2).transpose(1, 2).unflatten(0, frames.shape[:2])}

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The same without names."""
        return self.encode({"frames": frames})["frame_features"]
