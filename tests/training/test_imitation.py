"""The loss and the optimizer of imitation."""

from __future__ import annotations

import pytest
import torch

from latentvla_agent.training.imitation import imitation_loss, make_optimizer


def test_the_loss_is_the_mean_absolute_error() -> None:
    targets = {"trajectory": torch.zeros(2, 8, 3)}
    predictions = {"trajectory": torch.full((2, 8, 3), -0.5)}
    assert imitation_loss(targets, predictions).item() == pytest.approx(0.5)


def test_the_optimizer_holds_every_parameter() -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = make_optimizer(model, 0.25)
    assert sum(len(group["params"]) for group in optimizer.param_groups) == 2
    assert optimizer.param_groups[0]["lr"] == 0.25
