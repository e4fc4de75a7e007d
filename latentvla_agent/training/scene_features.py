"""Scenes of a split to batches of features and targets, built by a pool of processes; see `feature_cache`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Iterator, Mapping, Optional, Sequence

import torch
from torch.utils.data import DataLoader, Dataset

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, SceneRef
from latentvla_agent.data.sensors import SensorSource, SensorStore
from latentvla_agent.data.splits import SceneFilter
from latentvla_agent.features.cameras import is_blank
from latentvla_agent.training.config import TrainingConfig
from latentvla_agent.training.feature_cache import CacheRecipe, FeatureCache, find_feature_cache, open_cache

PICTURES = ("images", "image", "frames", "teacher_images")
NEIGHBOURS = 16  # scenes that one process builds in a row: those of a drive share pictures

Tensors = Dict[str, torch.Tensor]


@dataclass(frozen=True)
class SceneSet:
    """Scenes to learn from, where their files lie, and their metric caches by token."""

    name: str
    refs: Sequence[SceneRef]
    roots: DataRoots
    scene_filter: SceneFilter
    metric_caches: Mapping[str, Path]
    sensor_source: Optional[SensorSource] = None
    source: str = ""  # hash of the logs
    feature_folder: Path = Path("features")  # where feature caches go if no folder is named


class SceneDataset(Dataset[Tensors]):
    """One scene after the other; opened anew in every process of a pool.

    `model`, where it has a frozen part, replaces the pictures by what that makes of them: one scene at a time on one
    core, whose caches hold its feature maps.
    """

    def __init__(
        self, scenes: SceneSet, refs: Sequence[SceneRef], features: Any, targets: Sequence[Any], model: Optional[Any]
    ):
        self._scenes, self._refs, self._features, self._targets = scenes, refs, features, targets
        self._model, self._is_blank = model, is_blank(features)
        self._blank: Tensors = {}  # what the frozen part makes of no picture: the same in every scene
        self._loader: Optional[SceneLoader] = None

    def __len__(self) -> int:
        return len(self._refs)

    def __getitem__(self, index: int) -> Tensors:
        """Features of what an agent sees, and targets of the scene."""
        if self._loader is None:
            sensors = SensorStore(self._scenes.roots.sensors, self._scenes.sensor_source)
            maps = MapStore(self._scenes.roots.maps)
            self._loader = SceneLoader(SceneIndex((), self._scenes.scene_filter), maps, sensors)
        scene = self._loader.build(self._refs[index])
        wanted = getattr(self._features, "sensor_config", None)
        tensors: Tensors = self._features.compute_features(scene.get_agent_input(wanted))
        for builder in self._targets:
            tensors = {**tensors, **builder.compute_targets(scene)}
        return tensors if self._model is None else self._encode(tensors)

    def _encode(self, tensors: Tensors) -> Tensors:
        encoded = self._blank or self._run_frozen(tensors)
        if self._is_blank:
            self._blank = encoded
        return {**_drop_pictures(tensors), **encoded}

    def _run_frozen(self, tensors: Tensors) -> Tensors:
        assert self._model is not None
        encoded = _encode_batch(self._model, {name: tensor[None] for name, tensor in tensors.items()})
        return {name: tensor[0] for name, tensor in encoded.items()}


class FeatureSource:
    """Caches of what one model learns from; `encode` is its frozen part, whose weights `encoder` names.

    On a GPU it runs here, on many scenes at once; on a CPU in the processes of the pool.
    """

    def __init__(self, features: Any, targets: Sequence[Any], model: Any, encoder: str, training: TrainingConfig):
        self._features, self._targets, self._model = features, targets, model
        self._encoder, self._workers, self._device = encoder, training.workers, find_device(training.accelerator)

    def open(self, scenes: SceneSet, base: Path) -> FeatureCache:
        """The cache of these scenes below `base`, built where it is not there yet."""
        recipe = self._describe(scenes)
        folder = find_feature_cache(base, scenes.name, recipe)
        return open_cache(
            folder, recipe, lambda first: self._build(scenes, scenes.refs[first:]), f"features of {scenes.name}"
        )

    def _describe(self, scenes: SceneSet) -> CacheRecipe:
        facts = {
            "split": scenes.name,
            "source": scenes.source,
            "features": _describe_builder(self._features),
            "targets": [_describe_builder(builder) for builder in self._targets],
            "encoder": self._encoder,
        }
        constants = (*PICTURES, "lidar", "image_features") if is_blank(self._features) else ()
        return CacheRecipe(tuple(ref.token for ref in scenes.refs), facts, constants)

    def _build(self, scenes: SceneSet, refs: Sequence[SceneRef]) -> Iterator[Tensors]:
        model = self._model.eval() if self._encoder else None
        runs_here = model is not None and self._device.type != "cpu" and not is_blank(self._features)
        dataset = SceneDataset(scenes, refs, self._features, self._targets, None if runs_here else model)
        loader = DataLoader(dataset, batch_size=NEIGHBOURS, num_workers=self._workers)
        if not runs_here:
            yield from loader
            return
        assert model is not None
        model.to(self._device)
        try:
            for batch in loader:
                encoded = _encode_batch(model, {name: tensor.to(self._device) for name, tensor in batch.items()})
                yield {**_drop_pictures(batch), **{name: tensor.cpu() for name, tensor in encoded.items()}}
        finally:
            model.to("cpu")


def _encode_batch(model: Any, batch: Tensors) -> Tensors:
    with torch.no_grad():
        encoded: Tensors = model.encode(batch)
    return encoded


def _drop_pictures(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if name not in PICTURES}


def find_device(accelerator: str) -> torch.device:
    """Where Lightning's `accelerator` would train; anything but a GPU counts as a CPU."""
    has_gpu = accelerator in ("auto", "gpu", "cuda") and torch.cuda.is_available()
    return torch.device("cuda" if has_gpu else "cpu")


def _describe_builder(builder: Any) -> str:
    """A builder with all of its numbers."""
    return f"{builder.get_unique_name()} {getattr(builder, 'config', '')}"
