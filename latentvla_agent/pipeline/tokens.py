"""A teacher's tokens of every scene, written once: its key names weights and preprocessing, another's is never read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

import torch
from safetensors.torch import load_file

from latentvla_agent.errors import ConfigError
from latentvla_agent.features.teacher import TeacherFeatures
from latentvla_agent.models.latent_tokens import Tensors
from latentvla_agent.models.open_clip_teacher import OpenClipTeacher, load_pretrained_towers
from latentvla_agent.models.teacher import Teacher
from latentvla_agent.models.weights import load_weights
from latentvla_agent.pipeline.scenes import cache_features, hash_weights
from latentvla_agent.pipeline.teachers import build_teacher, make_teacher_features
from latentvla_agent.training.config import TrainingConfig, change_config
from latentvla_agent.training.feature_cache import FeatureCache
from latentvla_agent.training.fitting import IDENTITY, WEIGHTS
from latentvla_agent.training.scene_features import FeatureSource, SceneSet
from latentvla_agent.training.teacher_config import TeacherTraining

STARTING_POINT = ("pretrained",)  # entries of a teacher's config that its weights don't depend on any more


class Taught(NamedTuple):
    """A teacher, the builder of what it sees, and a name for its weights."""

    teacher: Teacher
    features: Any
    weights: str


class TokenMaker:
    """A frozen teacher as the part of a feature cache that replaces pictures: by its tokens."""

    def __init__(self, teacher: Teacher):
        self._teacher = teacher
        teacher.freeze()

    def eval(self) -> TokenMaker:
        """It is, always."""
        return self

    def to(self, device: torch.device) -> TokenMaker:
        """As of any module."""
        self._teacher.to(device)
        return self

    def encode(self, features: Tensors) -> Tensors:
        """`visual_tokens`, `action_tokens` and `action_logits`, decoded from the teacher's own choices."""
        tokens: Tensors = self._teacher(features).as_features()
        return tokens


def cache_tokens(
    taught: Taught, training: TrainingConfig, scenes: Sequence[SceneSet], base: Optional[Path]
) -> List[FeatureCache]:
    """The token cache of each of the splits."""
    encoder = f"{taught.weights[:16]} {taught.teacher.config}"
    return cache_features(
        FeatureSource(taught.features, [], TokenMaker(taught.teacher), encoder, training), scenes, base
    )


def open_teacher(folder: Path) -> Taught:
    """A teacher that `latentvla train teacher` left in a folder."""
    trained = read_teacher_training(folder)
    teacher = build_teacher(trained)
    teacher.load_state_dict(load_file(folder / WEIGHTS))
    return name_teacher(teacher, make_teacher_features(trained))


def read_teacher_training(folder: Path) -> TeacherTraining:
    """How the teacher in a folder was trained; raises `ConfigError` where there is no finished one."""
    path = folder / IDENTITY
    if not path.is_file() or not (folder / WEIGHTS).is_file():
        raise ConfigError(f"{folder}: expected a finished training of a teacher ({IDENTITY}, {WEIGHTS})")
    return change_config(TeacherTraining(), json.loads(path.read_text())["training"], str(path))


def name_teacher(teacher: Teacher, features: Any) -> Taught:
    """A teacher as it is."""
    return Taught(teacher, features, hash_weights([teacher], teacher.config.name))


def take_teacher(agent: str, teacher: OpenClipTeacher, features: TeacherFeatures, folder: Optional[Path]) -> None:
    """Give the teacher of an agent the weights of a finished training; without one, those of its towers alone.

    Raises `ConfigError` where the agent's teacher isn't, or doesn't see, what was trained.
    """
    if folder is None:
        load_pretrained_towers(teacher)
        return
    training = read_teacher_training(folder)
    for own, trained in ((teacher.config, training.teacher), (features.config, training.features)):
        if list_entries(own) != list_entries(trained):
            raise ConfigError(f"agent {agent}: expected the teacher as trained, {trained}, got {own}")
    load_weights(teacher, str(folder / WEIGHTS))


def list_entries(config: Any) -> Dict[str, Any]:
    """What the weights of a teacher depend on."""
    return {name: value for name, value in asdict(config).items() if name not in STARTING_POINT}
