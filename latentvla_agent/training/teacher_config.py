"""How a teacher is trained."""

from __future__ import annotations

from dataclasses import dataclass, field

from latentvla_agent.errors import ConfigError
from latentvla_agent.features.qwen import QwenFeaturesConfig
from latentvla_agent.features.teacher import TeacherFeaturesConfig, TinyTeacherFeaturesConfig
from latentvla_agent.models.open_clip_teacher import OpenClipTeacherConfig, TinyTeacherConfig
from latentvla_agent.models.qwen_teacher import QwenTeacherConfig
from latentvla_agent.training.config import TrainingConfig

OPEN_CLIP, QWEN = "open_clip", "qwen"


@dataclass(frozen=True)
class TeacherTraining(TrainingConfig):
    """A teacher learns the codes that lie in `codes`, the folder of a training of latent actions.

    `backbone`: "open_clip", which `teacher` and `features` describe, or "qwen": `qwen` and `qwen_features`.
    """

    train_split: str = "minitown-unlabelled"
    codes: str = "runs/train/latent-actions-tiny-0"
    baseline: bool = True  # then one that sees no pictures learns the same, for the report
    backbone: str = OPEN_CLIP
    teacher: OpenClipTeacherConfig = field(default_factory=TinyTeacherConfig)
    features: TeacherFeaturesConfig = field(default_factory=TinyTeacherFeaturesConfig)
    qwen: QwenTeacherConfig = field(default_factory=QwenTeacherConfig)
    qwen_features: QwenFeaturesConfig = field(default_factory=QwenFeaturesConfig)

    def __post_init__(self) -> None:
        if self.backbone not in (OPEN_CLIP, QWEN):
            raise ConfigError(f"backbone: expected {OPEN_CLIP} or {QWEN}, got {self.backbone!r}")
