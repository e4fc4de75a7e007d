"""Teachers by their training config: of open_clip or of Hugging Face, and what each of them sees."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as lightning

from latentvla_agent.features.qwen import QwenFeatures
from latentvla_agent.features.teacher import TeacherFeatures
from latentvla_agent.models.open_clip_teacher import OpenClipTeacher, load_pretrained_towers
from latentvla_agent.models.qwen_teacher import open_qwen
from latentvla_agent.models.teacher import Teacher
from latentvla_agent.pipeline.scenes import hash_weights
from latentvla_agent.training.teacher_config import QWEN, TeacherTraining


def make_teacher(training: TeacherTraining, seed: int) -> Teacher:
    """A teacher as its training begins with it, with the pretrained weights that its config names."""
    lightning.seed_everything(seed, verbose=False)
    teacher = build_teacher(training)
    if isinstance(teacher, OpenClipTeacher):
        load_pretrained_towers(teacher)
    return teacher


def build_teacher(training: TeacherTraining) -> Teacher:
    """A teacher that is yet to get its weights, whose order of random numbers is that of whoever asks."""
    return open_qwen(training.qwen) if training.backbone == QWEN else OpenClipTeacher(training.teacher)


def make_teacher_features(training: TeacherTraining) -> Any:
    """The feature builder of a teacher."""
    if training.backbone == QWEN:
        return QwenFeatures(training.qwen_features)
    return TeacherFeatures(training.features)


def hash_tower(teacher: Teacher) -> str:
    """Names the part whose output a feature cache keeps; empty where pictures are kept, since all of it is trained."""
    if isinstance(teacher, OpenClipTeacher) and teacher.config.frozen_tower:
        return hash_weights([teacher.visual], teacher.config.name)
    return ""
