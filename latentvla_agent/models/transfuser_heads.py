"""What TransFuser says beside the trajectory: boxes of agents, and the ground in front as classes."""

from __future__ import annotations

import math
from typing import Tuple

import torch
from torch import nn
from torch.nn import functional

from latentvla_agent.data.scene import AgentBoxIndex
from latentvla_agent.models.transfuser_config import TransfuserConfig


def make_perceptron(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, outputs))


class AgentHead(nn.Module):
    """(B, N, D) queries to boxes (B, N, 5), columns `AgentBoxIndex`, and logits (B, N) that there is such an agent."""

    def __init__(self, config: TransfuserConfig):
        super().__init__()
        self.boxes = make_perceptron(config.model_size, config.feedforward_size, len(AgentBoxIndex))
        self.logits = nn.Linear(config.model_size, 1)
        ranges = [math.inf] * len(AgentBoxIndex)
        ranges[AgentBoxIndex.X] = ranges[AgentBoxIndex.Y] = config.agent_range
        ranges[AgentBoxIndex.HEADING] = math.pi
        self.ranges = ranges

    def forward(self, queries: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Positions and heading are bounded; length and width are what they are."""
        raw = self.boxes(queries).unbind(-1)
        bounded = [value if math.isinf(end) else value.tanh() * end for value, end in zip(raw, self.ranges)]
        return torch.stack(bounded, dim=-1), self.logits(queries).squeeze(-1)


class BEVHead(nn.Module):
    """(B, C, *bev_tokens) to logits (B, classes, *bev_size) of the ground in front of the ego."""

    def __init__(self, config: TransfuserConfig, channels: int):
        super().__init__()
        width = config.bev_channels
        self.size, self.middle, self.align = config.bev_size, config.lidar_size // 4, config.align_bev
        self.input = nn.Conv2d(channels, width, 1)
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, width, 3, padding=1)
        self.classes = nn.Conv2d(width, config.num_bev_classes, 1)

    def forward(self, bev: torch.Tensor) -> torch.Tensor:
        """Twice as fine, then a quarter of the histogram's size, then of the wanted size."""
        if self.align:
            bev = bev[:, :, bev.shape[2] // 2 :]  # rows run forward: the half before the ego
        middle = (self.middle // 2 if self.align else self.middle, self.middle)
        value = functional.relu(self.input(bev))
        value = functional.relu(self.first(_enlarge(value, (2 * value.shape[2], 2 * value.shape[3]))))
        value = functional.relu(self.second(_enlarge(value, middle)))
        return _enlarge(self.classes(functional.relu(self.third(value))), self.size)


def _enlarge(value: torch.Tensor, size: Tuple[int, int]) -> torch.Tensor:
    return functional.interpolate(value, size=tuple(size), mode="bilinear", align_corners=False)
