"""Scenes to features: the scenes' order, whatever the pool, and where a frozen part runs."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict

import pytest
import torch
from torch import nn

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.training import scene_features
from latentvla_agent.training.config import TrainingConfig
from latentvla_agent.training.scene_features import NEIGHBOURS, FeatureSource, SceneSet, find_device

COUNT = NEIGHBOURS + 3


class PoseFeatures:
    """A stand-in of features: "image" says where the ego is."""

    def get_unique_name(self) -> str:
        return "poses"

    def compute_features(self, agent_input: Any) -> Dict[str, torch.Tensor]:
        status = agent_input.ego_statuses[-1]
        return {"image": torch.tensor(status.ego_velocity), "speed": torch.tensor(status.ego_velocity)[:1]}


class Doubling(nn.Module):
    """A stand-in of a frozen part."""

    def encode(self, features: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
        return {"image_features": 2.0 * features["image"]}


@pytest.fixture(scope="module")
def scenes() -> SceneSet:
    roots = find_roots(split="embedded")
    split = resolve_split("embedded", roots, max_scenes=COUNT)
    index = index_scenes(split)
    assert len(index.refs) == COUNT and MapStore(roots.maps)
    return SceneSet("embedded", index.refs, roots, index.scene_filter, {})


@pytest.mark.parametrize("workers", (0, 2))
def test_every_scene_is_there_in_its_order(scenes: SceneSet, tmp_path: Path, workers: int) -> None:
    training = TrainingConfig(workers=workers, accelerator="cpu")
    cache = FeatureSource(PoseFeatures(), [], Doubling(), "doubling", training).open(scenes, tmp_path)
    assert list(cache.tokens) == [ref.token for ref in scenes.refs]
    read = cache.read(range(COUNT))
    assert set(read) == {"image_features", "speed"}, "what is encoded takes the pictures' place"
    torch.testing.assert_close(read["image_features"][:, 0], 2.0 * read["speed"][:, 0])
    assert len(read["speed"].unique()) > COUNT // 2


def test_a_gpu_is_taken_where_lightning_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scene_features.torch, "cuda", SimpleNamespace(is_available=lambda: True))
    assert [find_device(name).type for name in ("auto", "gpu", "cpu", "mps")] == ["cuda", "cuda", "cpu", "cpu"]
    monkeypatch.setattr(scene_features.torch, "cuda", SimpleNamespace(is_available=lambda: False))
    assert find_device("auto").type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_same_features(scenes: SceneSet, tmp_path: Path) -> None:
    found = [
        FeatureSource(PoseFeatures(), [], Doubling(), "doubling", TrainingConfig(accelerator=name))
        .open(scenes, tmp_path / name)
        .read(range(COUNT))
        for name in ("cpu", "gpu")
    ]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
