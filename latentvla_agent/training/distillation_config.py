"""How a student is distilled."""

from __future__ import annotations

from dataclasses import dataclass, field

from latentvla_agent.models.student import StudentConfig, TinyStudentConfig
from latentvla_agent.training.config import TrainingConfig
from latentvla_agent.training.distillation_loss import DistillationConfig


@dataclass(frozen=True)
class DistillationTraining(TrainingConfig):
    """A student learns from the teacher in the folder `teacher`, on the features of the agent `planner`,
    whose backbone is frozen from now on."""

    planner: str = "ipad"
    start: str = ""  # the planner's weights, where its backbone isn't the pretrained one any more
    teacher: str = "runs/train/teacher-tiny-0"
    codes: str = ""  # folder of a training of latent actions, where the loss counts their codes
    student: StudentConfig = field(default_factory=TinyStudentConfig)
    loss: DistillationConfig = field(default_factory=DistillationConfig)
