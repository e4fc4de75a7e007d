"""Frames to the coarse grid of features that the latent action model reads and predicts."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Tuple

import torch
from torch import nn

from latentvla_agent.models.backbones import BackboneConfig, make_backbone, make_normalization
from latentvla_agent.models.latent_tokens import Tensors

REMEMBERED = 64  # frames


class FrameEncoder(nn.Module):
    """A frozen backbone, passed in by its config, and a mean over the cells of a grid (rows, columns).

    Windows of one log overlap: a frame is in up to four of them. What the last frames gave is remembered, as long as
    nobody trains.
    """

    def __init__(self, backbone: BackboneConfig, grid: Tuple[int, int]):
        super().__init__()
        self.config, self.grid = backbone, grid
        self.normalization = make_normalization(backbone)
        self.backbone = make_backbone(backbone)
        self.pool = nn.AdaptiveAvgPool2d(grid)
        self._remembered: OrderedDict[Tuple[bytes, int], torch.Tensor] = OrderedDict()

    def encode(self, features: Tensors) -> Tensors:
        """`frames` (B, T, 3, H, W) uint8 to `frame_features` (B, T, rows * columns, C)."""
        frames = features["frames"]
        flat = frames.flatten(0, 1)
        found = self._see(flat) if torch.is_grad_enabled() else torch.stack([self._recall(frame) for frame in flat])
        return {"frame_features": found.unflatten(0, frames.shape[:2])}

    def forward(self, frames: torch.Tensor) -> torch.Tensor:
        """The same without names."""
        return self.encode({"frames": frames})["frame_features"]

    def _see(self, frames: torch.Tensor) -> torch.Tensor:
        """(B, 3, H, W) uint8 to (B, rows * columns, C)."""
        maps: torch.Tensor = self.pool(self.backbone(self.normalization(frames))[-1])
        return maps.flatten(2).transpose(1, 2)

    def _recall(self, frame: torch.Tensor) -> torch.Tensor:
        """(rows * columns, C) of a frame (3, H, W); loading weights changes the version of them all."""
        pixels = hashlib.blake2b(frame.cpu().numpy().tobytes(), digest_size=16).digest()
        key = pixels, next(self.backbone.parameters())._version
        if key not in self._remembered:
            self._remembered[key] = self._see(frame[None])[0]
        self._remembered.move_to_end(key)
        while len(self._remembered) > REMEMBERED:
            self._remembered.popitem(last=False)
        return self._remembered[key]
