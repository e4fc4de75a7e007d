"""What led from each frame to the next: the inverse dynamics of the latent action model."""

from __future__ import annotations

from typing import Dict, Optional

import torch
from torch import nn

from latentvla_agent.data.scene import MOTION_SIZE
from latentvla_agent.models.blocks import Attention, Block
from latentvla_agent.models.latent_action_config import LatentActionConfig


class TransitionEncoder(nn.Module):
    """Reads frames in space and, causally, in time; the action queries of a frame ask what led to it."""

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        self.config, width, side = config, config.width, config.token_side
        self.input = nn.Conv2d(config.feature_size, width, side, side)
        self.change = nn.Conv2d(config.feature_size, width, side, side)  # since the frame before
        # Which motions of the ego would explain it: here, and in the whole picture.
        self.trials = nn.Conv2d(len(config.trials), width, side, side)
        self.all_trials = nn.Linear(len(config.trials) * config.num_tokens, width)
        self.places = nn.Parameter(0.02 * torch.randn(config.num_tokens, width))
        self.times = nn.Parameter(0.02 * torch.randn(config.vocabulary.num_transitions + 1, 1, width))
        per_kind = config.vocabulary.codes_per_transition
        self.queries = nn.ParameterDict(
            {kind: nn.Parameter(0.02 * torch.randn(per_kind, width)) for kind in config.kinds}
        )
        self.motion = nn.Linear(MOTION_SIZE, width) if config.step == "environment" else None
        self.blocks = nn.ModuleList(SpaceTimeBlock(width, config.num_heads) for _ in range(config.encoder_depth))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, maps: torch.Tensor, trials: torch.Tensor, motion: Optional[torch.Tensor]
    ) -> Dict[str, torch.Tensor]:
        """(B, T - 1, Q, width) by kind, of normalised maps (B, T, C, R, K) and `StreetWarp.try_motions` of them."""
        batch, time = maps.shape[:2]
        parts = [self.queries[kind].expand(batch, time, -1, -1) for kind in self.config.kinds]
        changes = make_tokens(self.change, maps[:, 1:] - maps[:, :-1]) + make_tokens(self.trials, trials)
        parts.append(make_tokens(self.input, maps) + _begin_with_none(changes) + self.places)
        fit = (
            nn.functional.avg_pool2d(trials.flatten(0, 1), self.config.token_side)
            .flatten(1)
            .unflatten(0, trials.shape[:2])
        )
        parts.append(_begin_with_none(self.all_trials(fit)[:, :, None]))
        if self.motion is not None and motion is not None:
            parts.append(_begin_with_none(self.motion(motion)[:, :, None]))
        tokens = torch.cat(parts, dim=2) + self.times[:time]
        for block in self.blocks:
            tokens = block(tokens)
        per_kind = self.config.vocabulary.codes_per_transition
        asked = self.norm(tokens[:, 1:, : per_kind * len(self.config.kinds)])
        return dict(zip(self.config.kinds, asked.split(per_kind, dim=2)))


def _begin_with_none(tokens: torch.Tensor) -> torch.Tensor:
    """Tokens (B, T, L, d) of what led to each frame, of those (B, T - 1, L, d) that led to all but the first."""
    return nn.functional.pad(tokens, (0, 0, 0, 0, 1, 0))


def make_tokens(patches: nn.Module, maps: torch.Tensor) -> torch.Tensor:
    """Tokens (B, T, N, width) of maps (B, T, C, R, K)."""
    tokens: torch.Tensor = patches(maps.flatten(0, 1)).flatten(2).transpose(1, 2)
    return tokens.unflatten(0, maps.shape[:2])


class SpaceTimeBlock(nn.Module):
    """Tokens (B, T, L, d) see those of their frame, then those of their place in earlier frames."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.time_norm, self.time = nn.LayerNorm(width), Attention(width, num_heads)
        self.space = Block(width, num_heads)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """Tokens of the same shape."""
        batch, time = tokens.shape[:2]
        causal = torch.ones(time, time, dtype=torch.bool, device=tokens.device).tril()
        along = self.time_norm(tokens).transpose(1, 2).flatten(0, 1)  # (B * L, T, d)
        seen, _ = self.time(along, causal)
        tokens = tokens + seen.unflatten(0, (batch, -1)).transpose(1, 2)
        within, _ = self.space(tokens.flatten(0, 1))
        output: torch.Tensor = within.unflatten(0, (batch, time))
        return output
