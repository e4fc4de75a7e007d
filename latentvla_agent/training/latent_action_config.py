"""How the latent action model is trained."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Tuple

from latentvla_agent.features.windows import WindowConfig
from latentvla_agent.models.backbones import LITE0, BackboneConfig
from latentvla_agent.models.latent_action_config import LatentActionConfig, TinyLatentActionConfig
from latentvla_agent.training.config import TrainingConfig


@dataclass(frozen=True)
class LatentActionTraining(TrainingConfig):
    """Both steps, on windows that nobody labelled. `epochs` are those of the second step."""

    train_split: str = "minitown-unlabelled"
    also: Tuple[str, ...] = ()  # further splits whose codes are written
    weights: str = ""  # of a trained model: a folder of checkpoints/ or a file; then only its report and codes are made
    window: WindowConfig = field(default_factory=WindowConfig)
    backbone: BackboneConfig = BackboneConfig(LITE0, (2,), pretrained="efficientnet-lite0", frozen=True)
    model: LatentActionConfig = field(default_factory=TinyLatentActionConfig)  # its `step` is set by the training
    environment_epochs: int = 1  # of the first step
    moving: float = 1.0  # m in a transition, beyond which a window counts as one in which the ego moves
