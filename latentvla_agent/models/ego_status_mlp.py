"""A perceptron that sees nothing but the ego status: what a planner must beat to have looked at all."""

from __future__ import annotations

from typing import Dict, List

import torch

POSE_SIZE = 3  # x, y, heading


class EgoStatusMLP(torch.nn.Module):
    """{"ego_status": (B, 8)} gives {"trajectory": (B, T, 3)}, poses x, y [m], heading [rad] in the ego frame."""

    def __init__(self, input_size: int = 8, hidden_size: int = 512, num_hidden_layers: int = 3, num_poses: int = 8):
        super().__init__()
        sizes = [input_size] + [hidden_size] * num_hidden_layers
        layers: List[torch.nn.Module] = []
        for before, after in zip(sizes, sizes[1:]):
            layers += [torch.nn.Linear(before, after), torch.nn.ReLU()]
        self.layers = torch.nn.Sequential(*layers, torch.nn.Linear(sizes[-1], num_poses * POSE_SIZE))
        self.num_poses = num_poses

    def forward(self, features: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
        """One trajectory per row of the batch."""
        poses = self.layers(features["ego_status"])
        return {"trajectory": poses.reshape(-1, self.num_poses, POSE_SIZE)}
