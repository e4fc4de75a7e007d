"""A teacher that plans by itself, in numbers and in words."""

from __future__ import annotations

from typing import Optional

import pytest
import torch

from latentvla_agent.data.pose_bins import PoseBins
from latentvla_agent.models.direct_planner import DirectPlanner, DirectPlannerConfig
from latentvla_agent.models.latent_tokens import ACTION_TOKENS, LatentTokens, Tensors
from latentvla_agent.models.token_controls import RandomTokens
from latentvla_agent.training.imitation import imitation_loss, writing_loss


def make_planner(bins: Optional[PoseBins]) -> DirectPlanner:
    torch.manual_seed(0)
    config = DirectPlannerConfig(hidden_size=16, bins=bins)
    return DirectPlanner(RandomTokens(token_width=6, num_seen=4), token_width=6, config=config)


def make_features() -> Tensors:
    return {"ego_status": torch.rand(3, 8, generator=torch.Generator().manual_seed(0)) * 5.0}


@pytest.mark.parametrize("bins", (None, PoseBins(count=64)))
def test_tokens_live_and_of_a_cache_give_the_same_plan(bins: Optional[PoseBins]) -> None:
    planner, features = make_planner(bins).eval(), make_features()
    tokens: LatentTokens = planner.student(features)
    with torch.no_grad():
        live, cached = planner(features), planner({**features, **tokens.as_features()})
    assert live["trajectory"].shape == (3, 8, 3) and torch.equal(live["trajectory"], cached["trajectory"])
    other = {**features, **tokens.as_features(), ACTION_TOKENS: tokens.action + 1.0}
    assert not torch.equal(planner(other)["trajectory"], live["trajectory"])


def test_words_stand_for_the_middles_of_their_bins() -> None:
    bins = PoseBins(count=64)
    plans = make_planner(bins).eval()(make_features())["trajectory"].detach().double().numpy()
    assert abs(bins.read(bins.write(plans)) - plans).max() < 1e-4


@pytest.mark.parametrize("bins", (None, PoseBins(count=64)))
def test_it_learns_a_trajectory_by_heart(bins: Optional[PoseBins]) -> None:
    planner, features = make_planner(bins).train(), make_features()
    assert not planner.student.training
    features["ego_status"][:, 0] = 5.0
    steps = torch.arange(1.0, 9.0)
    human = torch.stack([2.5 * steps, torch.zeros(8), torch.zeros(8)], dim=1).expand(3, 8, 3)
    loss = imitation_loss if bins is None else writing_loss
    optimizer = torch.optim.Adam(planner.head.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss({"trajectory": human}, planner(features)).backward()
        optimizer.step()
    error = (planner.eval()(features)["trajectory"] - human).abs().amax(dim=(0, 1))
    limit = torch.tensor([0.5, 0.1, 0.05]) if bins is None else torch.tensor(bins.width / 2 + 1e-4, dtype=torch.float32)
    assert (error <= limit).all(), error
