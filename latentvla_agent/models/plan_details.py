"""What a planner weighed before it chose: proposals with their scores, and the latent actions that it was told."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

import torch
from torch import nn

from latentvla_agent.models.latent_tokens import ACTION_LOGITS

POSE_DECIMALS, SHARE_DECIMALS = 2, 3  # centimetres; thousandths
DEFAULT_TRANSITIONS = 1  # of codes whose vocabulary nobody knows


def describe_details(model: nn.Module, outputs: Mapping[str, Any], plan: int) -> Dict[str, Any]:
    """Details of the scene at position `plan` of a pass, as JSON holds them; what the model has not is left out.

    `proposals` N x T x 3, those of the last refinement [m, rad, ego frame], and `proposal_scores` N in 0…1, what the
    planner expects of each: of `outputs` "proposals" (B, K, N, T, 3) and "scores" (B, N, S), logits, the total last.
    `codes` S, the likeliest ones in the order of time, `code_shares` S, their probabilities, `transitions`, over how
    many of them they are spread: of "action_logits" (B, S, codes).
    """
    details: Dict[str, Any] = {}
    if "proposals" in outputs and "scores" in outputs:
        details["proposals"] = _round(outputs["proposals"][plan, -1], POSE_DECIMALS)
        details["proposal_scores"] = _round(outputs["scores"][plan, :, -1].float().sigmoid(), SHARE_DECIMALS)
    if ACTION_LOGITS in outputs:
        shares, codes = outputs[ACTION_LOGITS][plan].float().softmax(dim=-1).max(dim=-1)
        details.update(codes=codes.tolist(), code_shares=_round(shares, SHARE_DECIMALS))
        details["transitions"] = _count_transitions(model, len(codes))
    return details


def _round(values: torch.Tensor, decimals: int) -> List[Any]:
    rounded: List[Any] = values.detach().double().cpu().numpy().round(decimals).tolist()
    return rounded


def _count_transitions(model: nn.Module, num_codes: int) -> int:
    """As the vocabulary of whoever made the codes says, which is a module's own or its config's."""
    for module in model.modules():
        vocabulary = getattr(module, "vocabulary", None) or getattr(getattr(module, "config", None), "vocabulary", None)
        if vocabulary is not None and vocabulary.num_slots == num_codes:
            return int(vocabulary.num_transitions)
    return DEFAULT_TRANSITIONS
