"""Tokens that say nothing of the scene: what a fused planner gains by them is not what latent actions are worth.

Method page, "Controls".
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from latentvla_agent.models.latent_tokens import ActionVocabulary, LatentTokens, Tensors

PLACES = 1e3  # ego states that differ by a thousandth are told apart


class RandomTokens(nn.Module):
    """Random numbers, the same ones in every scene. Is it the fusion module?"""

    def __init__(self, token_width: int, num_seen: int, vocabulary: ActionVocabulary = ActionVocabulary()):
        super().__init__()
        slots, codes = vocabulary.num_slots, vocabulary.num_codes
        for name, shape in (("visual", (num_seen, token_width)), ("action", (slots, token_width))):
            self.register_buffer(name, torch.randn(1, *shape))
        self.register_buffer("logits", torch.randn(1, slots, codes))

    def forward(self, features: Tensors) -> LatentTokens:
        """As many as there are scenes in `ego_status` (B, 8)."""
        count = len(features["ego_status"])
        visual, action, logits = (getattr(self, name).expand(count, -1, -1) for name in LatentTokens._fields)
        return LatentTokens(visual, action, logits)


class ForeignTokens(nn.Module):
    """A student's tokens of some other scene. Does the content matter?

    Those of the first `num_kept` scenes that it sees in training are kept, with the weights; from then on each scene
    gets those that its ego status falls upon, which is the same ones whenever it comes.
    """

    def __init__(self, student: Any, num_kept: int = 64):
        super().__init__()
        self.student = student
        config, vocabulary = student.config, student.config.vocabulary
        sizes = {
            "visual": (student.num_seen, config.token_width),
            "action": (vocabulary.num_slots, config.token_width),
            "logits": (vocabulary.num_slots, vocabulary.num_codes),
        }
        for name, size in sizes.items():
            self.register_buffer(name, torch.zeros(num_kept, *size))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.count: torch.Tensor

    def forward(self, features: Tensors) -> LatentTokens:
        """See the class."""
        own: LatentTokens = self.student(features)
        self._keep(own)
        status = (features["ego_status"].double() * PLACES).round().long()
        weights = torch.arange(1, status.shape[1] + 1, device=status.device)
        index = (status * weights).sum(dim=1).abs() % self.count
        visual, action, logits = (getattr(self, name)[index] for name in LatentTokens._fields)
        return LatentTokens(visual, action, logits)

    def _keep(self, tokens: LatentTokens) -> None:
        first = int(self.count)
        for name, value in tokens._asdict().items():
            kept = getattr(self, name)
            kept[first : first + len(value)] = value[: len(kept) - first].detach()
            self.count.fill_(min(first + len(value), len(kept)))
