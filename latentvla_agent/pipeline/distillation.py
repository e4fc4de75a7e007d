"""`latentvla train distill`: the teacher's tokens of every scene, once; then a student that says the same."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List, Mapping, NamedTuple, Optional

import pytorch_lightning as lightning
import torch
from safetensors.torch import load_file

from latentvla_agent.data.files import hash_file
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.features.teacher import TeacherFeatures
from latentvla_agent.models.latent_tokens import Tensors
from latentvla_agent.models.open_clip_teacher import OpenClipTeacher
from latentvla_agent.models.student import Student
from latentvla_agent.models.teacher import Teacher
from latentvla_agent.pipeline.planner import make_learner, open_features
from latentvla_agent.pipeline.scenes import DataRequest, cache_features, claim_run, collect_splits, hash_frozen
from latentvla_agent.training.action_codes import read_codes
from latentvla_agent.training.config import change_config, read_training
from latentvla_agent.training.distillation_config import DistillationTraining
from latentvla_agent.training.distillation_module import CLOSENESS, DistillationModule
from latentvla_agent.training.feature_cache import FeatureCache, JoinedCache
from latentvla_agent.training.fitting import IDENTITY, WEIGHTS, FitPlan, fit
from latentvla_agent.training.scene_features import FeatureSource, SceneSet
from latentvla_agent.training.teacher_config import TeacherTraining


class Taught(NamedTuple):
    """A finished teacher, how it was trained, and the hash of its weights."""

    teacher: OpenClipTeacher
    training: TeacherTraining
    weights: str


class TokenMaker:
    """A frozen teacher as the part of a feature cache that replaces pictures: by its tokens."""

    def __init__(self, teacher: Teacher):
        self._teacher = teacher
        teacher.freeze()

    def eval(self) -> TokenMaker:
        """It is, always."""
        return self

    def encode(self, features: Tensors) -> Tensors:
        """`visual_tokens`, `action_tokens` and `action_logits`, decoded from the teacher's own choices."""
        tokens: Tensors = self._teacher(features).as_features()
        return tokens


def distill(config: str, seed: int, out: Optional[Path], settings: Mapping[str, Any], request: DataRequest) -> None:
    """See `cli.train.train_distill_command`."""
    training = read_training(config, DistillationTraining, settings)
    torch.set_num_threads(training.threads or count_cores())
    lightning.seed_everything(seed, verbose=False)
    student = Student(training.student)
    taught = open_teacher(Path(training.teacher))
    scenes = collect_splits(request, training, scored=False)
    folder, facts = claim_run(config, seed, out, training, scenes, teacher=taught.weights)
    caches = [
        JoinedCache(pair)
        for pair in zip(
            cache_planner(training, scenes, request.cache),
            cache_tokens(taught, training.workers, scenes, request.cache),
        )
    ]
    codes = None
    if training.codes:
        codes = read_codes(Path(training.codes) / f"codes-{scenes[0].name}.npz", caches[0].tokens)
    module = DistillationModule(student, training.optimizer, training.loss, codes)
    record = fit(module, training, FitPlan(folder, seed, caches[0], caches[1], facts, CLOSENESS))
    print(f"distilled, seed {seed}: {record}")


def cache_planner(training: DistillationTraining, scenes: List[SceneSet], base: Optional[Path]) -> List[FeatureCache]:
    """Features of the planner, the same cache as its own training has."""
    agent = make_learner(training.planner)
    if not hash_frozen(agent.model):
        raise ConfigError(f"agent {training.planner}: expected a frozen backbone, whose features can be cached")
    return cache_features(open_features(agent, training.workers), scenes, base)


def cache_tokens(taught: Taught, workers: int, scenes: List[SceneSet], base: Optional[Path]) -> List[FeatureCache]:
    """The token cache of a teacher: its key names weights and preprocessing, so that another's is never read."""
    encoder = f"{taught.weights[:16]} {taught.training.teacher}"
    features = TeacherFeatures(taught.training.features)
    return cache_features(FeatureSource(features, [], TokenMaker(taught.teacher), encoder, workers), scenes, base)


def open_teacher(folder: Path) -> Taught:
    """A teacher that `latentvla train teacher` left in a folder."""
    path = folder / IDENTITY
    if not path.is_file() or not (folder / WEIGHTS).is_file():
        raise ConfigError(f"{folder}: expected a finished training of a teacher ({IDENTITY}, {WEIGHTS})")
    trained = change_config(TeacherTraining(), json.loads(path.read_text())["training"], str(path))
    teacher = OpenClipTeacher(trained.teacher)
    teacher.load_state_dict(load_file(folder / WEIGHTS))
    return Taught(teacher, trained, hash_file(folder / WEIGHTS))
