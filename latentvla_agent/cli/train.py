"""`latentvla train`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Dict, List, Optional

import typer
import yaml

from latentvla_agent.cli.options import Cache, Maps
from latentvla_agent.cli.world_sensors import find_sensor_source
from latentvla_agent.errors import ConfigError

train_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train planners on true scores.",
)

Config = Annotated[str, typer.Option("--config", help="A shipped training config by name, or a YAML file.")]
Settings = Annotated[
    Optional[List[str]], typer.Option("--set", help="Replace an entry of the config: optimizer.learning_rate=1e-4")
]


def train_planner_command(
    config: Config,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, order and dropout.")] = 0,
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder; default: runs/train/CONFIG-SEED.")] = None,
    settings: Settings = None,
    data: Annotated[Optional[Path], typer.Option("--data", help="Data of the training split.")] = None,
    dev_data: Annotated[
        Optional[Path], typer.Option("--dev-data", help="Data of the dev split; default: as --data.")
    ] = None,
    maps: Maps = None,
    cache: Cache = None,
) -> None:
    """Train a planner: caches what it sees once, then trains it with the true PDM score of every proposal.

    Killed or interrupted, the same command goes on where it stopped.

    \b
    Examples:
      latentvla train planner --config ipad-tiny --seed 0
      latentvla train planner --config ipad-paper --data /data/openscene --set devices=8 --set precision=bf16-mixed
    """
    from latentvla_agent.pipeline.planner import train_planner  # brings torch and Lightning
    from latentvla_agent.pipeline.scenes import DataRequest

    request = DataRequest(find_sensor_source, data, dev_data or data, maps, cache)
    train_planner(config, seed, out, read_settings(settings or []), request)


def train_latent_actions_command(
    config: Config = "latent-actions-tiny",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights, codebooks and order.")] = 0,
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder; default: runs/train/CONFIG-SEED.")] = None,
    settings: Settings = None,
    data: Annotated[Optional[Path], typer.Option("--data", help="Data of the training split.")] = None,
    dev_data: Annotated[
        Optional[Path], typer.Option("--dev-data", help="Data of the dev split; default: as --data.")
    ] = None,
    maps: Maps = None,
    cache: Cache = None,
) -> None:
    """Learn a small vocabulary of latent actions from pictures and ego poses alone; write the codes of both splits.

    Killed or interrupted, the same command goes on where it stopped.

    \b
    Example:
      latentvla train latent-actions --seed 0
    """
    from latentvla_agent.pipeline.latent_actions import train_latent_actions
    from latentvla_agent.pipeline.scenes import DataRequest

    request = DataRequest(find_sensor_source, data, dev_data or data, maps, cache)
    train_latent_actions(config, seed, out, read_settings(settings or []), request)


def train_teacher_command(
    config: Config = "teacher-tiny",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights and order.")] = 0,
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder; default: runs/train/CONFIG-SEED.")] = None,
    settings: Settings = None,
    data: Annotated[Optional[Path], typer.Option("--data", help="Data of the training split.")] = None,
    dev_data: Annotated[
        Optional[Path], typer.Option("--dev-data", help="Data of the dev split; default: as --data.")
    ] = None,
    maps: Maps = None,
    cache: Cache = None,
) -> None:
    """Train a vision-language model to write latent actions; no language labels, nothing of the future goes in.

    Killed or interrupted, the same command goes on where it stopped.

    \b
    Example:
      latentvla train teacher --set codes=runs/train/latent-actions-tiny-0
    """
    from latentvla_agent.pipeline.scenes import DataRequest
    from latentvla_agent.pipeline.teacher import train_teacher

    request = DataRequest(find_sensor_source, data, dev_data or data, maps, cache)
    train_teacher(config, seed, out, read_settings(settings or []), request)


def train_distill_command(
    config: Config = "distillation-tiny",
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of weights and order.")] = 0,
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder; default: runs/train/CONFIG-SEED.")] = None,
    settings: Settings = None,
    data: Annotated[Optional[Path], typer.Option("--data", help="Data of the training split.")] = None,
    dev_data: Annotated[
        Optional[Path], typer.Option("--dev-data", help="Data of the dev split; default: as --data.")
    ] = None,
    maps: Maps = None,
    cache: Cache = None,
) -> None:
    """Distil a teacher into a student that reads nothing but the planner's own features.

    Killed or interrupted, the same command goes on where it stopped.

    \b
    Example:
      latentvla train distill --set teacher=runs/train/teacher-tiny-0
    """
    from latentvla_agent.pipeline.distillation import distill
    from latentvla_agent.pipeline.scenes import DataRequest

    request = DataRequest(find_sensor_source, data, dev_data or data, maps, cache)
    distill(config, seed, out, read_settings(settings or []), request)


def read_settings(settings: List[str]) -> Dict[str, Any]:
    """KEY=VALUE, the value as YAML; raises `ConfigError` for anything else."""
    values: Dict[str, Any] = {}
    for setting in settings:
        key, sign, value = setting.partition("=")
        if not sign or not key:
            raise ConfigError(f"--set: expected KEY=VALUE, got {setting!r}")
        values[key] = yaml.safe_load(value)
        if isinstance(values[key], str):  # YAML 1.1 reads 1e-4 as a text
            try:
                values[key] = float(value)
            except ValueError:
                pass
    return values
