"""How a training begins."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import pytest
import torch

from latentvla_agent.models.backbones import BackboneConfig, make_backbone
from latentvla_agent.models.weights import write_weights
from latentvla_agent.training import fitting
from latentvla_agent.training.config import TrainingConfig
from latentvla_agent.training.fitting import WEIGHTS, FitPlan, choose_strategy, fit, make_trainer, read_safely
from latentvla_agent.training.learner import Learner


class Trainer:
    """Looks at the module and trains nothing."""

    def __init__(self) -> None:
        self.modes: List[bool] = []

    def fit(self, module: Learner, train: Any, dev: Any, ckpt_path: Any) -> None:  # as of Lightning 2.4
        self.modes += [part.training for part in module.model.children()]


CACHE: Any = [0, 1, 2]


def make_learner(model: torch.nn.Module, monkeypatch: pytest.MonkeyPatch, trainer: Any = None) -> Learner:
    """A module that the stand-in trains; it leaves no checkpoint to finish."""
    learner = Learner()
    learner.model = model
    monkeypatch.setattr(fitting, "make_trainer", lambda training, plan: trainer or Trainer())
    monkeypatch.setattr(fitting, "load_batches", lambda cache, batches: None)
    monkeypatch.setattr(fitting, "finish", lambda *_: {})
    return learner


def test_what_built_a_cache_in_eval_mode_is_trained_in_train_mode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = Trainer()
    frozen = make_backbone(BackboneConfig("test_resnet", (1,), frozen=True))
    learner = make_learner(torch.nn.Sequential(torch.nn.Dropout(), frozen).eval(), monkeypatch, trainer)
    fit(learner, TrainingConfig(), FitPlan(tmp_path, 0, CACHE, CACHE, {}))
    assert trainer.modes == [True, False], "but what is frozen stays in eval mode"


def test_every_process_ends_with_the_weights_that_were_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def follow() -> Iterator[bool]:  # as a second process: the first one has written what it kept
        kept = torch.nn.Linear(1, 1)
        torch.nn.init.constant_(kept.weight, 7.0)
        write_weights(kept, tmp_path / WEIGHTS)
        yield False

    learner = make_learner(torch.nn.Linear(1, 1), monkeypatch)
    monkeypatch.setattr(fitting, "first_alone", follow)
    assert fit(learner, TrainingConfig(), FitPlan(tmp_path, 0, CACHE, CACHE, {})) == {}
    assert learner.model.weight.item() == 7.0  # type: ignore[operator]


def test_a_checkpoint_is_read_without_pickles_where_lightning_can(tmp_path: Path) -> None:
    trainer = make_trainer(replace(TrainingConfig(), accelerator="cpu"), FitPlan(tmp_path, 0, CACHE, CACHE, {}))
    is_known = "weights_only" in inspect.signature(trainer.fit).parameters  # since 2.6
    assert read_safely(trainer) == ({"weights_only": True} if is_known else {})
    assert read_safely(Trainer()) == {}  # type: ignore[arg-type]


class Scenes:
    """Stand-in of a feature cache."""

    tokens = tuple("abcdefgh")

    def __len__(self) -> int:
        return len(self.tokens)

    def read(self, indices: Sequence[int]) -> Dict[str, torch.Tensor]:
        return {"x": torch.ones(len(indices), 1)}


class Drawing(Learner):
    """Notes a random number of every step; `stop` is the step in which it is killed."""

    def __init__(self, stop: int = -1) -> None:
        super().__init__()
        self.model, self.drawn, self.stop = torch.nn.Linear(1, 1), {}, stop  # type: ignore[var-annotated]

    def training_step(self, batch: Any, index: int) -> torch.Tensor:
        if self.global_step == self.stop:
            raise RuntimeError("killed")
        self.drawn[self.global_step] = torch.rand(1).item()
        loss: torch.Tensor = self.model(batch["x"]).square().mean()
        return loss

    def validation_step(self, batch: Any, index: int) -> None:
        self.log("dev_score", self.model(batch["x"]).mean())

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def test_random_numbers_follow_from_seed_and_epoch(tmp_path: Path) -> None:
    training = replace(TrainingConfig(), epochs=3, batch_size=4, accelerator="cpu")

    def draw(name: str, module: Drawing, seed: int = 5) -> Dict[int, float]:
        fit(module, training, FitPlan(tmp_path / name, seed, Scenes(), Scenes(), {}))
        return module.drawn

    whole = draw("whole", Drawing())
    assert len(set(whole.values())) == len(whole) == 6
    torch.rand(3)  # as who builds a cache
    killed = Drawing(stop=5)
    with pytest.raises(RuntimeError, match="killed"):
        draw("again", killed)
    resumed = draw("again", Drawing())
    assert min(resumed) == 4 and {**killed.drawn, **resumed} == whole
    assert not set(draw("other", Drawing(), seed=6).values()) & set(whole.values())


def test_several_devices_look_for_weights_that_no_loss_counts() -> None:
    strategy: Any = choose_strategy(2)
    assert strategy._ddp_kwargs["find_unused_parameters"] and choose_strategy(1) == "auto"
