"""Sizes of the latent action model."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Tuple

from latentvla_agent.errors import ConfigError
from latentvla_agent.models.latent_tokens import ActionVocabulary
from latentvla_agent.models.quantiser import QuantiserConfig

STEPS = ("environment", "ego")


@dataclass(frozen=True)
class StreetConfig:
    """A street to begin with: flat ground between two walls, all [m] in the ego frame."""

    ground: float = 0.0
    wall: float = 9.0  # to either side
    near: float = 2.0
    far: float = 200.0


# Motions of the ego in a second (dx, dy [m], dyaw [rad]) that the encoder is shown the fit of.
TRIALS: Tuple[Tuple[float, float, float], ...] = (
    *((float(dx), 0.0, 0.0) for dx in range(17)),
    *((dx, 0.0, dyaw) for dx in (4.0, 8.0, 12.0) for dyaw in (-0.3, -0.15, -0.05, 0.05, 0.15, 0.3)),
)


@dataclass(frozen=True)
class LatentActionConfig:
    """Sizes of UniVLA: features of DINOv2-B/14, 12 + 12 blocks."""

    step: str = "ego"
    feature_size: int = 768
    grid: Tuple[int, int] = (16, 16)  # cells (rows, columns) of a frame
    pool: int = 1  # cells of a side whose mean is predicted
    patch: int = 1  # predicted cells of a side that are one token
    width: int = 768
    num_heads: int = 12
    encoder_depth: int = 12
    decoder_depth: int = 12
    vocabulary: ActionVocabulary = field(default_factory=ActionVocabulary)
    quantiser: QuantiserConfig = field(default_factory=QuantiserConfig)
    street: StreetConfig = field(default_factory=StreetConfig)
    trials: Tuple[Tuple[float, float, float], ...] = TRIALS

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ConfigError(f"step: expected one of {', '.join(STEPS)}, got {self.step!r}")
        side = self.token_side
        if side < 1 or any(cells < 1 or cells % side for cells in self.grid):
            raise ConfigError(
                f"grid: expected whole tokens of {side} x {side} cells (pool times patch), got {self.grid}"
            )

    @property
    def kinds(self) -> Tuple[str, ...]:
        """The codebooks of this step, the one that it trains last."""
        return STEPS[: STEPS.index(self.step) + 1]

    @property
    def token_side(self) -> int:
        """Cells of a side that are one token."""
        return self.pool * self.patch

    @property
    def token_grid(self) -> Tuple[int, int]:
        """Rows and columns of a frame's tokens."""
        return self.grid[0] // self.token_side, self.grid[1] // self.token_side

    @property
    def num_tokens(self) -> int:
        """Tokens of a frame."""
        return self.token_grid[0] * self.token_grid[1]


@dataclass(frozen=True)
class TinyLatentActionConfig(LatentActionConfig):
    """Features of EfficientNet-lite0 of stride 8, of which few tokens are made: two CPU cores, minutes."""

    feature_size: int = 40
    grid: Tuple[int, int] = (12, 20)
    pool: int = 2
    patch: int = 2
    width: int = 128
    num_heads: int = 4
    encoder_depth: int = 2
    decoder_depth: int = 2
    # Sixteen levels of one number; a code must earn a third of its share of a batch of 32 windows.
    quantiser: QuantiserConfig = field(default_factory=lambda: QuantiserConfig(size=1, dead_below=8.0))
