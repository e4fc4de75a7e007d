"""Sizes of iPad: those of the paper, and a tiny one for two CPU cores."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Optional, Tuple

from latentvla_agent.models.backbones import BackboneConfig
from latentvla_agent.models.motion import MotionConfig


@dataclass(frozen=True)
class EgoBoxConfig:
    """The ego's box around its rear axle [m] (NAVSIM's Pacifica), at whose corners the pictures are looked at."""

    front: float = 4.049
    rear: float = -1.127
    half_width: float = 1.1485
    heights: Tuple[float, ...] = (0.0, 0.6, 1.2, 1.8)  # above the ground


@dataclass(frozen=True)
class IPadConfig:
    """iPad as published: ResNet-34 with a pyramid level of stride 32, 64 proposals of 8 poses, four refinements."""

    backbone: BackboneConfig = BackboneConfig("resnet34", out_indices=(4,), pretrained="timm")
    num_cameras: int = 4
    ego_status_size: int = 8
    width: int = 256
    num_proposals: int = 64
    num_poses: int = 8  # at 2 Hz
    motion: Optional[MotionConfig] = None  # poses by integration; None: each as its query says
    num_refinements: int = 4
    fuse_every_refinement: bool = False  # latent tokens are read before each of them, not before the first alone
    num_heads: int = 8
    feedforward_width: int = 512
    neck_kernel: int = 3
    neck_groups: int = 1  # as many as channels: each for itself, which is cheap
    dropout: float = 0.1
    ego_dropout: float = 0.0  # of the whole ego status, in training
    box: EgoBoxConfig = field(default_factory=EgoBoxConfig)
    score_knows_findings: bool = False  # the scorer reads where a proposal leaves road or route, and whether it hits
    context_grid: Tuple[int, int] = (0, 0)  # tokens (rows, columns) of each picture that all proposals look at first
    scores: Tuple[str, ...] = (  # one logit each; the last one chooses
        "no_at_fault_collisions",
        "drivable_area_compliance",
        "driving_direction_compliance",
        "ego_progress",
        "time_to_collision_within_bound",
        "comfort",
        "score",
    )


@dataclass(frozen=True)
class TinyIPadConfig(IPadConfig):
    """Frozen features at stride 16 and narrow layers: trains on two CPU cores in minutes."""

    backbone: BackboneConfig = BackboneConfig(
        "tf_efficientnet_lite0", out_indices=(3,), pretrained="efficientnet-lite0", frozen=True
    )
    width: int = 64
    motion: Optional[MotionConfig] = MotionConfig(gain=0.3)
    num_refinements: int = 2
    num_heads: int = 4
    feedforward_width: int = 128
    dropout: float = 0.0
    ego_dropout: float = 0.1
    neck_groups: int = 64
    box: EgoBoxConfig = field(default_factory=lambda: EgoBoxConfig(heights=(0.3,)))
    score_knows_findings: bool = True
    context_grid: Tuple[int, int] = (3, 6)
