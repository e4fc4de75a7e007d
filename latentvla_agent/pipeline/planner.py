"""`latentvla train planner`: a planner, trained on the true scores of its proposals."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

import pytorch_lightning as lightning
import torch
import yaml

from latentvla_agent.agent import LatentVLAAgent
from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.agents import build_agent, find_agent
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.models.backbones import load_pretrained_backbones
from latentvla_agent.models.checkpoint_files import find_checkpoint
from latentvla_agent.models.fused_planner import FUSION, FusedPlanner
from latentvla_agent.models.teacher import Teacher
from latentvla_agent.models.weights import load_weights
from latentvla_agent.pipeline.scenes import DataRequest, cache_features, claim_run, collect_splits, hash_frozen
from latentvla_agent.pipeline.tokens import cache_tokens, name_teacher, take_teacher
from latentvla_agent.training.config import PlannerTraining, TrainingConfig, read_training
from latentvla_agent.training.feature_cache import FeatureCache, JoinedCache, SceneCache
from latentvla_agent.training.fitting import RUN, WEIGHTS, FitPlan, fit
from latentvla_agent.training.online_labels import ProposalScorer, check_names
from latentvla_agent.training.planner_module import PlannerModule, ScoredScenes
from latentvla_agent.training.scene_features import FeatureSource, SceneSet

SCORES = (
    "no_at_fault_collisions",
    "drivable_area_compliance",
    "ego_progress",
    "time_to_collision_within_bound",
    "score",
)


def train_planner(
    config: str, seed: int, out: Optional[Path], settings: Mapping[str, Any], request: DataRequest
) -> None:
    """See `cli.train.train_planner_command`."""
    training = read_training(config, PlannerTraining, settings)
    threads = training.threads or count_cores()
    torch.set_num_threads(threads)
    lightning.seed_everything(seed, verbose=False)
    agent = make_learner(training.agent)
    begun_with = start_from(agent, training)
    predicted = tuple(getattr(getattr(agent.model, "config", None), "scores", ()))  # of proposals
    names = predicted or SCORES
    check_names(training.metric, names)
    scenes = collect_splits(request, training, scored=(bool(predicted) and training.ipad_loss.needs_labels, True))
    folder, facts = claim_run(config, seed, out, training, scenes, **begun_with)
    if (folder / RUN).is_file():
        print(f"finished before: {write_agent(training.agent, folder, seed)}")
        return
    planned = cache_features(open_features(agent, training), scenes, request.cache)
    caches: List[SceneCache] = [*planned]
    if has_teacher(agent):
        caches = join_tokens(planned, agent, training, scenes, request.cache)
    scored = [
        ScoredScenes(own.tokens, ProposalScorer(scene.metric_caches.__getitem__, training.metric, names, threads))
        for own, scene in zip(caches, scenes)
    ]
    module = PlannerModule(agent.model, training, scored[0], scored[1], names)
    record = fit(module, training, FitPlan(folder, seed, caches[0], caches[1], facts))
    if record:  # this is the first of several processes
        print(f"trained {training.agent}, seed {seed}: {record}, {write_agent(training.agent, folder, seed)}")


def make_learner(name: str) -> LatentVLAAgent:
    """The agent with untrained weights, its backbones with those that their configs name."""
    agent = build_agent(find_agent(name))
    if not isinstance(agent, LatentVLAAgent):
        raise ConfigError(f"agent {name}: expected one that learns, got {type(agent).__name__}")
    load_pretrained_backbones(agent.model)
    return agent


def open_features(agent: LatentVLAAgent, training: TrainingConfig) -> FeatureSource:
    """What makes the feature caches of an agent; a live teacher's tokens have caches of their own."""
    features = agent.features.planner if has_teacher(agent) else agent.features
    return FeatureSource(features, [agent.targets], agent.model, hash_frozen(agent.model), training)


def has_teacher(agent: LatentVLAAgent) -> bool:
    """Whether a teacher drives along."""
    return isinstance(getattr(agent.model, "student", None), Teacher)


def start_from(agent: LatentVLAAgent, training: PlannerTraining) -> Dict[str, str]:
    """Give an agent the weights that its training names; returns their hashes, by what they are for."""
    model: Any = agent.model
    if training.tokens and getattr(model, "student", None) is None:
        raise ConfigError(f"tokens: agent {training.agent} reads no latent tokens")
    if training.start:
        load_weights(model.planner if isinstance(model, FusedPlanner) else model, training.start, new=FUSION)
    if has_teacher(agent):
        folder = Path(training.tokens).parent if training.tokens else None
        take_teacher(training.agent, model.student, agent.features.teacher, folder)
    elif training.tokens:
        source = model.student
        load_weights(getattr(source, "student", source), training.tokens)
    named = {name: getattr(training, name) for name in ("start", "tokens")}
    return {name: hash_file(find_checkpoint(place)) for name, place in named.items() if place}


def join_tokens(
    caches: Sequence[FeatureCache],
    agent: LatentVLAAgent,
    training: PlannerTraining,
    scenes: Sequence[SceneSet],
    base: Optional[Path],
) -> List[SceneCache]:
    """Feature caches with what a live teacher says of every scene: in training it says it once."""
    model: Any = agent.model
    taught = name_teacher(model.student, agent.features.teacher)
    return [JoinedCache(pair) for pair in zip(caches, cache_tokens(taught, training, scenes, base))]


def write_agent(name: str, folder: Path, seed: int) -> Path:
    """The agent with the weights of `folder`, as a YAML file for `latentvla eval --agent`; its name tells the seed."""
    spec = find_agent(name)
    path = folder / f"{spec.name}-seed{seed}.yaml"
    config = {**spec.config, "checkpoint_path": str((folder / WEIGHTS).resolve())}
    write_atomically(path, yaml.safe_dump(config, sort_keys=False).encode())
    return path
