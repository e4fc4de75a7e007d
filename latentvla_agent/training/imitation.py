"""Imitation of the human's trajectory."""

from __future__ import annotations

from typing import Dict

import torch

Tensors = Dict[str, torch.Tensor]


def imitation_loss(targets: Tensors, predictions: Tensors) -> torch.Tensor:
    """Mean absolute error over poses (B, T, 3); metres and radians weigh the same, as in NAVSIM's own baseline."""
    return torch.nn.functional.l1_loss(predictions["trajectory"], targets["trajectory"])


def writing_loss(targets: Tensors, predictions: Tensors) -> torch.Tensor:
    """Cross entropy of "pose_logits" (B, T, 3, bins) with the bins whose "pose_centers" (3, bins) are nearest."""
    logits, centers = predictions["pose_logits"], predictions["pose_centers"]
    written = (targets["trajectory"][..., None] - centers).abs().argmin(dim=-1)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 2), written.flatten())


def make_optimizer(model: torch.nn.Module, learning_rate: float) -> torch.optim.Optimizer:
    """Adam over all parameters."""
    return torch.optim.Adam(model.parameters(), lr=learning_rate)
