"""Sizes of TransFuser: the paper's (as in NAVSIM's own) and a tiny one for two cores of a CPU."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

from latentvla_agent.models.backbones import LITE0, BackboneConfig
from latentvla_agent.models.motion import MotionConfig

STAGES = (1, 2, 3, 4)  # strides 4, 8, 16, 32


@dataclass(frozen=True)
class TransfuserConfig:
    """The paper's sizes. Whether `image_backbone` is frozen decides where the two sensors meet: see `encoder` below.

    Trained: after each of four stages of both backbones (`StagedEncoder`). Frozen: once, behind the backbones, so that
    a cache can hold the picture's features (`LateEncoder`).
    """

    # sensors
    image_size: Tuple[int, int] = (256, 1024)  # height, width
    lidar_size: int = 256  # cells along each side of the histogram
    lidar_count: int = 5  # of points, that a cell is clipped to
    latent: bool = False  # a learned grid in place of the lidar
    # backbones
    image_backbone: BackboneConfig = BackboneConfig("resnet34", STAGES, pretrained="timm")
    normalize_image: bool = False  # NAVSIM's TransFuser sees values from 0 to 1, its pretrained weights notwithstanding
    lidar_backbone: BackboneConfig = BackboneConfig("resnet34", STAGES, in_channels=1)  # staged alone
    lidar_widths: Tuple[int, ...] = (16, 32, 64, 128)  # channels of a small network in its place; late alone
    # fusion
    image_tokens: Tuple[int, int] = (8, 32)
    bev_tokens: Tuple[int, int] = (8, 8)
    fusion_layers: int = 2  # per stage
    fusion_heads: int = 4
    fusion_expansion: int = 4  # of the perceptron in a layer
    fusion_dropout: float = 0.1  # of tokens
    attention_dropout: float = 0.1  # above 0, a CPU has no fused kernel in training
    # decoder
    model_size: int = 256
    decoder_layers: int = 3
    decoder_heads: int = 8
    feedforward_size: int = 1024
    decoder_dropout: float = 0.0
    decoder_sees_picture: bool = False  # each cell of the frozen picture's features, too, not the BEV tokens alone (D)
    ego_status_dropout: float = 0.0  # share of training scenes whose velocity and acceleration are hidden
    # outputs
    num_poses: int = 8
    motion: Optional[MotionConfig] = None  # poses by integration; None: as they come out of the head
    num_agents: int = 30
    agent_range: float = 32.0  # m, of x and y
    num_bev_classes: int = 7
    bev_channels: int = 64
    bev_size: Tuple[int, int] = (128, 256)  # cells forward (0..32 m), cells to the left (-32..32 m)
    align_bev: bool = False  # semantics from the front half of the grid; NAVSIM's stretches the whole grid over it


@dataclass(frozen=True)
class TinyTransfuserConfig(TransfuserConfig):
    """About two million parameters, 0.7 of them frozen; its picture features fit a cache."""

    image_size: Tuple[int, int] = (128, 512)
    lidar_size: int = 128
    image_backbone: BackboneConfig = BackboneConfig(LITE0, (3,), pretrained="efficientnet-lite0", frozen=True)
    normalize_image: bool = True
    image_tokens: Tuple[int, int] = (8, 16)
    fusion_expansion: int = 2
    attention_dropout: float = 0.0
    model_size: int = 128
    decoder_layers: int = 2
    decoder_heads: int = 4
    decoder_sees_picture: bool = True
    feedforward_size: int = 256
    motion: Optional[MotionConfig] = MotionConfig(gain=0.2)
    bev_channels: int = 32
    align_bev: bool = True
