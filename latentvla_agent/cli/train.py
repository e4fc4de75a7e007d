"""`latentvla train`: one command per stage. Each goes on where it stopped, be it killed or interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Dict, List, Optional

import typer
import yaml

from latentvla_agent.cli.options import Cache, Maps
from latentvla_agent.cli.world_sensors import find_sensor_source
from latentvla_agent.errors import ConfigError

if TYPE_CHECKING:
    from latentvla_agent.pipeline.scenes import DataRequest

train_app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Train planners on true scores, and what tells them of latent actions.",
)

Config = Annotated[str, typer.Option("--config", help="A shipped training config by name, or a YAML file.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Of weights, order and dropout.")]
Out = Annotated[Optional[Path], typer.Option("--out", help="Folder; default: runs/train/CONFIG-SEED.")]
Settings = Annotated[
    Optional[List[str]], typer.Option("--set", help="Replace an entry of the config: optimizer.learning_rate=1e-4")
]
TrainData = Annotated[Optional[Path], typer.Option("--data", help="Data of the training split.")]
DevData = Annotated[Optional[Path], typer.Option("--dev-data", help="Data of the dev split; default: as --data.")]


def train_planner_command(
    config: Config,
    seed: Seed = 0,
    out: Out = None,
    settings: Settings = None,
    data: TrainData = None,
    dev_data: DevData = None,
    maps: Maps = None,
    cache: Cache = None,
) -> None:
    """Train a planner: caches what it sees once, then trains it with the true PDM score of every proposal.

    \b
    Examples:
      latentvla train planner --config ipad-tiny --seed 0
      latentvla train planner --config ipad-paper --data /data/openscene --set devices=8 --set precision=bf16-mixed
    """
    from latentvla_agent.pipeline.planner import train_planner  # brings torch and Lightning

    train_planner(config, seed, out, read_settings(settings or []), _ask(data, dev_data, maps, cache))


def train_latent_actions_command(
    config: Config = "latent-actions-tiny",
    seed: Seed = 0,
    out: Out = None,
    settings: Settings = None,
    data: TrainData = None,
    dev_data: DevData = None,
    maps: Maps = None,
    cache: Cache = None,
) -> None:
    """Learn a small vocabulary of latent actions from pictures and ego poses alone; write the codes of both splits.

    \b
    Examples:
      latentvla train latent-actions --seed 0
      latentvla train latent-actions --set weights=latent_actions --set also=[minitown-train] --out runs/shipped
    """
    from latentvla_agent.pipeline.latent_actions import train_latent_actions

    train_latent_actions(config, seed, out, read_settings(settings or []), _ask(data, dev_data, maps, cache))


def train_teacher_command(
    config: Config = "teacher-tiny",
    seed: Seed = 0,
    out: Out = None,
    settings: Settings = None,
    data: TrainData = None,
    dev_data: DevData = None,
    maps: Maps = None,
    cache: Cache = None,
) -> None:
    """Train a vision-language model to write latent actions; no language labels, nothing of the future goes in.

    \b
    Example:
      latentvla train teacher --set codes=runs/train/latent-actions-tiny-0
    """
    from latentvla_agent.pipeline.teacher import train_teacher

    train_teacher(config, seed, out, read_settings(settings or []), _ask(data, dev_data, maps, cache))


def train_distill_command(
    config: Config = "distillation-tiny",
    seed: Seed = 0,
    out: Out = None,
    settings: Settings = None,
    data: TrainData = None,
    dev_data: DevData = None,
    maps: Maps = None,
    cache: Cache = None,
) -> None:
    """Distil a teacher into a student that reads nothing but the planner's own features.

    \b
    Example:
      latentvla train distill --set teacher=runs/train/teacher-tiny-0
    """
    from latentvla_agent.pipeline.distillation import distill

    distill(config, seed, out, read_settings(settings or []), _ask(data, dev_data, maps, cache))


def train_experiment_command(
    experiment: Annotated[str, typer.Option("--experiment", help="A shipped experiment by name, or a YAML file.")],
    seeds: Annotated[Optional[List[int]], typer.Option("--seed", min=0, help="Repeat it; default: 0, 1, 2.")] = None,
    cells: Annotated[Optional[List[str]], typer.Option("--cell", help="Repeat it; default: all.")] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all cells.")] = Path("runs/experiment"),
    data: Annotated[
        Optional[List[str]], typer.Option("--data", help="SPLIT=ROOT of a split that is scored; repeat it.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Train every cell of an experiment with every seed, score it, compare all: docs/experiments.md.

    Killed or interrupted, the same command goes on where it stopped.

    \b
    Example:
      latentvla train experiment --experiment latent-actions --cell unfused --cell distilled --seed 0
    """
    from latentvla_agent.pipeline.experiment import run_experiment

    roots = {key: Path(value) for key, value in read_settings(data or []).items()}
    options = [part for setting in settings or [] for part in ("--set", setting)]
    run_experiment(experiment, seeds or [0, 1, 2], cells or [], out, roots, options)


def _ask(data: Optional[Path], dev_data: Optional[Path], maps: Optional[Path], cache: Optional[Path]) -> DataRequest:
    from latentvla_agent.pipeline.scenes import DataRequest

    return DataRequest(find_sensor_source, data, dev_data or data, maps, cache)


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
