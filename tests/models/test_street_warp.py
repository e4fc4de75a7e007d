"""A frame moved as the ego moved."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

import pytest
import torch

from latentvla_agent.models.latent_action_config import LatentActionConfig, StreetConfig, TinyLatentActionConfig
from latentvla_agent.models.street_warp import StreetWarp, measure_nearness
from tests.models.streets import AHEAD, HEIGHT, make_projections, paint_streets

ROWS, COLUMNS = 60, 80
CONFIG: LatentActionConfig = replace(
    TinyLatentActionConfig(),
    feature_size=3,
    grid=(ROWS, COLUMNS),
    street=StreetConfig(wall=1000.0),
    trials=((0.0, 0.0, 0.0), (3.0, 0.0, 0.0), (6.0, 0.0, 0.0), (3.0, 0.0, 0.2)),
)


def see(motion: Tuple[float, float, float]) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Maps before and after a motion, and the motion; two streets."""
    phases = 6.0 * torch.rand(2, 3, generator=torch.Generator().manual_seed(0))
    moved = torch.tensor([motion, motion])
    before, after = (paint_streets(poses, phases, ROWS, COLUMNS) for poses in (torch.zeros(2, 3), moved))
    return before, after, moved


def test_without_motion_nothing_moves() -> None:
    warp, maps = StreetWarp(CONFIG), torch.randn(2, 3, ROWS, COLUMNS)
    torch.nn.init.normal_(warp.nearness, std=0.05)
    torch.testing.assert_close(warp(maps, torch.zeros(2, 3), make_projections(2)), maps, atol=2e-3, rtol=0.0)


@pytest.mark.parametrize("motion", ((4.0, 0.0, 0.0), (2.0, 0.3, 0.1), (-1.0, 0.0, -0.05)))
def test_the_ground_moves_as_it_is_seen_afterwards(motion: Tuple[float, float, float]) -> None:
    before, after, moved = see(motion)
    found = StreetWarp(CONFIG)(before, moved, make_projections(2))
    inner = (..., slice(25, 45), slice(15, 65))  # below the horizon, and not where a picture's edge was passed
    error, change = (found - after)[inner].square().mean(), (before - after)[inner].square().mean()
    assert error < 0.02 * change


def test_the_true_motion_fits_best() -> None:
    before, after, _ = see((3.0, 0.0, 0.0))
    tried = StreetWarp(CONFIG).try_motions(before, after, make_projections(2))
    assert tried.shape == (2, 4, ROWS, COLUMNS)
    torch.testing.assert_close(tried.mean(dim=1), torch.zeros(2, ROWS, COLUMNS), atol=1e-5, rtol=0.0)
    assert tried[:, :, 25:45].mean(dim=(0, 2, 3)).argmin() == 1


def test_ground_and_walls() -> None:
    centre = torch.tensor([[[AHEAD], [1.0], [HEIGHT]]])
    rays = torch.tensor([[[1.0, 1.0, 1.0, 1.0], [0.0, 0.5, -0.5, 0.0], [-0.2, -0.1, 0.0, 0.3]]])
    near = measure_nearness(rays, centre, StreetConfig(wall=9.0, far=200.0))
    assert near[0].tolist() == pytest.approx([0.2 / HEIGHT, 0.5 / 8.0, 0.5 / 10.0, 1.0 / 200.0])


def test_distances_are_learnt_from_pictures() -> None:
    before, after, moved = see((4.0, 0.0, 0.0))
    warp = StreetWarp(replace(CONFIG, street=StreetConfig(ground=0.8, wall=1000.0)))  # the ground is lower than that

    def measure() -> torch.Tensor:
        return (warp(before, moved, make_projections(2)) - after)[:, :, 25:45].square().mean()

    begun, optimizer = measure().item(), torch.optim.Adam(warp.parameters(), lr=3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss = measure()
        loss.backward()
        optimizer.step()
    assert measure().item() < 0.4 * begun
