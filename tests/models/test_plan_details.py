"""What planners weighed, out of the tensors of a pass."""

from __future__ import annotations

import torch
from torch import nn

from latentvla_agent.evaluation.plan_details import check_details
from latentvla_agent.models.latent_tokens import ACTION_LOGITS, ActionVocabulary
from latentvla_agent.models.plan_details import describe_details


class Taught(nn.Module):
    """Knows a vocabulary."""

    vocabulary = ActionVocabulary(num_transitions=3, codes_per_transition=2)


def test_proposals_are_those_of_the_last_refinement_with_their_totals() -> None:
    proposals, scores = torch.randn(2, 4, 5, 8, 3), torch.randn(2, 5, 7)
    details = describe_details(nn.Identity(), {"proposals": proposals, "scores": scores}, 1)
    assert torch.allclose(torch.tensor(details["proposals"]), proposals[1, -1], atol=0.0051)
    assert torch.allclose(torch.tensor(details["proposal_scores"]), scores[1, :, -1].sigmoid(), atol=0.00051)
    assert check_details(details) == details


def test_codes_are_the_likeliest_ones() -> None:
    logits = torch.zeros(1, 6, 16)
    logits[0, torch.arange(6), torch.tensor([3, 1, 15, 0, 7, 7])] = 100.0
    details = describe_details(nn.Sequential(Taught()), {ACTION_LOGITS: logits}, 0)
    assert details == {"codes": [3, 1, 15, 0, 7, 7], "code_shares": [1.0] * 6, "transitions": 3}
    assert describe_details(nn.Identity(), {ACTION_LOGITS: logits}, 0)["transitions"] == 1
    assert check_details(details) == details


def test_a_planner_that_weighs_nothing_tells_nothing() -> None:
    assert describe_details(nn.Identity(), {"trajectory": torch.zeros(1, 8, 3)}, 0) == {}
