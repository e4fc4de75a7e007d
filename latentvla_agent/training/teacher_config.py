"""How a teacher is trained."""

from __future__ import annotations

from dataclasses import dataclass, field

from latentvla_agent.features.teacher import TeacherFeaturesConfig, TinyTeacherFeaturesConfig
from latentvla_agent.models.open_clip_teacher import OpenClipTeacherConfig, TinyTeacherConfig
from latentvla_agent.training.config import TrainingConfig


@dataclass(frozen=True)
class TeacherTraining(TrainingConfig):
    """A teacher of open_clip learns the codes that lie in `codes`, the folder of a training of latent actions."""

    train_split: str = "minitown-unlabelled"
    codes: str = "runs/train/latent-actions-tiny-0"
    baseline: bool = True  # then one that sees no pictures learns the same, for the report
    teacher: OpenClipTeacherConfig = field(default_factory=TinyTeacherConfig)
    features: TeacherFeaturesConfig = field(default_factory=TinyTeacherFeaturesConfig)
