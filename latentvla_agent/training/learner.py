"""What every training has: a model, and perhaps the running mean of its weights, which is steadier."""

from __future__ import annotations

import copy
from typing import Any, Dict, Optional

import numpy as np
import pytorch_lightning as lightning
import torch

from latentvla_agent.training.processes import find_share

AVERAGED, PLAIN = "averaged.module.", "model."  # where the weights lie in a checkpoint


class RunningMean(torch.nn.Module):
    """The exponential mean of a model's weights and buffers: over about 1 / (1 - decay) steps, fewer at first.

    torch's `AveragedModel` follows frozen weights too: in a tiny planner, three of four tensors and a twentieth of
    a step's time.
    """

    count: torch.Tensor

    def __init__(self, model: torch.nn.Module, decay: float):
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.register_buffer("count", torch.tensor(0))

    @torch.no_grad()
    def follow(self, model: torch.nn.Module) -> None:
        """Take in the weights as they are now."""
        count = int(self.count)
        weight = 1.0 - min(self.decay, (1.0 + count) / (10.0 + count)) if count else 1.0
        for mean, now in zip(self.module.parameters(), model.parameters()):
            if now.requires_grad:
                mean.lerp_(now, weight)
        for kept, buffer in zip(self.module.buffers(), model.buffers()):
            if kept.is_floating_point():
                kept.lerp_(buffer, weight)
            else:
                kept.copy_(buffer)
        self.count += 1


class Learner(lightning.LightningModule):
    """A module whose `model` is what a training is for; `shown` is what is judged, and kept in the end."""

    model: torch.nn.Module
    seed = 0  # of the training

    def __init__(self) -> None:
        super().__init__()
        self.averaged: Optional[RunningMean] = None
        self._averaged_at = -1

    def keep_average(self, decay: float) -> None:
        """From now on, follow the weights by a `RunningMean`."""
        self.averaged = RunningMean(self.model, decay)

    @property
    def shown(self) -> torch.nn.Module:
        """The model with the mean weights, where they are kept."""
        if self.averaged is None:
            return self.model
        module: torch.nn.Module = self.averaged.module
        return module

    def on_train_epoch_start(self) -> None:
        """Random numbers (dropout, codes that begin anew) follow from seed, epoch and process, as batches do: whether
        caches were built before, or the training was resumed, changes none."""
        state = np.random.SeedSequence((self.seed, self.current_epoch, find_share()[0])).generate_state(1)
        lightning.seed_everything(int(state[0]), verbose=False)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """After each step of the optimizer."""
        if self.averaged is not None and self.global_step != self._averaged_at:
            self._averaged_at = self.global_step
            self.averaged.follow(self.model)


def read_shown(state: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
    """Weights of `shown` in the state of a learner."""
    prefix = AVERAGED if any(name.startswith(AVERAGED) for name in state) else PLAIN
    return {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
