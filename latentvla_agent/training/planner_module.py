"""A planner in Lightning: forward, labels of its proposals, losses, and its true score on the dev split."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Sequence

import torch

from latentvla_agent.training.config import PlannerTraining
from latentvla_agent.training.fitting import DEV_SCORE
from latentvla_agent.training.learner import Learner
from latentvla_agent.training.online_labels import ProposalScorer
from latentvla_agent.training.optimizers import schedule_adamw
from latentvla_agent.training.planner_loss import planner_loss

Tensors = Dict[str, torch.Tensor]


@dataclass(frozen=True)
class ScoredScenes:
    """One set of scenes as the module sees it: tokens by index, and the scorer that knows their metric caches."""

    tokens: Sequence[str]
    scorer: ProposalScorer

    def tokens_of(self, batch: Tensors) -> List[str]:
        """Tokens of a batch."""
        return [self.tokens[i] for i in batch["index"].tolist()]


class PlannerModule(Learner):
    """Trains any planner that plans "trajectory"; one with "proposals" has all of them scored in every step.

    `label_share` in the log is the time of scoring over the time of whole steps.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        training: PlannerTraining,
        train: ScoredScenes,
        dev: ScoredScenes,
        names: Sequence[str],
    ):
        super().__init__()
        self.model, self._training = model, training
        self._train, self._dev, self._names = train, dev, tuple(names)
        self._label_seconds, self._step_began = 0.0, math.nan
        if training.average:
            self.keep_average(training.average)

    def forward(self, features: Tensors) -> Tensors:
        """The model's predictions."""
        predictions: Tensors = self.model(features)
        return predictions

    def training_step(self, batch: Tensors, index: int) -> torch.Tensor:
        """The loss; its parts go into the log."""
        parts = self._lose(batch, self(batch))
        total = parts.pop("loss")
        self.log_dict({f"loss/{name}": value.detach() for name, value in parts.items()}, on_step=False, on_epoch=True)
        self.log("loss", total.detach(), prog_bar=True, on_step=False, on_epoch=True)
        return total

    def _lose(self, batch: Tensors, predictions: Tensors) -> Tensors:
        training = self._training
        return planner_loss(
            batch, predictions, lambda own: self._label(batch, own), training.ipad_loss, training.transfuser_loss
        )

    def _label(self, batch: Tensors, proposals: torch.Tensor) -> Tensors:
        begun = time.perf_counter()
        labels = self._train.scorer.label(self._train.tokens_of(batch), proposals)
        self._label_seconds += time.perf_counter() - begun
        return labels

    def on_train_epoch_start(self) -> None:
        """The clock of `label_share`."""
        super().on_train_epoch_start()
        self._label_seconds, self._step_began = 0.0, time.perf_counter()

    def on_train_epoch_end(self) -> None:
        """Log how much of the epoch went into labels."""
        seconds = time.perf_counter() - self._step_began
        self.log("epoch_seconds", seconds)
        self.log("label_share", self._label_seconds / max(seconds, 1e-9))

    def validation_step(self, batch: Tensors, index: int) -> None:
        """True scores of the plans on the dev split."""
        plans = self.shown(batch)["trajectory"].float()
        scores = self._dev.scorer.score(self._dev.tokens_of(batch), plans).mean(dim=0)
        for name, value in zip(self._names, scores):
            own = DEV_SCORE if name == "score" else f"dev/{name}"
            self.log(own, value, batch_size=len(plans), prog_bar=name == "score", sync_dist=True)
        error = (plans - batch["trajectory"])[..., :2].norm(dim=-1).mean()
        self.log("dev/displacement", error, batch_size=len(plans), sync_dist=True)

    def configure_optimizers(self) -> Any:
        """See `schedule_adamw`."""
        return schedule_adamw(self.model, self._training.optimizer, int(self.trainer.estimated_stepping_batches))
