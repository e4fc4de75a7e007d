"""A teacher in Lightning: the next code, and how likely the true ones are on scenes that it has not seen."""

from __future__ import annotations

from typing import Any, Dict

import torch
from torch.nn.functional import cross_entropy

from latentvla_agent.models.teacher import Teacher
from latentvla_agent.training.config import OptimizerConfig
from latentvla_agent.training.learner import Learner
from latentvla_agent.training.optimizers import schedule_adamw
from latentvla_agent.training.teacher_report import hide_pictures

Tensors = Dict[str, torch.Tensor]
LIKELIHOOD = "dev_likelihood"  # mean log probability [nat] of the true codes


class TeacherModule(Learner):
    """Trains any `Teacher`; `train_codes` and `dev_codes` (scenes, slots) are in the order of the feature caches.

    A `blind` one sees no pictures, neither here nor there: what it knows, command and ego state say.
    """

    model: Teacher

    def __init__(
        self,
        model: Teacher,
        optimizer: OptimizerConfig,
        train_codes: torch.Tensor,
        dev_codes: torch.Tensor,
        blind: bool = False,
    ):
        super().__init__()
        self.model, self._optimizer, self._blind = model, optimizer, blind
        self._train_codes, self._dev_codes = train_codes, dev_codes

    def training_step(self, batch: Tensors, index: int) -> torch.Tensor:
        """Negative log likelihood of each code after the true ones before it."""
        codes = self._train_codes[batch["index"].cpu()].to(self.device)
        loss = cross_entropy(self._write(batch, codes).flatten(0, 1), codes.flatten())
        self.log("loss", loss.detach(), prog_bar=True, on_step=False, on_epoch=True)
        return loss

    def validation_step(self, batch: Tensors, index: int) -> None:
        """Likelihood and accuracy; those of each slot, too, as later ones know more codes."""
        codes = self._dev_codes[batch["index"].cpu()].to(self.device)
        logits = self._write(batch, codes).float()
        hits = (logits.argmax(dim=-1) == codes).float().mean(dim=0)
        count = len(codes)
        likelihood = -cross_entropy(logits.flatten(0, 1), codes.flatten())
        self.log(LIKELIHOOD, likelihood, batch_size=count, prog_bar=True, sync_dist=True)
        self.log("dev/accuracy", hits.mean(), batch_size=count, prog_bar=True, sync_dist=True)
        for slot, value in enumerate(hits):
            self.log(f"dev/accuracy_{slot:02d}", value, batch_size=count, sync_dist=True)

    def _write(self, batch: Tensors, codes: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.model(hide_pictures(batch) if self._blind else batch, codes).logits
        return logits

    def configure_optimizers(self) -> Any:
        """See `schedule_adamw`."""
        return schedule_adamw(self.model, self._optimizer, int(self.trainer.estimated_stepping_batches))
