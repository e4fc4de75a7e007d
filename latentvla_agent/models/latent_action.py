"""The latent action model: what happened between two frames, as a few codes of a small vocabulary.

Method page, stage 1, in two steps. `environment`: the encoder also knows how the ego moved, so that its codes say what
that does not explain, and no more. `ego`: nobody says how the ego moved; the codebook of the first step is frozen, and
new codes must carry the motion. Input and target are features of a frozen backbone, which this module never sees.
"""

from __future__ import annotations

from typing import Dict, NamedTuple, Optional

import torch
from torch import nn

from latentvla_agent.errors import ConfigError
from latentvla_agent.models.frame_decoder import FrameDecoder
from latentvla_agent.models.latent_action_config import LatentActionConfig
from latentvla_agent.models.quantiser import Quantised, Quantiser
from latentvla_agent.models.transition_encoder import TransitionEncoder


class Reconstruction(NamedTuple):
    """`predicted`, `target` and `before` (B, T - 1, n, C), normalised features of the cells that are predicted, of the
    later frames and those before them; `latents` by codebook."""

    predicted: torch.Tensor
    target: torch.Tensor
    before: torch.Tensor
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
        sizes = config.width, config.vocabulary.codes_per_transition, config.vocabulary.num_codes
        quantisers = {kind: Quantiser(*sizes, config.quantiser) for kind in config.kinds}
        for kind in config.kinds[:-1]:
            quantisers[kind].freeze()
        self.quantisers = nn.ModuleDict(quantisers)
        self.decoder = FrameDecoder(config)

    def set_statistics(self, features: torch.Tensor, motion: torch.Tensor) -> None:
        """Take mean and deviation of features (..., C) and motions (..., 7) of the training set: the model works on
        normalised ones."""
        flat = features.flatten(0, -2)
        self.feature_mean.copy_(flat.mean(dim=0))
        self.feature_deviation.copy_(flat.std(dim=0).clamp(min=1e-6))
        self.decoder.set_statistics(motion)

    def start_from(self, environment: LatentActionModel) -> None:
        """Begin the second step where the first one ended: with its decoder and its codebook.

        The encoder begins anew: that of the first step has learnt not to look for what it is told. Distances stay as
        the first step learnt them from true motions: a street half as large, driven along half as fast, looks the same.
        """
        known = {name: tensor for name, tensor in environment.state_dict().items() if not name.startswith("encoder.")}
        self.load_state_dict({name: known.get(name, tensor) for name, tensor in self.state_dict().items()})
        self.decoder.warp.requires_grad_(False)

    def normalise(self, features: torch.Tensor) -> torch.Tensor:
        """Normalised maps (B, T, C, R, K), float32, of features (B, T, R * K, C)."""
        flat = (features.float() - self.feature_mean) / self.feature_deviation
        return flat.transpose(2, 3).unflatten(3, self.config.grid)

    def encode(
        self, features: torch.Tensor, projections: torch.Tensor, motion: Optional[torch.Tensor] = None
    ) -> Dict[str, Quantised]:
        """Latents of the T - 1 transitions by codebook; `projections` (B, 3, 4) of the camera, see `features.cameras`;
        `motion` (B, T - 1, 7) in the first step, and there alone."""
        return self._quantise(self.normalise(features), projections, motion)

    def forward(
        self,
        features: torch.Tensor,
        projections: torch.Tensor,
        motion: Optional[torch.Tensor] = None,
        trials: Optional[torch.Tensor] = None,
    ) -> Reconstruction:
        """Every later frame from the one before it and the codes of the transition; `trials`: see `try_motions`, where
        it is known already."""
        maps = self.normalise(features)
        latents = self._quantise(maps, projections, motion, trials)
        vectors = {kind: latent.vectors for kind, latent in latents.items()}
        predicted = self._decode(maps[:, :-1], vectors, projections, motion)
        pooled = self.decoder.pool(maps.flatten(0, 1)).unflatten(0, maps.shape[:2]).flatten(3).transpose(2, 3)
        return Reconstruction(predicted, pooled[:, 1:], pooled[:, :-1], latents)

    def predict_foreign(
        self,
        features: torch.Tensor,
        latents: Dict[str, Quantised],
        foreign: str,
        projections: torch.Tensor,
        motion: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """`predicted` of `forward`, had codes of the kind `foreign` been those of another window of the batch: what
        they are worth."""
        vectors = {kind: latent.vectors.roll(int(kind == foreign), dims=0) for kind, latent in latents.items()}
        return self._decode(self.normalise(features)[:, :-1], vectors, projections, motion)

    def _decode(
        self,
        maps: torch.Tensor,
        vectors: Dict[str, torch.Tensor],
        projections: torch.Tensor,
        motion: Optional[torch.Tensor],
    ) -> torch.Tensor:
        flat = {kind: own.flatten(0, 1) for kind, own in vectors.items()}
        cameras = projections.repeat_interleave(maps.shape[1], dim=0)
        told = None if motion is None else motion.flatten(0, 1)
        predicted: torch.Tensor = self.decoder(maps.flatten(0, 1), flat, cameras, told)
        return predicted.flatten(2).transpose(1, 2).unflatten(0, maps.shape[:2])

    def _quantise(
        self,
        maps: torch.Tensor,
        projections: torch.Tensor,
        motion: Optional[torch.Tensor],
        trials: Optional[torch.Tensor] = None,
    ) -> Dict[str, Quantised]:
        if (motion is None) != (self.config.step == "ego"):
            raise ConfigError(f"step {self.config.step}: motion must {'not ' * (motion is not None)}be given")
        tried = self.try_motions(maps, projections) if trials is None else trials
        raw = self.encoder(maps, tried, motion)
        return {kind: quantise(raw[kind]) for kind, quantise in self.quantisers.items()}

    def try_motions(self, maps: torch.Tensor, projections: torch.Tensor) -> torch.Tensor:
        """(B, T - 1, M, R, K) of normalised maps, see `StreetWarp.try_motions`; the second step leaves them alone."""
        before, after = (part.flatten(0, 1) for part in (maps[:, :-1], maps[:, 1:]))
        cameras = projections.repeat_interleave(maps.shape[1] - 1, dim=0)
        tried = self.decoder.warp.try_motions(before, after, cameras)
        return tried.unflatten(0, (len(maps), -1))
