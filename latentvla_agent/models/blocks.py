"""A transformer block that may see only a part of the others, and that remembers what it has seen."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import torch
from torch import nn


class Memory(NamedTuple):
    """Keys and values (B, heads, L, d) of the tokens that a block has read."""

    keys: torch.Tensor
    values: torch.Tensor


def split_heads(projected: torch.Tensor, num_heads: int) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Queries, keys and values (B, heads, L, d) of what lies side by side in (B, L, 3 * heads * d)."""
    queries, keys, values = (
        part.unflatten(2, (num_heads, -1)).transpose(1, 2) for part in projected.chunk(3, dim=2)
    )  # chunks: the gradient of each indexed third would be a whole tensor of zeros
    return queries, keys, values


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
        queries, keys, values = split_heads(self.project(tokens), self.num_heads)
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
