"""A transformer block that may see only a part of the others, and that remembers what it has seen."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import torch
from torch import nn


class Memory(NamedTuple):
    """Keys and values (B, heads, L, d) of the tokens that a block has read."""

    keys: torch.Tensor
    values: torch.Tensor


class Attention(nn.Module):
    """Multi-head attention of tokens (B, L, d) to themselves, and to those of an earlier call."""

    def __init__(self, width: int, num_heads: int):
        super().__init__()
        self.num_heads = num_heads
        self.project = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self, tokens: torch.Tensor, mask: Optional[torch.Tensor] = None, memory: Optional[Memory] = None
    ) -> Tuple[torch.Tensor, Memory]:
        """What tokens see. `mask` (L, all) is True where they may look; what `memory` holds comes first among all."""
        parts = self.project(tokens).unflatten(2, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = parts[0], parts[1], parts[2]
        if memory is not None:
            keys, values = torch.cat([memory.keys, keys], dim=2), torch.cat([memory.values, values], dim=2)
        seen = nn.functional.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
        return self.output(seen.transpose(1, 2).flatten(2)), Memory(keys, values)


class Block(nn.Module):
    """Attention and a perceptron, both normalised before and added."""

    def __init__(self, width: int, num_heads: int, expansion: int = 4):
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), Attention(width, num_heads)
        self.perceptron_norm = nn.LayerNorm(width)
        self.perceptron = nn.Sequential(
            nn.Linear(width, expansion * width), nn.GELU(), nn.Linear(expansion * width, width)
        )

    def forward(
        self, tokens: torch.Tensor, mask: Optional[torch.Tensor] = None, memory: Optional[Memory] = None
    ) -> Tuple[torch.Tensor, Memory]:
        """As `Attention.forward`."""
        seen, memory = self.attention(self.attention_norm(tokens), mask, memory)
        tokens = tokens + seen
        return tokens + self.perceptron(self.perceptron_norm(tokens)), memory
