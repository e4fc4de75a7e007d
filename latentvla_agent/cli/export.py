"""`latentvla export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.agents import build_agent, find_agent
from latentvla_agent.evaluation.folders import make_folder


def export_command(
    agent: Annotated[str, typer.Option("--agent", help="Learned agent by name or YAML file.")],
    checkpoint: Annotated[Path, typer.Option("--checkpoint", help="A .ckpt that NAVSIM's run_training.py wrote.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for model.safetensors and config.json.")],
) -> None:
    """Turn a Lightning checkpoint into safetensors; every tensor of the agent's model must be there, and no other.

    \b
    Example:
      latentvla export --agent ego_status_mlp --checkpoint last.ckpt --out checkpoints/ego_status_mlp
    """
    spec = find_agent(agent)
    built = build_agent(spec)
    model = getattr(built, "model", None)
    if model is None:
        raise ConfigError(f"agent {spec.name} has no weights to export")
    from latentvla_agent.models.checkpoint_files import WEIGHTS
    from latentvla_agent.models.weights import load_weights, write_config, write_weights

    load_weights(model, str(checkpoint))
    make_folder(out)
    write_weights(model, out / WEIGHTS)
    write_config(spec.config["model"], out)
    print(f"{sum(parameter.numel() for parameter in model.parameters())} parameters of {spec.name} -> {out}")
