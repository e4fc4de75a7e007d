"""Weights of numpy's generator: the same on every machine and in every version of torch."""

from __future__ import annotations

import math

import numpy as np
import torch


def fix_weights(model: torch.nn.Module, seed: int = 0) -> None:
    """Give every tensor of a model random numbers of the size that keeps signals alive; scales lie around one."""
    random = np.random.default_rng(seed)
    with torch.no_grad():
        for name, tensor in sorted(model.state_dict().items()):
            if not tensor.is_floating_point():
                continue
            values = torch.from_numpy(random.standard_normal(tuple(tensor.shape)))
            if tensor.dim() > 1:
                tensor.copy_(values / math.sqrt(tensor[0].numel()))
            else:
                is_scale = name.endswith(("weight", "running_var"))
                tensor.copy_(1.0 + 0.1 * values.clamp(-3.0, 3.0) if is_scale else 0.1 * values)
