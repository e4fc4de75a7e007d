"""AdamW with a warm-up and a cosine to zero, for every training."""

from __future__ import annotations

import math
from typing import Any

import torch

from latentvla_agent.training.config import OptimizerConfig


def schedule_adamw(model: torch.nn.Module, config: OptimizerConfig, total_steps: int) -> Any:
    """Lightning's answer to `configure_optimizers`: over what is trained, the rate changes with every step."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(
        trained, lr=config.learning_rate, weight_decay=config.weight_decay, foreach=True
    )  # torch's own choice on a CPU takes twice as long
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: scale_rate(step, total_steps, config))
    return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def scale_rate(step: int, total: int, config: OptimizerConfig) -> float:
    """Share of the learning rate: a linear warm-up, then half a cosine."""
    warm = max(1, int(config.warmup * total))
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1.0 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm))))
