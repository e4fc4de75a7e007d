"""Small TransFusers and random scenes for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict

import torch

from latentvla_agent.models.backbones import BackboneConfig
from latentvla_agent.models.transfuser import Transfuser
from latentvla_agent.models.transfuser_config import STAGES, TinyTransfuserConfig, TransfuserConfig

LATE = TinyTransfuserConfig(image_size=(64, 256), lidar_size=128, image_tokens=(4, 8), bev_size=(16, 32))
STAGED = TransfuserConfig(
    image_size=(64, 128),
    lidar_size=64,
    image_backbone=BackboneConfig("test_resnet", STAGES),
    lidar_backbone=BackboneConfig("test_resnet", STAGES, in_channels=1),
    image_tokens=(2, 4),
    bev_tokens=(2, 2),
    fusion_layers=1,
    model_size=32,
    decoder_layers=1,
    decoder_heads=2,
    feedforward_size=32,
    bev_channels=8,
    bev_size=(16, 32),
)
BY_KIND: Dict[str, TransfuserConfig] = {
    "late": LATE,
    "staged": STAGED,
    "late-latent": replace(LATE, latent=True),
    "staged-latent": replace(STAGED, latent=True),
}


def make_model(config: TransfuserConfig, seed: int = 0) -> Transfuser:
    """With weights of that seed."""
    torch.manual_seed(seed)
    return Transfuser(config)


def make_features(config: TransfuserConfig, batch: int = 2, seed: int = 1) -> Dict[str, torch.Tensor]:
    """As a batch of TransfuserFeatures."""
    random = torch.Generator().manual_seed(seed)
    side = config.lidar_size

    def draw(end: int, *shape: int) -> torch.Tensor:
        return torch.randint(0, end, (batch, *shape), generator=random, dtype=torch.uint8)

    return {
        "image": draw(256, 3, *config.image_size),
        "lidar": draw(config.lidar_count + 1, 1, side, side),
        "ego_status": torch.randn(batch, 8, generator=random),
    }


def make_targets(config: TransfuserConfig, batch: int = 2, seed: int = 2) -> Dict[str, Any]:
    """As a batch of the targets that training reads."""
    random = torch.Generator().manual_seed(seed)
    count = config.num_agents
    size = torch.tensor([20.0, 20.0, 1.0, 1.0, 1.0])
    return {
        "trajectory": torch.randn(batch, config.num_poses, 3, generator=random).abs().cumsum(1) * 0.3,
        "agent_boxes": torch.randn(batch, count, 5, generator=random) * size,
        "agent_labels": torch.rand(batch, count, generator=random) < 0.3,
        "bev_semantics": torch.randint(0, 7, (batch, *config.bev_size), generator=random, dtype=torch.uint8),
    }
