"""The latent action model in Lightning: reconstruction, and what its codes are used for."""

from __future__ import annotations

from typing import Any, Dict, List, Optional

import torch
from torch.nn.functional import mse_loss

from latentvla_agent.features.windows import PROJECTION
from latentvla_agent.models.latent_action import LatentActionModel, Reconstruction
from latentvla_agent.training.latent_action_config import LatentActionTraining
from latentvla_agent.training.learner import Learner
from latentvla_agent.training.optimizers import schedule_adamw
from latentvla_agent.training.trial_cache import TRIALS

Tensors = Dict[str, torch.Tensor]
EXPLAINED = "dev_explained"  # share of the change between frames that is predicted, on windows in which the ego moves


class LatentActionModule(Learner):
    """Trains one of the two steps on `frame_features` (B, T, N, C), `motion` (B, T - 1, 7) and the camera."""

    model: LatentActionModel

    def __init__(self, model: LatentActionModel, training: LatentActionTraining):
        super().__init__()
        self.model, self._training = model, training
        self._used: Dict[str, List[torch.Tensor]] = {}

    def forward(self, batch: Tensors) -> Reconstruction:
        """Every later frame, see `LatentActionModel`; `TRIALS` of a batch are those of `cache_trials`."""
        told = self._tell_motion(batch), batch.get(TRIALS)
        found: Reconstruction = self.model(batch["frame_features"], batch[PROJECTION], *told)
        return found

    def _tell_motion(self, batch: Tensors) -> Optional[torch.Tensor]:
        """In the first step alone."""
        return batch["motion"] if self.model.config.step == "environment" else None

    def training_step(self, batch: Tensors, index: int) -> torch.Tensor:
        """Squared error of the later frames, and the losses of the codebooks."""
        found = self(batch)
        parts = {"reconstruction": mse_loss(found.predicted, found.target)}
        parts.update({f"commitment_{kind}": latent.loss for kind, latent in found.latents.items()})
        total = torch.stack([value.reshape(()) for value in parts.values()]).sum()
        self.log_dict({f"loss/{name}": value.detach() for name, value in parts.items()}, on_step=False, on_epoch=True)
        self.log("loss", total.detach(), prog_bar=True, on_step=False, on_epoch=True)
        return total

    def on_validation_epoch_start(self) -> None:
        """Count codes anew."""
        self._used = {kind: [] for kind in self.model.config.kinds}

    def validation_step(self, batch: Tensors, index: int) -> None:
        """How much of the change is predicted where the ego moves, and the same with codes of other scenes."""
        found = self(batch)
        for kind, latent in found.latents.items():
            self._used[kind].append(latent.codes.flatten())
        is_moving = batch["motion"][..., 0].abs() > self._training.moving  # (B, T - 1)
        if not bool(is_moving.any()):
            return
        change = (found.before - found.target)[is_moving].square().mean()
        rest = (found.predicted - found.target)[is_moving].square().mean()
        told = found.latents, self.model.config.step, batch[PROJECTION], self._tell_motion(batch)
        foreign = self.model.predict_foreign(batch["frame_features"], *told)
        shuffled = (foreign - found.target)[is_moving].square().mean()
        count = int(is_moving.sum())
        self.log(EXPLAINED, 1.0 - rest / change, batch_size=count, prog_bar=True, sync_dist=True)
        self.log("dev/shuffled", shuffled / change, batch_size=count)

    def on_validation_epoch_end(self) -> None:
        """Perplexity of each codebook: as how many codes, used equally often, it is as good."""
        for kind, parts in self._used.items():
            self.log(f"dev/perplexity_{kind}", measure_perplexity(torch.cat(parts), self.model.config))

    def configure_optimizers(self) -> Any:
        """See `schedule_adamw`."""
        return schedule_adamw(self.model, self._training.optimizer, int(self.trainer.estimated_stepping_batches))


def measure_perplexity(codes: torch.Tensor, config: Any) -> torch.Tensor:
    """exp of the entropy of how often the codes (N,) are used."""
    counts = torch.bincount(codes, minlength=config.vocabulary.num_codes).float()
    share = counts / counts.sum()
    return torch.exp(-(share * share.clamp(min=1e-12).log()).sum())
