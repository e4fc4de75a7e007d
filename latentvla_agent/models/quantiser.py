"""Vectors to codes of a learned codebook, by `vector-quantize-pytorch`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn
from vector_quantize_pytorch import VectorQuantize

FLOOR = 1e-2  # of the mean variance, that every direction has


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


class Whitening(nn.Module):
    """Vectors (N, size) around their mean, with all directions alike: covariance is the identity.

    What queries bring differs little at first: as it is, codes would begin alike, and a decoder learn to do without.
    Later one direction outweighs the others (how the ego turns): codes would tell that one, finely, and nothing else.
    In eval mode, by running statistics.
    """

    def __init__(self, size: int, momentum: float = 0.1):
        super().__init__()
        self.momentum = momentum
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("covariance", torch.eye(size))
        self.register_buffer("num_batches", torch.zeros((), dtype=torch.int64))
        self.mean: torch.Tensor
        self.covariance: torch.Tensor
        self.num_batches: torch.Tensor

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Vectors of the same shape."""
        mean, covariance = self.mean, self.covariance
        if self.training:
            mean = vectors.mean(dim=0)
            covariance = (vectors - mean).T @ (vectors - mean) / len(vectors)
            self.num_batches += 1
            share = max(self.momentum, 1.0 / int(self.num_batches))  # the first batches count alike
            self.mean.lerp_(mean.detach(), share)
            self.covariance.lerp_(covariance.detach(), share)
        floor = (FLOOR * covariance.diagonal().mean()).clamp(min=1e-12)
        root = torch.linalg.cholesky(covariance + floor * torch.eye(len(covariance), device=vectors.device))
        white: torch.Tensor = torch.linalg.solve_triangular(root, (vectors - mean).T, upper=False).T
        return white


class Quantiser(nn.Module):
    """Slots (..., slots, width) to the nearest codes. All slots are whitened together: each tells what those before it
    did not. A codebook moves in training, and revives dead codes, unless it is frozen."""

    def __init__(self, width: int, num_slots: int, num_codes: int, config: QuantiserConfig = QuantiserConfig()):
        super().__init__()
        self.input, self.whiten = nn.Linear(width, config.size), Whitening(num_slots * config.size)
        self.codebook = VectorQuantize(
            dim=config.size,
            codebook_size=num_codes,
            decay=config.decay,
            commitment_weight=config.commitment,
            threshold_ema_dead_code=config.dead_below,
            kmeans_init=True,
            rotation_trick=False,
            # Else whoever is built after a process group began waits in every batch for the others, who may be done. In
            # a training of several processes the codebook is the first one's, as all buffers are.
            sync_codebook=False,
        )

    def freeze(self, frozen: bool = True) -> None:
        """The codebook stays as it is from now on, and so do the statistics of what it quantises; what leads to it may
        still learn."""
        self.codebook.freeze_codebook = frozen
        self.train(self.training)

    def train(self, mode: bool = True) -> Quantiser:
        """As of any module; the statistics of a frozen one stay."""
        super().train(mode)
        self.whiten.train(mode and not self.codebook.freeze_codebook)
        return self

    def forward(self, tokens: torch.Tensor) -> Quantised:
        """Codes, vectors and loss; the loss is 0 outside training."""
        slots = self.input(tokens).float()  # (..., slots, size)
        with torch.autocast(slots.device.type, enabled=False):  # half precision has no roots of matrices
            white = self.whiten(slots.flatten(-2).flatten(0, -2))
            vectors, codes, loss = self.codebook(white.reshape(1, -1, slots.shape[-1]))
        return Quantised(codes[0].reshape(tokens.shape[:-1]), vectors[0].reshape(slots.shape), loss.sum())
