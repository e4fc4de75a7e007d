"""The report of latent actions: the probe, and who explains what."""

from __future__ import annotations

from typing import Any, Dict, List, Sequence

import pytest
import torch

from latentvla_agent.features.windows import PROJECTION
from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.training.latent_action_report import (
    ReportConfig,
    collect,
    make_untrained,
    probe,
    report_latent_actions,
)
from tests.models.streets import make_projections
from tests.models.test_latent_action import EGO, make_frames


class MemoryCache:
    """Stand-in of a feature cache."""

    def __init__(self, count: int):
        self.features, self.motion = make_frames(count)
        self.asked: List[int] = []
        self.motion[..., 0] += 3.0 * (self.motion[..., 0].sign())  # nearly all of them move

    def __len__(self) -> int:
        return len(self.features)

    def read(self, indices: Sequence[int]) -> Dict[str, torch.Tensor]:
        rows: List[int] = list(indices)
        self.asked += rows
        return {
            "frame_features": self.features[rows],
            "motion": self.motion[rows],
            PROJECTION: make_projections(len(rows)),
        }


def test_the_probe_explains_what_is_there_and_nothing_else() -> None:
    torch.manual_seed(0)
    inputs, others = torch.randn(400, 5), torch.randn(200, 5)
    weights = torch.randn(5)

    def make_motion(rows: torch.Tensor) -> torch.Tensor:
        motion = torch.randn(len(rows), 7)
        motion[:, 0] = rows @ weights + 2.0
        motion[:, 1] = rows @ weights + torch.randn(len(rows)) * weights.norm()
        return motion

    found = probe(inputs, make_motion(inputs), others, make_motion(others), ReportConfig(ridge=1e-4))
    assert found["dx"] == pytest.approx(1.0, abs=1e-3)
    assert found["dy"] == pytest.approx(0.5, abs=0.12)
    assert found["dyaw"] < 0.05


def test_inputs_that_are_all_alike_explain_nothing() -> None:
    torch.manual_seed(0)
    motion, others = torch.randn(40, 7), torch.randn(20, 7)
    found = probe(torch.full((40, 5), 0.3), motion, torch.full((20, 5), 0.3), others, ReportConfig())
    assert all(value == pytest.approx(0.0, abs=0.2) and value <= 0.0 for value in found.values())


def test_the_report_of_an_untrained_model() -> None:
    torch.manual_seed(0)
    model = LatentActionModel(EGO).train()
    train, dev = MemoryCache(48), MemoryCache(24)
    model(train.features, make_projections(48))
    caches: Any = (train, dev)
    report = report_latent_actions(model, *caches, seed=0)
    assert set(report["probe"]) == {"ego", "environment", "untrained", "speed"}
    assert 1.0 < report["reconstruction"] < 3.0, "noise that moves with the ego explains nothing"
    assert 0.9 < report["shuffled"] < 3.0
    assert all(1.0 <= value <= 4.0 for value in report["perplexity"].values())
    moving = int((dev.motion[..., 0].abs() > 1.0).sum())
    assert report["moving_transitions"]["dev"] == moving > 60


def test_foreign_codes_are_not_those_of_the_next_window_of_the_drive() -> None:
    cache, model = MemoryCache(40), LatentActionModel(EGO)
    for _ in range(2):
        collect(model, cache, ReportConfig())  # type: ignore[arg-type]
    order = cache.asked[:40]
    assert sorted(order) == list(range(40)) and cache.asked[40:] == order, "all of them, the same each time"
    assert sum(abs(one - other) == 1 for one, other in zip(order, order[1:])) < 8


def test_an_untrained_encoder_is_another_one_and_leaves_the_seed_alone() -> None:
    model, cache = LatentActionModel(EGO), MemoryCache(16)
    before = torch.random.get_rng_state()
    untrained = make_untrained(model, cache, seed=0)  # type: ignore[arg-type]
    assert torch.equal(torch.random.get_rng_state(), before)
    assert not torch.equal(untrained.encoder.input.weight, model.encoder.input.weight)
    again = make_untrained(model, cache, seed=0)  # type: ignore[arg-type]
    assert torch.equal(untrained.encoder.input.weight, again.encoder.input.weight)
