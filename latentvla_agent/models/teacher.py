"""The teacher: a vision-language model that writes latent actions as tokens, from pictures, command and ego state.

Method page, stage 2. One interface, two kinds of backbones: open_clip (`open_clip_teacher`) and Hugging Face
(`qwen_teacher`). Nothing of the future goes in. A frozen teacher stays as it is, whatever its parent does.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Optional, Tuple

import torch
from torch import nn

from latentvla_agent.models.latent_tokens import ActionVocabulary, LatentTokens, Tensors


class Teacher(nn.Module, ABC):
    """Writes the codes of a scene one after another, each from what is seen, what was asked, and the codes before.

    What a backbone has to do: `look` at the features, which gives what is seen (B, N, width) and a state, and `write`
    tokens (B, L, width) behind that state. `width` is that of its tokens, `config` its own, with a `name`.
    """

    config: Any

    def __init__(self, vocabulary: ActionVocabulary, width: int):
        super().__init__()
        self.vocabulary, self.width, self.frozen = vocabulary, width, False
        self.slots = nn.Parameter(0.02 * torch.randn(vocabulary.num_slots, width))
        self.codes = nn.Embedding(vocabulary.num_codes, width)
        nn.init.normal_(self.codes.weight, std=0.02)
        self.logits = nn.Linear(width, vocabulary.num_codes)

    @abstractmethod
    def encode(self, features: Tensors) -> Tensors:
        """What a cache may keep of the pictures, where the tower that sees them is never trained."""

    @abstractmethod
    def look(self, features: Tensors) -> Tuple[torch.Tensor, Any]:
        """What is seen (B, N, width), and the state behind picture and prompt."""

    @abstractmethod
    def write(self, tokens: torch.Tensor, state: Any) -> Tuple[torch.Tensor, Any]:
        """What becomes of the next tokens (B, L, width), each of which sees those before it, and the state after."""

    def forward(self, features: Tensors, codes: Optional[torch.Tensor] = None) -> LatentTokens:
        """Tokens of a batch. With the true `codes` (B, S) each is predicted from the true ones before, all at once;
        without, from the likeliest ones before, one after another."""
        visual, state = self.look(features)
        slots = self.slots.expand(len(visual), -1, -1)
        if codes is not None:
            before = nn.functional.pad(self.codes(codes[:, :-1]), (0, 0, 1, 0))
            hidden, _ = self.write(slots + before, state)
            return LatentTokens(visual, hidden, self.logits(hidden))
        written, before = [], torch.zeros_like(slots[:, :1])
        for index in range(self.vocabulary.num_slots):
            hidden, state = self.write(slots[:, index : index + 1] + before, state)
            written.append(hidden)
            before = self.codes(self.logits(hidden).argmax(dim=-1))
        hidden = torch.cat(written, dim=1)
        return LatentTokens(visual, hidden, self.logits(hidden))

    def freeze(self) -> None:
        """From now on: no gradient, and eval mode."""
        self.frozen = True
        self.requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> Teacher:
        """As of any module, but a frozen teacher stays in eval mode."""
        super().train(mode and not self.frozen)
        return self
