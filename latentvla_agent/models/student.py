"""The student: a decision transformer that says from the planner's own features what the teacher would have said.

Method page, stage 3a. It needs neither the teacher nor anything that the planner does not compute anyway.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import List, Optional, Tuple

import torch
from torch import nn

from latentvla_agent.data.scene import EgoStatusIndex
from latentvla_agent.errors import ConfigError
from latentvla_agent.models.blocks import Block, Memory
from latentvla_agent.models.latent_tokens import ActionVocabulary, LatentTokens, Tensors

DECODINGS = ("parallel", "autoregressive")


@dataclass(frozen=True)
class StudentConfig:
    """The paper's 50 million parameters. `channels`: of the planner's `image_features`; `token_width`: the teacher's.

    "parallel": all actions at once, each sees the others' slots. "autoregressive": one after another, each sees the
    codes that were chosen before.
    """

    channels: int = 512
    num_cameras: int = 4  # 1 for one stitched picture
    grid: Tuple[int, int] = (4, 8)  # tokens (rows, columns) of each picture
    width: int = 576
    depth: int = 12
    num_heads: int = 9
    token_width: int = 512
    decoding: str = "parallel"
    vocabulary: ActionVocabulary = field(default_factory=ActionVocabulary)

    def __post_init__(self) -> None:
        if self.decoding not in DECODINGS:
            raise ConfigError(f"decoding: expected one of {', '.join(DECODINGS)}, got {self.decoding!r}")


@dataclass(frozen=True)
class TinyStudentConfig(StudentConfig):
    """For the tiny planners."""

    channels: int = 112
    width: int = 128
    depth: int = 4
    num_heads: int = 4
    token_width: int = 192


class Student(nn.Module):
    """Features of a planner to `LatentTokens` of the teacher's width.

    Codes are read off the action embeddings, as the teacher's are: what the planner gets has learnt what the codes
    teach. Its visual embeddings have the teacher's width, not the teacher's meaning, unless the loss asks for that.
    """

    def __init__(self, config: StudentConfig):
        super().__init__()
        self.config = config
        vocabulary, width = config.vocabulary, config.width
        self.num_seen = config.num_cameras * config.grid[0] * config.grid[1]
        self.pool = nn.AdaptiveAvgPool2d(config.grid)
        self.picture_input = nn.Linear(config.channels, width)
        self.ego_input = nn.Linear(len(EgoStatusIndex), width)
        self.places = nn.Parameter(0.02 * torch.randn(self.num_seen + 1, width))
        self.slots = nn.Parameter(0.02 * torch.randn(vocabulary.num_slots, width))
        self.codes = nn.Embedding(vocabulary.num_codes, width) if config.decoding == "autoregressive" else None
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(width)
        self.visual_output = nn.Linear(width, config.token_width)
        self.action_output = nn.Linear(width, config.token_width)
        self.logits = nn.Linear(config.token_width, vocabulary.num_codes)

    def forward(self, features: Tensors, codes: Optional[torch.Tensor] = None) -> LatentTokens:
        """`image_features` (B, C, channels, h, w), or (B, channels, h, w) of one picture, and `ego_status` (B, 8).

        Decoded one after another, `codes` (B, S) are the true ones in training; without them, those chosen before.
        """
        context = self._read(features)
        if self.codes is None:
            tokens, _ = self._run(torch.cat([context, self._start(len(context))], dim=1), self._mask(), [])
        elif codes is not None:
            tokens, _ = self._run(torch.cat([context, self._start(len(context), codes)], dim=1), self._mask(), [])
        else:
            tokens = self._decode(context)
        return self._describe(tokens)

    def _read(self, features: Tensors) -> torch.Tensor:
        """Tokens (B, N + 1, d) of what is seen, and of the ego."""
        maps = features["image_features"]
        maps = maps[:, None] if maps.dim() == 4 else maps
        pooled = self.pool(maps.flatten(0, 1).to(self.places.dtype)).unflatten(0, maps.shape[:2])
        pictures = self.picture_input(pooled.permute(0, 1, 3, 4, 2).flatten(1, 3))
        ego = self.ego_input(features["ego_status"])[:, None]
        return torch.cat([pictures, ego], dim=1) + self.places

    def _start(self, batch: int, codes: Optional[torch.Tensor] = None) -> torch.Tensor:
        """What the slots (B, S, d) start from: each knows its place, and the code before it where there is one."""
        slots = self.slots.expand(batch, -1, -1)
        if codes is None or self.codes is None:
            return slots
        before = self.codes(codes[:, :-1])
        return slots + nn.functional.pad(before, (0, 0, 1, 0))

    def _mask(self) -> torch.Tensor:
        """(L, L), True where a token may look: none at the slots but slots, at earlier ones alone one after another."""
        seen, slots = self.num_seen + 1, len(self.slots)
        mask = torch.ones(seen + slots, seen + slots, dtype=torch.bool, device=self.slots.device)
        mask[:seen, seen:] = False
        if self.codes is not None:
            mask[seen:, seen:] = mask[seen:, seen:].tril()
        return mask

    def _run(
        self, tokens: torch.Tensor, mask: Optional[torch.Tensor], memories: List[Memory]
    ) -> Tuple[torch.Tensor, List[Memory]]:
        """Through all blocks; `memories` of an earlier call, one per block, or none."""
        kept: List[Memory] = []
        for index, block in enumerate(self.blocks):
            tokens, memory = block(tokens, mask, memories[index] if memories else None)
            kept.append(memory)
        return tokens, kept

    def _decode(self, context: torch.Tensor) -> torch.Tensor:
        """Tokens (B, L, d), the slots' one after another, each with the likeliest code of the one before."""
        assert self.codes is not None
        tokens, memories = self._run(context, None, [])
        outputs, start = [tokens], self.slots[None, :1].expand(len(context), -1, -1)
        for index in range(len(self.slots)):
            tokens, memories = self._run(start, None, memories)
            outputs.append(tokens)
            chosen = self._read_slots(tokens)[1].argmax(dim=-1)  # (B, 1)
            if index + 1 < len(self.slots):
                start = self.slots[None, index + 1 : index + 2] + self.codes(chosen)
        return torch.cat(outputs, dim=1)

    def _describe(self, tokens: torch.Tensor) -> LatentTokens:
        visual = self.visual_output(self.norm(tokens[:, : self.num_seen]))
        return LatentTokens(visual, *self._read_slots(tokens[:, self.num_seen + 1 :]))

    def _read_slots(self, slots: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """Action embeddings and logits."""
        action = self.action_output(self.norm(slots))
        return action, self.logits(action)
