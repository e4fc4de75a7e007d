"""Which loss a planner has, by what it predicts, and when proposals are scored."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict

import pytest
import torch

from latentvla_agent.training.ipad_loss import IPadLossConfig
from latentvla_agent.training.planner_loss import navsim_loss, planner_loss

Tensors = Dict[str, torch.Tensor]
HUMAN = {"trajectory": torch.zeros(2, 8, 3)}


def refuse(proposals: torch.Tensor) -> Tensors:
    raise AssertionError("nothing here needs labels")


def test_a_trajectory_is_imitated() -> None:
    assert planner_loss(HUMAN, {"trajectory": torch.ones(2, 8, 3)}, refuse)["loss"].item() == 1.0
    assert navsim_loss(HUMAN, {"trajectory": torch.ones(2, 8, 3)}).item() == 1.0


def test_a_plan_in_words_is_imitated_in_words() -> None:
    logits, centers = torch.zeros(2, 8, 3, 4), torch.linspace(-1.0, 1.0, 4).expand(3, 4)
    loss = planner_loss(
        HUMAN, {"trajectory": HUMAN["trajectory"], "pose_logits": logits, "pose_centers": centers}, refuse
    )
    assert loss["loss"].item() == pytest.approx(torch.log(torch.tensor(4.0)).item())


def test_proposals_are_scored_where_the_loss_needs_it() -> None:
    proposals = torch.zeros(2, 2, 3, 8, 3)
    predictions = {
        "proposals": proposals,
        "scores": torch.zeros(2, 3, 7),
        "areas": torch.zeros(2, 3, 8, 2),
        "hits": torch.zeros(2, 3, 6),
    }
    asked = []

    def label(last: torch.Tensor) -> Tensors:
        asked.append(last.shape)
        return {"scores": torch.ones(2, 3, 7), "areas": torch.zeros(2, 3, 8, 2), "hits": torch.zeros(2, 3, 6)}

    parts = planner_loss(HUMAN, predictions, label)
    assert asked == [(2, 3, 8, 3)]
    total = parts.pop("loss")
    assert parts and total.item() == pytest.approx(sum(part.item() for part in parts.values()))
    silent = replace(IPadLossConfig(), scores=0.0, areas=0.0, hits=0.0, hit_boxes=0.0, choice=0.0)
    assert not silent.needs_labels
    assert planner_loss(HUMAN, predictions, refuse, silent)["loss"].item() == 0.0
