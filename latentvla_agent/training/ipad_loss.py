"""iPad's losses (method page, "The two planners"): the best proposal imitates, all proposals are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict

import torch
from torch.nn.functional import binary_cross_entropy_with_logits, l1_loss

Tensors = Dict[str, torch.Tensor]


@dataclass(frozen=True)
class IPadLossConfig:
    """Weights of the parts."""

    imitation: float = 1.0
    other_proposals: float = 0.0  # of the imitation of all proposals, which keeps them from being nowhere (D)
    earlier_refinements: float = 0.1  # of the imitation of each refinement but the last
    scores: float = 1.0
    choice: float = 0.0  # of the true score that a proposal drawn by the predicted ones would miss (D)
    choice_temperature: float = 0.5  # of that draw, in logits of the score
    areas: float = 2.0
    hits: float = 1.0  # whether a proposal hits something
    hit_boxes: float = 0.1  # what it hits
    heading: float = 1.0  # a radian, in metres of the imitation

    @property
    def needs_labels(self) -> bool:
        """Whether anything but the human's trajectory is learned from."""
        return any(weight > 0.0 for weight in (self.scores, self.choice, self.areas, self.hits, self.hit_boxes))


def ipad_loss(predictions: Tensors, targets: Tensors, labels: Tensors, config: IPadLossConfig) -> Tensors:
    """Parts of the loss, weighted, to be added up; `labels` as `ProposalScorer.label` gives them for the last
    refinement, `targets["trajectory"]` (B, T, 3)."""
    imitation = imitate_best(predictions["proposals"], targets["trajectory"], config)
    is_hit, box = labels["hits"][..., :1], labels["hits"][..., 1:]
    hit_error = l1_loss(predictions["hits"][..., 1:], box, reduction="none") * is_hit
    return {
        "imitation": config.imitation * imitation,
        "scores": config.scores * binary_cross_entropy_with_logits(predictions["scores"], labels["scores"]),
        "choice": config.choice * miss_best(predictions["scores"], labels["scores"], config.choice_temperature),
        "areas": config.areas * binary_cross_entropy_with_logits(predictions["areas"], labels["areas"]),
        "hits": config.hits * binary_cross_entropy_with_logits(predictions["hits"][..., :1], is_hit),
        "hit_boxes": config.hit_boxes * hit_error.sum() / (is_hit.sum() * box.shape[-1]).clamp(min=1.0),
    }


def miss_best(logits: torch.Tensor, scores: torch.Tensor, temperature: float) -> torch.Tensor:
    """How far below the best proposal's true score that of a drawn one is to be expected; (B, N, S), the score last.

    Judging all proposals equally well is another matter than choosing well among the best of them.
    """
    shares = (logits[..., -1] / temperature).softmax(dim=1)
    true = scores[..., -1]
    missed: torch.Tensor = (true.amax(dim=1) - (shares * true).sum(dim=1)).mean()
    return missed


def imitate_best(proposals: torch.Tensor, human: torch.Tensor, config: IPadLossConfig) -> torch.Tensor:
    """Winner takes all: of each refinement (B, K, N, T, 3) the proposal nearest to the human's (B, T, 3) learns, and
    all others a little where the config says so."""
    x, y, heading = (proposals - human[:, None, None]).abs().unbind(dim=-1)
    distance = (x + y + config.heading * heading).mean(dim=-1)  # (B, K, N)
    error = (distance.amin(dim=-1) + config.other_proposals * distance.mean(dim=-1)).mean(dim=0)  # (K,)
    last: torch.Tensor = error[-1] + config.earlier_refinements * error[:-1].sum()
    return last
