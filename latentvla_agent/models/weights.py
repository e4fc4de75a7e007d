"""Weights: found by name or path, verified, loaded strictly.

Ours are safetensors. The checkpoints of NAVSIM's `run_training.py` are read too, by torch's restricted unpickler.
"""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any, Dict, Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from latentvla_agent.data.files import write_atomically
from latentvla_agent.errors import CheckpointError
from latentvla_agent.models.checkpoint_files import CONFIG, find_checkpoint

LIGHTNING_PREFIX = "agent.planner.model."  # of a LatentVLAAgent that NAVSIM's training module holds

Weights = Dict[str, torch.Tensor]


def read_weights(path: Path) -> Weights:
    """Tensors by name, on the CPU; raises `CheckpointError` where the file is none of the two kinds."""
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    except (OSError, SafetensorError, pickle.UnpicklingError, RuntimeError, LookupError, TypeError, EOFError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{path}: expected a .safetensors file or a Lightning checkpoint ({reason})") from error
    foreign = [name for name in content if not name.startswith(LIGHTNING_PREFIX)]
    if foreign:
        raise CheckpointError(f"{path}: expected weights of a LatentVLAAgent ({LIGHTNING_PREFIX}*), got {foreign[0]}")
    return {name[len(LIGHTNING_PREFIX) :]: tensor for name, tensor in content.items()}


def load_weights(model: torch.nn.Module, name: str, new: str = "") -> None:
    """Load weights into a model: every one of its tensors, no other, each of its shape; else `CheckpointError`.

    Tensors whose names begin with `new` are not looked for: they stay as they are.
    """
    path = find_checkpoint(name)
    weights, own = read_weights(path), model.state_dict()
    if new:
        weights = {**{key: tensor for key, tensor in own.items() if key.startswith(new)}, **weights}
    problems = [f"no {key}" for key in own if key not in weights]
    problems += [f"{key}, which the model has not" for key in weights if key not in own]
    problems += [
        f"{key} of shape {tuple(weights[key].shape)}, not {tuple(own[key].shape)}"
        for key in own
        if key in weights and weights[key].shape != own[key].shape
    ]
    if problems:
        raise CheckpointError(f"{path}: made for another model: it has {problems[0]} ({len(problems)} such tensors)")
    model.load_state_dict(weights)


def write_weights(model: torch.nn.Module, path: Path) -> None:
    """Write the model's tensors as safetensors."""
    write_atomically(path, save({name: tensor.contiguous() for name, tensor in model.state_dict().items()}))


def write_config(config: Mapping[str, Any], folder: Path) -> None:
    """Write what the model is built of beside its weights."""
    write_atomically(folder / CONFIG, (json.dumps(dict(config), indent=1) + "\n").encode())
