"""What `latentvla train planner` does: find the scenes, make their caches, hand them to `training.fitting`.

Imported when that command runs: it brings torch and Lightning.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Callable, List, Mapping, Optional

import pytorch_lightning as lightning
import torch
import yaml

from latentvla_agent.agent import LatentVLAAgent
from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.sensors import SensorSource
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.agents import build_agent, find_agent
from latentvla_agent.evaluation.metric_caching import make_metric_caches
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.models.backbones import Backbone, load_pretrained_backbones
from latentvla_agent.scoring.metric_cache import cache_path
from latentvla_agent.training.config import PlannerTraining, read_training
from latentvla_agent.training.feature_cache import FeatureCache
from latentvla_agent.training.fitting import WEIGHTS, FitPlan, claim_folder, fit
from latentvla_agent.training.online_labels import ProposalScorer
from latentvla_agent.training.planner_module import Learner, PlannerModule
from latentvla_agent.training.scene_features import FeatureSource, SceneSet

TIME_LIMIT_S = 120.0  # for the metric cache of a scene
SCORES = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "score",
)


def train_planner(
    config: str,
    seed: int,
    out: Optional[Path],
    settings: Mapping[str, Any],
    data: Optional[Path],
    dev_data: Optional[Path],
    maps: Optional[Path],
    cache: Optional[Path],
    find_sensor_source: Callable[[DataRoots], Optional[SensorSource]],
) -> None:
    """See `cli.train.train_planner_command`; `find_sensor_source` gives what renders sensors that are not there."""
    training = read_training(config, settings)
    threads = training.threads or count_cores()
    torch.set_num_threads(threads)
    lightning.seed_everything(seed, verbose=False)
    agent = make_learner(training)
    scenes = [
        collect_scenes(
            SplitRequest(root, maps, split, max_scenes=training.max_scenes or None, cache=cache), find_sensor_source
        )
        for root, split in ((data, training.train_split), (dev_data, training.dev_split))
    ]
    folder = out or Path("runs/train") / f"{Path(config).stem}-{seed}"
    facts = {"config": config, "scenes": [hash_tokens([ref.token for ref in own.refs]) for own in scenes]}
    claim_folder(folder, training, seed, facts)
    caches = cache_features(agent, training, scenes, cache)
    names = list(getattr(getattr(agent.model, "config", None), "scores", SCORES))
    learners = [
        Learner(own.tokens, ProposalScorer(scene.metric_caches.__getitem__, training.metric, names, threads))
        for own, scene in zip(caches, scenes)
    ]
    module = PlannerModule(agent.model, training, learners[0], learners[1], names)
    record = fit(module, training, FitPlan(folder, seed, caches[0], caches[1], facts))
    if record:  # this is the first of several processes
        print(f"trained {training.agent}, seed {seed}: {record}, {write_agent(training.agent, folder, seed)}")


def write_agent(name: str, folder: Path, seed: int) -> Path:
    """The agent with the weights of `folder`, as a YAML file for `latentvla eval --agent`; its name tells the seed."""
    spec = find_agent(name)
    path = folder / f"{spec.name}-seed{seed}.yaml"
    config = {**spec.config, "checkpoint_path": str((folder / WEIGHTS).resolve())}
    write_atomically(path, yaml.safe_dump(config, sort_keys=False).encode())
    return path


def make_learner(training: PlannerTraining) -> LatentVLAAgent:
    """The agent with untrained weights, its backbones with those that their configs name."""
    agent = build_agent(find_agent(training.agent))
    if not isinstance(agent, LatentVLAAgent):
        raise ConfigError(f"agent {training.agent}: expected one that learns, got {type(agent).__name__}")
    load_pretrained_backbones(agent.model)
    return agent


def cache_features(
    agent: LatentVLAAgent, training: PlannerTraining, scenes: List[SceneSet], base: Optional[Path]
) -> List[FeatureCache]:
    """Feature caches of the training and the dev split."""
    encoder = hash_frozen(agent.model)
    builders = [agent.targets]
    source = FeatureSource(agent.features, builders, agent.model, encoder, training.workers)
    folder = scenes[0].feature_folder if base is None else base / "features"
    opened = [source.open(own, folder) for own in scenes]
    for own, cached in zip(scenes, opened):
        size, speed = cached.num_bytes() / max(1, len(cached)), cached.seconds_per_scene
        costs = f"{len(cached)} scenes, {size / 1e3:.1f} kB and {1e3 * speed:.1f} ms a scene"
        print(f"features of {own.name}: {costs}, {cached.folder}")
    return opened


def hash_frozen(model: torch.nn.Module) -> str:
    """Names the weights of the frozen part; empty where nothing is frozen and pictures are cached."""
    frozen = [module for module in model.modules() if isinstance(module, Backbone) and module.frozen]
    if not frozen:
        return ""
    digest = hashlib.sha256(repr([module.config for module in frozen]).encode())
    for module in frozen:
        for tensor in module.state_dict().values():
            digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def hash_tokens(tokens: Any) -> str:
    """Names a list of scenes."""
    return hashlib.sha256("\n".join(tokens).encode()).hexdigest()[:16]


def collect_scenes(
    request: SplitRequest, find_sensor_source: Callable[[DataRoots], Optional[SensorSource]]
) -> SceneSet:
    """The scenes of a split with their metric caches, which are made where they are missing."""
    source = open_source(request)
    source.prepare()
    refs = source.index.refs
    failures = make_metric_caches(source, count_cores(), TIME_LIMIT_S)
    if failures:
        raise DataError(f"no metric cache for {len(failures)} of {len(refs)} scenes, the first {failures[0]}")
    logs = sorted({ref.log_path for ref in refs})
    return SceneSet(
        name=source.split.name,
        refs=refs,
        roots=source.roots,
        scene_filter=source.index.scene_filter,
        metric_caches={ref.token: cache_path(source.cache_folder, ref.log_name, ref.token) for ref in refs},
        sensor_source=find_sensor_source(source.roots),
        source=hash_tokens([hash_file(path) for path in logs]),
        feature_folder=source.cache_folder.parent / "features",
    )
