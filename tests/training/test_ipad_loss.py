"""The losses of iPad: who learns what."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from latentvla_agent.training.ipad_loss import IPadLossConfig, imitate_best, ipad_loss, miss_best


def test_only_the_nearest_proposal_learns_from_the_human() -> None:
    proposals = torch.zeros(1, 1, 3, 8, 3)
    proposals[0, 0, 1, :, 0] = 2.0
    proposals.requires_grad_()
    human = torch.full((1, 8, 3), 0.0)
    human[..., 0] = 2.5
    loss = imitate_best(proposals, human, IPadLossConfig())
    torch.testing.assert_close(loss, torch.tensor(0.5))
    loss.backward()
    assert proposals.grad is not None
    assert proposals.grad[0, 0, 1, :, 0].abs().min() > 0 and proposals.grad[0, 0, [0, 2]].abs().max() == 0


def test_all_proposals_may_learn_a_little() -> None:
    proposals = torch.zeros(1, 1, 2, 8, 3)
    proposals[0, 0, 1, :, 0] = 4.0
    proposals.requires_grad_()
    loss = imitate_best(proposals, torch.zeros(1, 8, 3), IPadLossConfig(other_proposals=0.1))
    torch.testing.assert_close(loss, torch.tensor(0.1 * 4.0 / 2))
    loss.backward()
    assert proposals.grad is not None and proposals.grad[0, 0, 1, :, 0].min() > 0


def test_earlier_refinements_count_less() -> None:
    proposals = torch.zeros(1, 3, 1, 8, 3)
    human = torch.zeros(1, 8, 3)
    human[..., 1] = 1.0
    loss = imitate_best(proposals, human, IPadLossConfig(earlier_refinements=0.1))
    torch.testing.assert_close(loss, torch.tensor(1.0 + 2 * 0.1))


def test_parts_and_their_weights() -> None:
    predictions = {
        "proposals": torch.zeros(1, 1, 2, 8, 3),
        "scores": torch.zeros(1, 2, 7),
        "areas": torch.zeros(1, 2, 8, 2),
        "hits": torch.zeros(1, 2, 6),
    }
    hits = torch.zeros(1, 2, 6)
    hits[0, 0] = torch.tensor([1.0, 4.0, 0.0, 0.0, 0.0, 1.0])  # only what is hit has a box to learn
    labels = {"scores": torch.ones(1, 2, 7), "areas": torch.ones(1, 2, 8, 2), "hits": hits}
    parts = ipad_loss(predictions, {"trajectory": torch.zeros(1, 8, 3)}, labels, IPadLossConfig())
    assert {name: round(value.item(), 6) for name, value in parts.items()} == {
        "imitation": 0.0,
        "scores": round(math.log(2), 6),
        "choice": 0.0,
        "areas": round(2 * math.log(2), 6),
        "hits": round(math.log(2), 6),
        "hit_boxes": 0.1,
    }


def test_without_a_hit_there_is_no_box_to_learn() -> None:
    predictions = {
        "proposals": torch.zeros(1, 1, 2, 8, 3),
        "scores": torch.zeros(1, 2, 7),
        "areas": torch.zeros(1, 2, 8, 2),
        "hits": torch.ones(1, 2, 6),
    }
    labels = {"scores": torch.ones(1, 2, 7), "areas": torch.ones(1, 2, 8, 2), "hits": torch.zeros(1, 2, 6)}
    parts = ipad_loss(predictions, {"trajectory": torch.zeros(1, 8, 3)}, labels, IPadLossConfig())
    assert parts["hit_boxes"].item() == 0.0


def test_choosing_badly_costs_what_is_missed() -> None:
    true = torch.tensor([[[0.2], [0.9], [0.5]]])
    sure = torch.tensor([[[0.0], [50.0], [0.0]]])
    torch.testing.assert_close(miss_best(sure, true, 1.0), torch.tensor(0.0))
    torch.testing.assert_close(miss_best(sure.roll(1, dims=1), true, 1.0), torch.tensor(0.4))
    even = torch.zeros(1, 3, 1, requires_grad=True)
    missed = miss_best(even, true, 0.5)
    torch.testing.assert_close(missed, torch.tensor(0.9 - 1.6 / 3))
    missed.backward()
    assert even.grad is not None and even.grad.argmin() == 1, "the best one is to be predicted higher"


def test_imitation_alone_needs_no_labels() -> None:
    nothing = IPadLossConfig(scores=0.0, areas=0.0, hits=0.0, hit_boxes=0.0)
    assert not nothing.needs_labels and IPadLossConfig().needs_labels
    assert replace(nothing, choice=1.0).needs_labels
