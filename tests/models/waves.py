"""Weights that come from no random numbers: the same on every machine and in every version of torch."""

from __future__ import annotations

import torch


def set_waves(model: torch.nn.Module) -> None:
    """Give every tensor of a model sines, around one where it scales."""
    with torch.no_grad():
        for index, (_, tensor) in enumerate(sorted(model.state_dict().items())):
            if tensor.is_floating_point():
                wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + index)
                start = 1.0 if tensor.dim() == 1 else 0.0  # scales and variances of norms
                tensor.copy_((start + 0.1 * wave).reshape(tensor.shape))
