"""The running mean of weights: what it follows, what it leaves alone, where it is found again."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from latentvla_agent.training.learner import Learner, read_shown


class Small(Learner):
    """One weight, and a buffer of each kind."""

    def __init__(self) -> None:
        super().__init__()
        self.model = torch.nn.BatchNorm1d(1)


def step(learner: Small, number: int, weight: float) -> None:
    """As after a step of the optimizer."""
    with torch.no_grad():
        learner.model.weight.fill_(weight)  # type: ignore[union-attr,operator]
        learner.model.num_batches_tracked.fill_(number)  # type: ignore[union-attr,operator]
    trainer: Any = SimpleNamespace(global_step=number)
    learner._trainer = trainer
    learner.on_train_batch_end(None, None, 0)


@pytest.fixture
def learner(monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setattr(Small, "global_step", property(lambda own: own._trainer.global_step), raising=False)
    return Small()


def test_without_a_mean_the_model_itself_is_shown(learner: Small) -> None:
    step(learner, 1, 3.0)
    assert learner.shown is learner.model
    assert read_shown(learner.state_dict())["weight"].item() == 3.0


def test_the_mean_follows(learner: Small) -> None:
    learner.keep_average(0.9)
    step(learner, 1, 2.0)  # the first is taken as it is
    assert learner.shown.weight.item() == 2.0  # type: ignore[union-attr,operator]
    step(learner, 2, 4.0)
    expected = 4.0 + (2.0 - 4.0) * (2.0 / 11.0)  # a mean of few steps weighs the last one more
    assert learner.shown.weight.item() == pytest.approx(expected)  # type: ignore[union-attr,operator]
    assert learner.shown.num_batches_tracked.item() == 2 and learner.model.weight.item() == 4.0  # type: ignore
    for number in range(3, 400):
        step(learner, number, 5.0)
    assert read_shown(learner.state_dict())["weight"].item() == pytest.approx(5.0, abs=1e-3)
    assert not any(own.requires_grad for own in learner.shown.parameters())


def test_batches_between_two_steps_do_not_count(learner: Small) -> None:
    learner.keep_average(0.9)
    step(learner, 1, 2.0)
    for _ in range(5):
        step(learner, 2, 4.0)
    assert learner.shown.weight.item() == pytest.approx(4.0 - 2.0 * 2.0 / 11.0)  # type: ignore[union-attr,operator]
