"""What every training has: a model, and perhaps the running mean of its weights, which is steadier."""

from __future__ import annotations

from typing import Any, Dict, Optional, Union

import pytorch_lightning as lightning
import torch
from torch.optim.swa_utils import AveragedModel

AVERAGED, PLAIN = "averaged.module.", "model."  # where the weights lie in a checkpoint


class Learner(lightning.LightningModule):
    """A module whose `model` is what a training is for; `shown` is what is judged, and kept in the end."""

    model: torch.nn.Module

    def __init__(self) -> None:
        super().__init__()
        self.averaged: Optional[AveragedModel] = None
        self._averaged_at = -1

    def keep_average(self, decay: float) -> None:
        """From now on, follow the weights by an exponential mean: over about 1 / (1 - decay) steps, fewer at first."""

        def follow(mean: torch.Tensor, now: torch.Tensor, count: Union[torch.Tensor, int]) -> torch.Tensor:
            if not torch.is_floating_point(mean):
                return now
            weight = 1.0 - min(decay, (1.0 + float(count)) / (10.0 + float(count)))
            return torch.lerp(mean, now, weight)

        self.averaged = AveragedModel(self.model, avg_fn=follow, use_buffers=True)
        self.averaged.requires_grad_(False)

    @property
    def shown(self) -> torch.nn.Module:
        """The model with the mean weights, where they are kept."""
        if self.averaged is None:
            return self.model
        module: torch.nn.Module = self.averaged.module
        return module

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After each step of the optimizer."""
        if self.averaged is not None and self.global_step != self._averaged_at:
            self._averaged_at = self.global_step
            self.averaged.update_parameters(self.model)


def read_shown(state: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Weights of `shown` in the state of a learner."""
    prefix = AVERAGED if any(name.startswith(AVERAGED) for name in state) else PLAIN
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
