"""How a training begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any, List

import pytest
import torch

from latentvla_agent.models.backbones import BackboneConfig, make_backbone
from latentvla_agent.training import fitting
from latentvla_agent.training.config import TrainingConfig
from latentvla_agent.training.fitting import FitPlan, fit
from latentvla_agent.training.learner import Learner


class Trainer:
    """Looks at the module and trains nothing."""

    is_global_zero = False

    def __init__(self) -> None:
        self.modes: List[bool] = []

    def fit(self, module: Learner, *_: Any, **__: Any) -> None:
        self.modes += [part.training for part in module.model.children()]


def test_what_built_a_cache_in_eval_mode_is_trained_in_train_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer, learner = Trainer(), Learner()
    frozen = make_backbone(BackboneConfig("test_resnet", (1,), frozen=True))
    learner.model = torch.nn.Sequential(torch.nn.Dropout(), frozen).eval()
    monkeypatch.setattr(fitting, "make_trainer", lambda training, plan: trainer)
    monkeypatch.setattr(fitting, "load_batches", lambda cache, batches: None)
    caches: Any = [0, 1, 2]
    fit(learner, TrainingConfig(), FitPlan(tmp_path, 0, caches, caches, {}))
    assert trainer.modes == [True, False], "but what is frozen stays in eval mode"
