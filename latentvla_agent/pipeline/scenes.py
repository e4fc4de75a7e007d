"""The scenes of a training: found, their metric caches and feature caches made."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import torch

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.sensors import SensorSource
from latentvla_agent.data.worlds import hash_renderer
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.metric_caching import make_metric_caches
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.evaluation.stages import SourceHashes
from latentvla_agent.models.backbones import Backbone, Normalization
from latentvla_agent.scoring.metric_cache import cache_path
from latentvla_agent.training.config import TrainingConfig
from latentvla_agent.training.feature_cache import FeatureCache
from latentvla_agent.training.fitting import claim_folder
from latentvla_agent.training.scene_features import FeatureSource, SceneSet

TIME_LIMIT_S = 120.0  # for the metric cache of a scene


@dataclass(frozen=True)
class DataRequest:
    """Where the user says that data lie, None is what was left open, and what renders sensors that are not there."""

    find_sensor_source: Callable[[DataRoots], Optional[SensorSource]]
    data: Optional[Path] = None
    dev_data: Optional[Path] = None
    maps: Optional[Path] = None
    cache: Optional[Path] = None


def collect_splits(
    request: DataRequest, training: TrainingConfig, scored: Tuple[bool, bool] = (False, False)
) -> List[SceneSet]:
    """Training and dev split; those that are `scored` with metric caches, which are made where they are missing."""
    limit = training.max_scenes or None
    places = ((request.data, training.train_split), (request.dev_data, training.dev_split))
    return [collect_scenes(request, *place, own, limit) for place, own in zip(places, scored)]


def collect_scenes(
    request: DataRequest, root: Optional[Path], split: str, scored: bool = False, limit: Optional[int] = None
) -> SceneSet:
    """The scenes of a split of the data below `root`."""
    source = open_source(SplitRequest(root, request.maps, split, max_scenes=limit, cache=request.cache))
    source.prepare()
    refs = source.index.refs
    failures = make_metric_caches(source, count_cores(), TIME_LIMIT_S) if scored else []
    if failures:
        raise DataError(f"no metric cache for {len(failures)} of {len(refs)} scenes, the first {failures[0]}")
    store = source.hashes  # every stage of a chain asks for those of the same logs
    hashes = SourceHashes(MapStore(source.roots.maps), source.index.scene_filter, store)
    sensor_source = request.find_sensor_source(source.roots)
    facts = [*sorted({hashes.source_of(ref) for ref in refs}), *([hash_renderer()] if sensor_source else [])]
    store.save()
    caches: Dict[str, Path] = {}
    if scored:
        caches = {ref.token: cache_path(source.cache_folder, ref.log_name, ref.token) for ref in refs}
    return SceneSet(
        name=source.split.name,
        refs=refs,
        roots=source.roots,
        scene_filter=source.index.scene_filter,
        metric_caches=caches,
        sensor_source=sensor_source,
        source=hash_tokens(facts),
        feature_folder=source.cache_folder.parent / "features",
    )


def claim_run(
    config: str, seed: int, out: Optional[Path], training: TrainingConfig, scenes: Sequence[SceneSet], **more: Any
) -> Tuple[Path, Dict[str, Any]]:
    """The folder of a training, claimed, and the facts that it is recognised by: config, scenes and what is more."""
    folder = out or Path("runs/train") / f"{Path(config).stem}-{seed}"
    facts = {"config": config, "scenes": [hash_tokens([ref.token for ref in own.refs]) for own in scenes], **more}
    claim_folder(folder, training, seed, facts)
    return folder, facts


def cache_features(source: FeatureSource, scenes: Sequence[SceneSet], base: Optional[Path]) -> List[FeatureCache]:
    """A feature cache for each of the splits; says what they cost."""
    opened = [source.open(own, own.feature_folder if base is None else base / "features") for own in scenes]
    for own, cached in zip(scenes, opened):
        size, speed = cached.num_bytes() / max(1, len(cached)), cached.seconds_per_scene
        costs = f"{len(cached)} scenes, {size / 1e3:.1f} kB and {1e3 * speed:.1f} ms a scene"
        print(f"features of {own.name}: {costs}, {cached.folder}")
    return opened


def hash_frozen(model: torch.nn.Module) -> str:
    """Names the weights of the frozen part and what lies before and behind it: how pictures are normalised, the cells
    that features are pooled to. Empty where nothing is frozen and pictures are cached."""
    frozen = [module for module in model.modules() if isinstance(module, Backbone) and module.frozen]
    if not frozen:
        return ""
    around = [repr(module) for module in model.modules() if isinstance(module, Normalization)]
    return hash_weights(frozen, repr([[module.config for module in frozen], around, getattr(model, "grid", None)]))


def hash_weights(modules: Sequence[torch.nn.Module], description: str) -> str:
    """Names the weights of modules, and what is said of them."""
    digest = hashlib.sha256(description.encode())
    for module in modules:
        for tensor in module.state_dict().values():
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy())  # numpy knows no bfloat16
    return digest.hexdigest()[:16]


def hash_tokens(tokens: Any) -> str:
    """Names a list of scenes."""
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()[:16]
