"""Losses of TransFuser: imitation, agents that are matched to predictions, semantics of the bird's-eye view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment
from torch.nn import functional

from latentvla_agent.data.scene import AgentBoxIndex

Tensors = Dict[str, torch.Tensor]
POSITION = slice(AgentBoxIndex.X, AgentBoxIndex.HEADING)


@dataclass(frozen=True)
class TransfuserLossConfig:
    """Weights, as in NAVSIM's TransFuser; 0 leaves a task out, with its targets."""

    trajectory: float = 10.0
    agent_class: float = 10.0
    agent_box: float = 1.0
    bev: float = 10.0
    # Half angle [rad] around straight ahead outside of which agents count as absent: the latent variant sees no others.
    field_of_view: Optional[float] = None  # NAVSIM's latent variant: 4/9 pi


def transfuser_loss(targets: Tensors, predictions: Tensors, config: TransfuserLossConfig) -> Tensors:
    """The weighted sum under "loss", its parts, unweighted, under "trajectory", "agent_class", "agent_box", "bev".

    Targets: "trajectory" (B, T, 3), "agent_boxes" (B, N, 5), "agent_labels" (B, N) bool, "bev_semantics" (B, H, W).
    Predictions: those of `Transfuser`.
    """
    parts = {"trajectory": functional.l1_loss(predictions["trajectory"], targets["trajectory"])}
    if config.agent_class or config.agent_box:
        parts.update(agent_losses(targets, predictions, config))
    if config.bev:
        parts["bev"] = functional.cross_entropy(predictions["bev_logits"], targets["bev_semantics"].long())
    total = sum(getattr(config, name) * value for name, value in parts.items())
    return {"loss": torch.as_tensor(total), **{name: value.detach() for name, value in parts.items()}}


def agent_losses(targets: Tensors, predictions: Tensors, config: TransfuserLossConfig) -> Tensors:
    """Mean cross entropy of all labels; L1 distance of boxes, summed over columns, per true agent in the batch."""
    boxes, logits = targets["agent_boxes"], predictions["agent_logits"]
    present = _visible(boxes, targets["agent_labels"], config)
    match = match_agents(boxes, present, predictions["agent_boxes"], logits, config)
    matched = boxes.gather(1, match[..., None].expand_as(boxes))
    valid = present.gather(1, match).to(logits.dtype)
    distance = functional.l1_loss(predictions["agent_boxes"], matched, reduction="none").sum(-1)
    return {
        "agent_class": functional.binary_cross_entropy_with_logits(logits, valid),
        "agent_box": (distance * valid).sum() / present.sum().clamp(min=1),
    }


@torch.no_grad()
def match_agents(
    boxes: torch.Tensor,
    present: torch.Tensor,
    predicted: torch.Tensor,
    logits: torch.Tensor,
    config: TransfuserLossConfig,
) -> torch.Tensor:
    """Index (B, N) int64 of the true box that each prediction answers for: the assignment of least cost per scene.

    The cost of a pair is the weighted cross entropy of the label plus, where there is an agent, the weighted L1
    distance of the positions.
    """
    logits, predicted = logits.float(), predicted.float()
    labels = present.to(logits.dtype)[:, None, :]
    cross_entropy = functional.softplus(logits)[:, :, None] - logits[:, :, None] * labels
    distance = torch.cdist(predicted[..., POSITION], boxes[..., POSITION].to(logits.dtype), p=1.0) * labels
    cost = (config.agent_class * cross_entropy + config.agent_box * distance).cpu().numpy()
    # Rows come back in their order, as there are as many predictions as boxes.
    return torch.from_numpy(np.stack([linear_sum_assignment(scene)[1] for scene in cost])).to(logits.device)


def _visible(boxes: torch.Tensor, labels: torch.Tensor, config: TransfuserLossConfig) -> torch.Tensor:
    if config.field_of_view is None:
        return labels
    bearing = torch.atan2(boxes[..., AgentBoxIndex.Y], boxes[..., AgentBoxIndex.X])
    return labels & (bearing.abs() <= config.field_of_view)
