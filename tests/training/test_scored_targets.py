"""What NAVSIM's training needs to score proposals: a number per scene, and a metric cache under it."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import EMBEDDED_SPLIT, find_roots
from latentvla_agent.data.scene import Scene
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.training import planner_loss as module
from latentvla_agent.training.planner_loss import navsim_loss
from latentvla_agent.training.scored_targets import ScoredTargets, default_folder, name_number, number_scene

SCORES = ("no_at_fault_collisions", "score")


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Scene:
    """The first of the embedded logs; caches go to a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    module._scorer.cache_clear()
    roots = find_roots(split=EMBEDDED_SPLIT)
    index = index_scenes(resolve_split(EMBEDDED_SPLIT, roots, max_scenes=1))
    return SceneLoader(index, MapStore(roots.maps)).build(index.refs[0])


def test_numbers_are_the_same_everywhere() -> None:
    assert number_scene("0123456789abcdef") == number_scene("0123456789abcdef") != number_scene("0123456789abcdee")
    assert name_number(-1) == "f" * 16 and -(2**63) <= number_scene("x") < 2**63


def test_the_loss_finds_the_scene_again(scene: Scene) -> None:
    targets = ScoredTargets(8).compute_targets(scene)
    assert len(list(default_folder().rglob("*.safetensors"))) == 1
    batch = {name: tensor[None] for name, tensor in targets.items()}
    human = batch["trajectory"][:, None, None].expand(1, 2, 3, 8, 3)
    predictions = {
        "proposals": human,
        "scores": torch.zeros(1, 3, len(SCORES), requires_grad=True),
        "areas": torch.zeros(1, 3, 8, 2),
        "hits": torch.zeros(1, 3, 6),
    }
    loss = navsim_loss(batch, predictions, SCORES)
    loss.backward()
    assert torch.isfinite(loss) and predictions["scores"].grad is not None
