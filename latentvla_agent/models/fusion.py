"""Latent tokens into a planner: attention pooling, then cross-attention that changes nothing before it is trained.

Method page, stage 3b. The module cannot tell whose tokens it gets, a teacher's or a student's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from latentvla_agent.models.latent_tokens import ACTION_TOKENS, VISUAL_TOKENS, Tensors


@dataclass(frozen=True)
class FusionConfig:
    """Sizes; `token_width` is that of the tokens, whoever made them."""

    token_width: int = 256
    width: int = 256
    num_pooled: int = 16  # tokens that are left of what is seen, and as many of the actions
    num_heads: int = 8


@dataclass(frozen=True)
class TinyFusionConfig(FusionConfig):
    """For the tiny planners, and the tokens of the tiny teacher and student."""

    token_width: int = 192
    width: int = 64
    num_pooled: int = 8
    num_heads: int = 4


class LatentFusion(nn.Module):
    """Planner queries (B, Q, d) that have read latent tokens; equal to those that came until it is trained."""

    def __init__(self, config: FusionConfig, query_width: int):
        super().__init__()
        self.config = config
        self.visual_input = nn.Linear(config.token_width, config.width)
        self.action_input = nn.Linear(config.token_width, config.width)
        self.pooling_queries = nn.Parameter(0.02 * torch.randn(config.num_pooled, config.width))
        self.visual_pooling = AttentionPooling(config)
        self.action_pooling = AttentionPooling(config)
        self.query_norm = nn.LayerNorm(query_width)
        self.query_input = nn.Linear(query_width, config.width)
        self.attention = nn.MultiheadAttention(config.width, config.num_heads, batch_first=True)
        self.output = nn.Linear(config.width, query_width)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, queries: torch.Tensor, features: Tensors) -> torch.Tensor:
        """`features` holds "visual_tokens" (B, N, D) and "action_tokens" (B, S, D)."""
        memory = self.make_memory(features[VISUAL_TOKENS], features[ACTION_TOKENS])
        asked = self.query_input(self.query_norm(queries))
        seen, _ = self.attention(asked, memory, memory, need_weights=False)
        fused: torch.Tensor = queries + self.output(seen)
        return fused

    def make_memory(self, visual: torch.Tensor, action: torch.Tensor) -> torch.Tensor:
        """(B, 2 * pooled, width): what is seen, pooled; and the actions, pooled by what asks for them: the former."""
        start = self.pooling_queries.expand(len(visual), -1, -1)
        pooled_visual = self.visual_pooling(start, self.visual_input(visual))
        pooled_action = self.action_pooling(pooled_visual, self.action_input(action))
        return torch.cat([pooled_visual, pooled_action], dim=1)


class AttentionPooling(nn.Module):
    """Many tokens (B, N, d) to a few (B, K, d): those of the queries, changed by what they see."""

    def __init__(self, config: FusionConfig):
        super().__init__()
        self.query_norm, self.token_norm = nn.LayerNorm(config.width), nn.LayerNorm(config.width)
        self.attention = nn.MultiheadAttention(config.width, config.num_heads, batch_first=True)

    def forward(self, queries: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
        """(B, K, d)."""
        tokens = self.token_norm(tokens)
        seen, _ = self.attention(self.query_norm(queries), tokens, tokens, need_weights=False)
        pooled: torch.Tensor = queries + seen
        return pooled
