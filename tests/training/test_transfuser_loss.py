"""Loss of TransFuser: values by hand, the best assignment, weights, and that it can be brought down."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import permutations
from typing import Dict

import pytest
import torch
from torch.nn import functional

from latentvla_agent.models.motion import MotionConfig, integrate_motion
from latentvla_agent.training.transfuser_loss import (
    TransfuserLossConfig,
    agent_losses,
    match_agents,
    transfuser_loss,
)
from tests.models.transfuser_scenes import LATE, make_features, make_model, make_targets

CONFIG = TransfuserLossConfig()
Tensors = Dict[str, torch.Tensor]


def perfect(targets: Tensors) -> Tensors:
    """Predictions that say what the targets say, agents in another order."""
    order = torch.randperm(targets["agent_boxes"].shape[1])
    labels = targets["agent_labels"][:, order]
    return {
        "trajectory": targets["trajectory"].clone(),
        "agent_boxes": targets["agent_boxes"][:, order],
        "agent_logits": torch.where(labels, 30.0, -30.0),
        "bev_logits": 30.0 * functional.one_hot(targets["bev_semantics"].long(), 7).permute(0, 3, 1, 2).float(),
    }


def test_perfect_predictions_cost_nothing() -> None:
    targets = make_targets(LATE, batch=3)
    losses = transfuser_loss(targets, perfect(targets), CONFIG)
    assert set(losses) == {"loss", "trajectory", "agent_class", "agent_box", "bev"}
    assert all(float(value) == pytest.approx(0.0, abs=1e-5) for value in losses.values())


def test_values_by_hand() -> None:
    targets = make_targets(LATE, batch=2)
    targets["agent_labels"][:] = False
    targets["agent_labels"][0, :2] = True
    found = perfect(targets)
    found["trajectory"] = found["trajectory"] + 0.5
    found["agent_boxes"] = found["agent_boxes"] + torch.tensor([0.1, -0.1, 0.2, 0.3, 0.3])
    found["agent_logits"] = torch.zeros_like(found["agent_logits"])
    found["bev_logits"] = torch.zeros_like(found["bev_logits"])
    losses = transfuser_loss(targets, found, CONFIG)
    expected = {"trajectory": 0.5, "agent_class": math.log(2), "agent_box": 1.0, "bev": math.log(7)}
    assert {name: float(losses[name]) for name in expected} == pytest.approx(expected, rel=1e-4)
    total = 10 * 0.5 + 10 * math.log(2) + 1 * 1.0 + 10 * math.log(7)
    assert float(losses["loss"]) == pytest.approx(total, rel=1e-4)


def test_the_assignment_is_the_cheapest() -> None:
    torch.manual_seed(0)
    boxes, predicted = torch.randn(4, 5, 5) * 9, torch.randn(4, 5, 5) * 9
    present, logits = torch.rand(4, 5) < 0.6, torch.randn(4, 5)

    def cost(scene: int, order: torch.Tensor) -> float:
        labels = present[scene, order].float()
        label_cost = functional.binary_cross_entropy_with_logits(logits[scene], labels, reduction="none")
        distance = (predicted[scene, :, :2] - boxes[scene, order, :2]).abs().sum(-1)
        return float((10 * label_cost + labels * distance).sum())

    match = match_agents(boxes, present, predicted, logits, CONFIG)
    for scene in range(4):
        best = min(cost(scene, torch.tensor(order)) for order in permutations(range(5)))
        assert cost(scene, match[scene]) == pytest.approx(best, rel=1e-5)


def test_no_agents_at_all() -> None:
    targets = make_targets(LATE)
    targets["agent_labels"][:] = False
    losses = transfuser_loss(targets, {**perfect(targets), "agent_logits": torch.zeros(2, 30)}, CONFIG)
    assert float(losses["agent_box"]) == 0.0 and float(losses["agent_class"]) == pytest.approx(math.log(2))


def test_agents_outside_the_field_of_view_are_absent() -> None:
    targets = make_targets(LATE, batch=1)
    targets["agent_boxes"][0, :3, :2] = torch.tensor([[10.0, 0.0], [-10.0, 1.0], [0.1, 20.0]])
    targets["agent_labels"][:] = False
    targets["agent_labels"][0, :3] = True
    only_first = {**targets, "agent_labels": targets["agent_labels"].clone()}
    only_first["agent_labels"][0, 1:3] = False
    predictions = {"agent_boxes": torch.randn(1, 30, 5), "agent_logits": torch.randn(1, 30)}
    narrow = replace(CONFIG, field_of_view=4 / 9 * math.pi)
    seen = [agent_losses(*pair) for pair in ((targets, predictions, narrow), (only_first, predictions, CONFIG))]
    assert all(torch.equal(seen[0][name], seen[1][name]) for name in ("agent_class", "agent_box"))
    assert seen[0]["agent_box"] != agent_losses(targets, predictions, CONFIG)["agent_box"]


def test_a_weight_of_zero_needs_no_targets() -> None:
    targets = make_targets(LATE)
    losses = transfuser_loss(
        {"trajectory": targets["trajectory"]},
        {"trajectory": targets["trajectory"] + 1.0},
        TransfuserLossConfig(agent_class=0, agent_box=0, bev=0),
    )
    assert {name: float(value) for name, value in losses.items()} == pytest.approx({"loss": 10.0, "trajectory": 1.0})


@pytest.mark.slow
def test_one_batch_is_learned_by_heart() -> None:
    config = replace(LATE, fusion_dropout=0.0)
    model, features, targets = make_model(config).train(), make_features(config), make_targets(config)
    choices = torch.randn(len(features["ego_status"]), 8, 2)
    targets["trajectory"] = integrate_motion(choices, features["ego_status"], MotionConfig(gain=0.2))  # can be driven
    targets["bev_semantics"] = targets["bev_semantics"][:, :1, :1].expand_as(targets["bev_semantics"])
    cached = {**features, **model.encode(features)}
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], 1e-3)
    history = []
    for _ in range(120):
        losses = transfuser_loss(targets, model(cached), CONFIG)
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
        history.append({name: float(value.detach()) for name, value in losses.items()})
    assert history[-1]["loss"] < history[0]["loss"] / 12, history[-1]
    assert history[-1]["trajectory"] < 0.1 and history[-1]["bev"] < 0.05, history[-1]
