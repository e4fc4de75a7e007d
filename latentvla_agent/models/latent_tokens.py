"""What a planner is told about latent actions: the same of a teacher, of its student, or of a cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, NamedTuple

import torch

Tensors = Dict[str, torch.Tensor]

VISUAL_TOKENS, ACTION_TOKENS, ACTION_LOGITS = "visual_tokens", "action_tokens", "action_logits"  # names of features


@dataclass(frozen=True)
class ActionVocabulary:
    """Latent actions of a scene: codes of several transitions of the future, in the order of time (paper: 12 of 16)."""

    num_transitions: int = 3
    codes_per_transition: int = 4
    num_codes: int = 16

    @property
    def num_slots(self) -> int:
        """Codes of a scene."""
        return self.num_transitions * self.codes_per_transition


class LatentTokens(NamedTuple):
    """Embeddings of what is seen (B, N, D) and of the actions (B, S, D), and the logits (B, S, codes) of the latter."""

    visual: torch.Tensor
    action: torch.Tensor
    logits: torch.Tensor

    def as_features(self) -> Tensors:
        """Under the names that `LatentFusion` reads."""
        return {VISUAL_TOKENS: self.visual, ACTION_TOKENS: self.action, ACTION_LOGITS: self.logits}
