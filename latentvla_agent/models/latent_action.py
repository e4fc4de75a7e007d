"""The latent action model: what happened between two frames, as a few codes of a small vocabulary.

Method page, stage 1, in two steps. `environment`: the encoder also knows how the ego moved, so that its codes say what
that does not explain, and no more. `ego`: nobody says how the ego moved; the codebook of the first step is frozen, and
new codes must carry the motion. Input and target are features of a frozen backbone, which this module never sees.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Dict, NamedTuple, Optional, Tuple

import torch
from torch import nn

from latentvla_agent.data.scene import MOTION_SIZE
from latentvla_agent.errors import ConfigError
from latentvla_agent.models.blocks import Attention, Block
from latentvla_agent.models.latent_tokens import ActionVocabulary
from latentvla_agent.models.quantiser import Quantised, Quantiser, QuantiserConfig

STEPS = ("environment", "ego")


@dataclass(frozen=True)
class LatentActionConfig:
    """Sizes of UniVLA: features of DINOv2-B/14, 12 + 12 blocks."""

    step: str = "ego"
    feature_size: int = 768
    num_tokens: int = 256  # of a frame
    width: int = 768
    num_heads: int = 12
    encoder_depth: int = 12
    decoder_depth: int = 12
    vocabulary: ActionVocabulary = field(default_factory=ActionVocabulary)
    quantiser: QuantiserConfig = field(default_factory=QuantiserConfig)

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ConfigError(f"step: expected one of {', '.join(STEPS)}, got {self.step!r}")

    @property
    def kinds(self) -> Tuple[str, ...]:
        """The codebooks of this step, the one that it trains last."""
        return STEPS[: STEPS.index(self.step) + 1]


@dataclass(frozen=True)
class TinyLatentActionConfig(LatentActionConfig):
    """Features of EfficientNet-lite0 on a coarse grid: two CPU cores, minutes."""

    feature_size: int = 112
    num_tokens: int = 60
    width: int = 128
    num_heads: int = 4
    encoder_depth: int = 3
    decoder_depth: int = 3


class Reconstruction(NamedTuple):
    """`predicted` and `target` (B, T - 1, N, C), normalised features of the later frames; `latents` by codebook."""

    predicted: torch.Tensor
    target: torch.Tensor
    latents: Dict[str, Quantised]


class LatentActionModel(nn.Module):
    """Features of frames (B, T, N, C) to codes of the transitions between them, and back to the later frames."""

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        self.config = config
        self.register_buffer("feature_mean", torch.zeros(config.feature_size))
        self.register_buffer("feature_deviation", torch.ones(config.feature_size))
        self.feature_mean: torch.Tensor
        self.feature_deviation: torch.Tensor
        self.encoder = TransitionEncoder(config)
        num_codes = config.vocabulary.num_codes
        quantisers = {kind: Quantiser(config.width, num_codes, config.quantiser) for kind in config.kinds}
        for kind in config.kinds[:-1]:
            quantisers[kind].freeze()
        self.quantisers = nn.ModuleDict(quantisers)
        self.decoder = FrameDecoder(config)

    def set_statistics(self, mean: torch.Tensor, deviation: torch.Tensor) -> None:
        """Mean and deviation (C,) of the features of the training set: the model works on normalised ones."""
        self.feature_mean.copy_(mean)
        self.feature_deviation.copy_(deviation.clamp(min=1e-6))

    def start_from(self, environment: LatentActionModel) -> None:
        """Begin the second step where the first one ended: with all that both have, its codebook among it."""
        known = environment.state_dict()
        self.load_state_dict({name: known.get(name, tensor) for name, tensor in self.state_dict().items()})

    def normalise(self, features: torch.Tensor) -> torch.Tensor:
        """Features as the model works on them, float32."""
        return (features.float() - self.feature_mean) / self.feature_deviation

    def encode(self, features: torch.Tensor, motion: Optional[torch.Tensor] = None) -> Dict[str, Quantised]:
        """Latents of the T - 1 transitions by codebook; `motion` (B, T - 1, 7) in the first step, and there alone."""
        return self._quantise(self.normalise(features), motion)

    def forward(self, features: torch.Tensor, motion: Optional[torch.Tensor] = None) -> Reconstruction:
        """Every later frame from the one before it and the codes of the transition."""
        frames = self.normalise(features)
        latents = self._quantise(frames, motion)
        predicted = self.predict(frames[:, :-1], {kind: latent.vectors for kind, latent in latents.items()}, motion)
        return Reconstruction(predicted, frames[:, 1:], latents)

    def predict(
        self, frames: torch.Tensor, vectors: Dict[str, torch.Tensor], motion: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        """Normalised later frames (B, T - 1, N, C) from those before and vectors (B, T - 1, Q, d) of each kind."""
        flat = {kind: own.flatten(0, 1) for kind, own in vectors.items()}
        predicted = self.decoder(frames.flatten(0, 1), flat, None if motion is None else motion.flatten(0, 1))
        return predicted.unflatten(0, frames.shape[:2])

    def _quantise(self, frames: torch.Tensor, motion: Optional[torch.Tensor]) -> Dict[str, Quantised]:
        if (motion is None) != (self.config.step == "ego"):
            raise ConfigError(f"step {self.config.step}: motion must {'not ' * (motion is not None)}be given")
        raw = self.encoder(frames, motion)
        return {kind: quantise(raw[kind]) for kind, quantise in self.quantisers.items()}


class TransitionEncoder(nn.Module):
    """Reads frames in space and, causally, in time; the action queries of a frame ask what led to it."""

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        self.config, width = config, config.width
        self.input = nn.Linear(config.feature_size, width)
        self.places = nn.Parameter(0.02 * torch.randn(config.num_tokens, width))
        self.times = nn.Parameter(0.02 * torch.randn(config.vocabulary.num_transitions + 1, 1, width))
        per_kind = config.vocabulary.codes_per_transition
        self.queries = nn.ParameterDict(
            {kind: nn.Parameter(0.02 * torch.randn(per_kind, width)) for kind in config.kinds}
        )
        self.motion = nn.Linear(MOTION_SIZE, width) if config.step == "environment" else None
        self.blocks = nn.ModuleList(SpaceTimeBlock(width, config.num_heads) for _ in range(config.encoder_depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, frames: torch.Tensor, motion: Optional[torch.Tensor]) -> Dict[str, torch.Tensor]:
        """(B, T - 1, Q, width) by kind, of normalised features (B, T, N, C)."""
        batch, time = frames.shape[:2]
        parts = [self.queries[kind].expand(batch, time, -1, -1) for kind in self.config.kinds]
        parts.append(self.input(frames) + self.places)
        if self.motion is not None and motion is not None:
            parts.append(nn.functional.pad(self.motion(motion), (0, 0, 1, 0))[:, :, None])  # of the way to each frame
        tokens = torch.cat(parts, dim=2) + self.times[:time]
        for block in self.blocks:
            tokens = block(tokens)
        per_kind = self.config.vocabulary.codes_per_transition
        asked = self.norm(tokens[:, 1:, : per_kind * len(self.config.kinds)])
        return dict(zip(self.config.kinds, asked.split(per_kind, dim=2)))


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


class FrameDecoder(nn.Module):
    """A frame and the codes of a transition to the frame after it; untrained, it says that nothing changes."""

    def __init__(self, config: LatentActionConfig):
        super().__init__()
        width, kinds = config.width, config.kinds
        self.input = nn.Linear(config.feature_size, width)
        self.places = nn.Parameter(0.02 * torch.randn(config.num_tokens, width))
        self.codes = nn.ModuleDict({kind: nn.Linear(config.quantiser.size, width) for kind in kinds})
        slots = config.vocabulary.codes_per_transition
        self.slots = nn.ParameterDict({kind: nn.Parameter(0.02 * torch.randn(slots, width)) for kind in kinds})
        self.motion = nn.Linear(MOTION_SIZE, width) if config.step == "environment" else None
        self.blocks = nn.ModuleList(Block(width, config.num_heads) for _ in range(config.decoder_depth))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, config.feature_size)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(
        self, frames: torch.Tensor, vectors: Dict[str, torch.Tensor], motion: Optional[torch.Tensor]
    ) -> torch.Tensor:
        """(B, N, C) from normalised features (B, N, C) and vectors (B, Q, d) of each kind."""
        parts = [self.input(frames) + self.places]
        parts += [self.codes[kind](own) + self.slots[kind] for kind, own in vectors.items()]
        if self.motion is not None and motion is not None:
            parts.append(self.motion(motion)[:, None])
        tokens = torch.cat(parts, dim=1)
        for block in self.blocks:
            tokens, _ = block(tokens)
        predicted: torch.Tensor = frames + self.output(self.norm(tokens[:, : frames.shape[1]]))
        return predicted
