"""The transformer in which tokens of the picture and tokens of the bird's-eye view see each other."""

from __future__ import annotations

from typing import Tuple

import torch
from torch import nn
from torch.nn import functional

from latentvla_agent.models.transfuser_config import TransfuserConfig

INITIAL_DEVIATION = 0.02  # of linear layers, as in GPT


class SelfAttention(nn.Module):
    """(B, N, D) to (B, K, D): the last K tokens attend to all N."""

    def __init__(self, config: TransfuserConfig, size: int):
        super().__init__()
        self.heads, self.dropout = config.fusion_heads, config.attention_dropout
        self.input = nn.Linear(size, 3 * size)  # query, key, value
        self.output = nn.Linear(size, size)
        self.output_dropout = nn.Dropout(config.fusion_dropout)

    def forward(self, tokens: torch.Tensor, keep: int) -> torch.Tensor:
        """Softmax attention in one fused kernel."""
        batch, _, size = tokens.shape
        weight, bias = self.input.weight, self.input.bias
        if keep == tokens.shape[1]:
            query, key, value = self.input(tokens).split(size, dim=-1)
        else:
            query = functional.linear(tokens[:, -keep:], weight[:size], bias[:size])
            key, value = functional.linear(tokens, weight[size:], bias[size:]).split(size, dim=-1)
        query, key, value = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (query, key, value))
        dropout = self.dropout if self.training else 0.0
        seen = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        mixed: torch.Tensor = self.output_dropout(self.output(seen.transpose(1, 2).reshape(batch, keep, size)))
        return mixed


class FusionLayer(nn.Module):
    """A transformer layer, normalised before each half: (B, N, D) to its last K tokens (B, K, D)."""

    def __init__(self, config: TransfuserConfig, size: int):
        super().__init__()
        self.attention_norm = nn.LayerNorm(size)
        self.attention = SelfAttention(config, size)
        self.perceptron_norm = nn.LayerNorm(size)
        self.perceptron = nn.Sequential(
            nn.Linear(size, config.fusion_expansion * size),
            nn.ReLU(inplace=True),
            nn.Linear(config.fusion_expansion * size, size),
            nn.Dropout(config.fusion_dropout),
        )

    def forward(self, tokens: torch.Tensor, keep: int) -> torch.Tensor:
        """Tokens that nobody reads afterwards are not computed."""
        kept = tokens[:, -keep:] + self.attention(self.attention_norm(tokens), keep)
        return kept + self.perceptron(self.perceptron_norm(kept))


class TokenFusion(nn.Module):
    """Two feature maps of the size of their token grids to two that have seen each other."""

    def __init__(self, config: TransfuserConfig, size: int):
        super().__init__()
        self.image_tokens, self.bev_tokens = config.image_tokens, config.bev_tokens
        count = _area(config.image_tokens) + _area(config.bev_tokens)
        self.position = nn.Parameter(torch.zeros(1, count, size))  # of the picture, then of the bird's-eye view
        self.dropout = nn.Dropout(config.fusion_dropout)
        self.layers = nn.ModuleList(FusionLayer(config, size) for _ in range(config.fusion_layers))
        self.norm = nn.LayerNorm(size)
        for module in self.layers.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=INITIAL_DEVIATION)
                nn.init.zeros_(module.bias)

    def forward(self, image: torch.Tensor, bev: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        """(B, D, *image_tokens) and (B, D, *bev_tokens) to the same."""
        tokens = self._run(image, bev, keep=self.position.shape[1])
        seen_image, seen_bev = tokens.split([_area(self.image_tokens), _area(self.bev_tokens)], dim=1)
        return _as_map(seen_image, self.image_tokens), _as_map(seen_bev, self.bev_tokens)

    def fuse_bev(self, image: torch.Tensor, bev: torch.Tensor) -> torch.Tensor:
        """The second of what `forward` gives, for where nobody reads the first; about half the work."""
        return _as_map(self._run(image, bev, keep=_area(self.bev_tokens)), self.bev_tokens)

    def _run(self, image: torch.Tensor, bev: torch.Tensor, keep: int) -> torch.Tensor:
        tokens = torch.cat([image.flatten(2), bev.flatten(2)], dim=2).transpose(1, 2)
        tokens = self.dropout(tokens + self.position)
        for layer in self.layers[:-1]:
            tokens = layer(tokens, tokens.shape[1])
        fused: torch.Tensor = self.norm(self.layers[-1](tokens, keep))
        return fused


def _area(grid: Tuple[int, int]) -> int:
    return grid[0] * grid[1]


def _as_map(tokens: torch.Tensor, grid: Tuple[int, int]) -> torch.Tensor:
    return tokens.transpose(1, 2).unflatten(2, grid)
