"""What the student learns from the teacher (method page, stage 3a)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, Optional

import torch
from torch.nn.functional import cross_entropy, kl_div, log_softmax, mse_loss

from latentvla_agent.models.latent_tokens import LatentTokens

Tensors = Dict[str, torch.Tensor]


@dataclass(frozen=True)
class DistillationConfig:
    """Weights. The forward divergence of each slot is the method's; the others are options."""

    divergence: float = 1.0
    temperature: float = 1.0
    codes: float = 0.0  # cross-entropy on the codes of the latent action model
    embeddings: float = 0.0  # squared error of the action embeddings, and of the mean of the visual ones


def distillation_loss(
    student: LatentTokens, teacher: LatentTokens, config: DistillationConfig, codes: Optional[torch.Tensor] = None
) -> Tensors:
    """Parts of the loss, weighted, to be added up; those of weight 0 are left out. `codes` (B, S) where they count.

    The divergence KL(teacher || student) is the mean over slots; a temperature's gradients are scaled back by its
    square (Hinton et al. 2015).
    """
    parts: Tensors = {}
    if config.divergence:
        parts["divergence"] = config.divergence * measure_divergence(teacher.logits, student.logits, config.temperature)
    if config.codes:
        if codes is None:
            raise ValueError("a weight for codes needs the codes")
        parts["codes"] = config.codes * cross_entropy(student.logits.flatten(0, 1), codes.flatten())
    if config.embeddings:
        action = mse_loss(student.action, teacher.action.detach())
        seen = mse_loss(student.visual.mean(dim=1), teacher.visual.detach().mean(dim=1))  # of other numbers of tokens
        parts["embeddings"] = config.embeddings * (action + seen)
    return parts


def measure_divergence(teacher: torch.Tensor, student: torch.Tensor, temperature: float = 1.0) -> torch.Tensor:
    """KL(teacher || student) [nat] of logits (..., codes), the mean over all slots; the teacher gets no gradient."""
    wanted = log_softmax(teacher.detach().float() / temperature, dim=-1).flatten(0, -2)
    found = log_softmax(student.float() / temperature, dim=-1).flatten(0, -2)
    return temperature**2 * kl_div(found, wanted, reduction="batchmean", log_target=True)
