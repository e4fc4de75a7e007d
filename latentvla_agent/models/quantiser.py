"""Vectors to codes of a learned codebook, by `vector-quantize-pytorch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from vector_quantize_pytorch import VectorQuantize


@dataclass(frozen=True)
class QuantiserConfig:
    """Codes of 128 numbers (UniVLA). The codebook follows the vectors by moving averages."""

    size: int = 128
    decay: float = 0.95
    commitment: float = 0.25
    dead_below: float = 1.0  # vectors that a code gets on average in a batch; below, it starts anew at one of them


class Quantised(NamedTuple):
    """Codes (...), their vectors (..., size), whose gradient goes straight to what was quantised, and its loss."""

    codes: torch.Tensor
    vectors: torch.Tensor
    loss: torch.Tensor


class Spread(nn.Module):
    """Vectors (N, size) around their mean, with a mean square of 1: all directions keep their shares of it.

    What queries bring differs little at first. As it is, codes would begin alike, and a decoder learn to do without.
    In eval mode, by running statistics.
    """

    def __init__(self, size: int, momentum: float = 0.1):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("square", torch.ones(()))
        self.mean: torch.Tensor
        self.square: torch.Tensor

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors of the same shape."""
        if not self.training:
            return (vectors - self.mean) / self.square.sqrt()
        mean = vectors.mean(dim=0)
        square = (vectors - mean).square().mean().clamp(min=1e-12)
        self.mean.lerp_(mean.detach(), self.momentum)
        self.square.lerp_(square.detach(), self.momentum)
        return (vectors - mean) / square.sqrt()


class Quantiser(nn.Module):
    """(..., width) to the nearest codes. A codebook moves in training, and revives dead codes, unless it is frozen."""

    def __init__(self, width: int, num_codes: int, config: QuantiserConfig = QuantiserConfig()):
        super().__init__()
        self.input = nn.Linear(width, config.size)
        self.spread = Spread(config.size)
        self.codebook = VectorQuantize(
            dim=config.size,
            codebook_size=num_codes,
            decay=config.decay,
            commitment_weight=config.commitment,
            threshold_ema_dead_code=config.dead_below,
            kmeans_init=True,
            rotation_trick=False,
        )

    def freeze(self, frozen: bool = True) -> None:
        """The codebook stays as it is from now on, and so do the statistics of what it quantises; what leads to it may
        still learn."""
        self.codebook.freeze_codebook = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> Quantiser:
        """As of any module; the statistics of a frozen one stay."""
        super().train(mode)
        self.spread.train(mode and not self.codebook.freeze_codebook)
        return self

    def forward(self, tokens: torch.Tensor) -> Quantised:
        """Codes, vectors and loss; the loss is 0 outside training."""
        flat = self.spread(self.input(tokens).flatten(0, -2))[None]
        vectors, codes, loss = self.codebook(flat)
        return Quantised(codes[0].reshape(tokens.shape[:-1]), vectors[0].reshape(*tokens.shape[:-1], -1), loss.sum())
