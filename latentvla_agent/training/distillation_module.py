"""The student in Lightning: what the teacher says of a scene, from the planner's own features."""

from __future__ import annotations

from typing import Any, Dict, Optional

import torch

from latentvla_agent.models.latent_tokens import ACTION_LOGITS, ACTION_TOKENS, VISUAL_TOKENS, LatentTokens
from latentvla_agent.models.student import Student
from latentvla_agent.training.config import OptimizerConfig
from latentvla_agent.training.distillation_loss import DistillationConfig, distillation_loss, measure_divergence
from latentvla_agent.training.learner import Learner
from latentvla_agent.training.optimizers import schedule_adamw

Tensors = Dict[str, torch.Tensor]
CLOSENESS = "dev_closeness"  # minus the divergence from the teacher [nat]


class DistillationModule(Learner):
    """Trains a student on features of a planner and the teacher's tokens, which come in one batch.

    `codes` (scenes, slots) of the training split, where the loss counts them.
    """

    model: Student

    def __init__(
        self,
        model: Student,
        optimizer: OptimizerConfig,
        loss: DistillationConfig,
        codes: Optional[torch.Tensor] = None,
    ):
        super().__init__()
        self.model, self._optimizer, self._loss, self._codes = model, optimizer, loss, codes

    def training_step(self, batch: Tensors, index: int) -> torch.Tensor:
        """A student that decodes one after another sees the teacher's choices before each slot."""
        teacher = read_teacher(batch)
        codes = None if self._codes is None else self._codes[batch["index"].cpu()].to(self.device)
        parts = distillation_loss(self._look(batch, teacher), teacher, self._loss, codes)
        total = torch.stack(list(parts.values())).sum()
        self.log_dict({f"loss/{name}": value.detach() for name, value in parts.items()}, on_step=False, on_epoch=True)
        self.log("loss", total.detach(), prog_bar=True, on_step=False, on_epoch=True)
        return total

    def validation_step(self, batch: Tensors, index: int) -> None:
        """Divergence, as in training; and how often the student, left to itself, chooses the teacher's code."""
        teacher = read_teacher(batch)
        found, count = self._look(batch, teacher), len(teacher.logits)
        self.log(CLOSENESS, -measure_divergence(teacher.logits, found.logits), batch_size=count, prog_bar=True)
        alone = found if self.model.codes is None else self.model(batch)
        same = alone.logits.argmax(dim=-1) == teacher.logits.argmax(dim=-1)
        self.log("dev/agreement", same.float().mean(), batch_size=count, prog_bar=True)

    def _look(self, batch: Tensors, teacher: LatentTokens) -> LatentTokens:
        chosen = teacher.logits.argmax(dim=-1) if self.model.codes is not None else None
        found: LatentTokens = self.model(batch, chosen)
        return found

    def configure_optimizers(self) -> Any:
        """See `schedule_adamw`."""
        return schedule_adamw(self.model, self._optimizer, int(self.trainer.estimated_stepping_batches))


def read_teacher(batch: Tensors) -> LatentTokens:
    """The teacher's tokens in a batch of its token cache."""
    return LatentTokens(batch[VISUAL_TOKENS], batch[ACTION_TOKENS], batch[ACTION_LOGITS])
