"""The command `latentvla`."""

from __future__ import annotations

from typing import Annotated, Callable, Dict

import typer

from latentvla_agent import __version__
from latentvla_agent.cli.bench import bench_command
from latentvla_agent.cli.cache import cache_command
from latentvla_agent.cli.compare import compare_command
from latentvla_agent.cli.doctor import doctor_command
from latentvla_agent.cli.evaluate import eval_command
from latentvla_agent.cli.export import export_command
from latentvla_agent.cli.nuscenes import eval_nuscenes_command
from latentvla_agent.cli.options import report_errors
from latentvla_agent.cli.score import score_command
from latentvla_agent.cli.show import show_command
from latentvla_agent.cli.submit import submit_command
from latentvla_agent.cli.train import (
    train_app,
    train_distill_command,
    train_experiment_command,
    train_latent_actions_command,
    train_planner_command,
    train_teacher_command,
)
from latentvla_agent.cli.world import world_app

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="LatentVLA-Agent: evaluate driving agents on NAVSIM logs with an exact embedded PDM scorer.",
)

COMMANDS: Dict[str, Callable[..., None]] = {
    "eval": eval_command,
    "eval-nuscenes": eval_nuscenes_command,
    "cache": cache_command,
    "score": score_command,
    "doctor": doctor_command,
    "bench": bench_command,
    "submit": submit_command,
    "export": export_command,
    "compare": compare_command,
    "show": show_command,
}
BEGIN_ANEW = ("score", "doctor", "bench", "export", "compare", "show")  # nothing is kept of one that was interrupted
for name, command in COMMANDS.items():
    app.command(name)(report_errors(command, resumes=name not in BEGIN_ANEW))
app.add_typer(world_app, name="world")
train_app.command("planner")(report_errors(train_planner_command))
train_app.command("latent-actions")(report_errors(train_latent_actions_command))
train_app.command("distill")(report_errors(train_distill_command))
train_app.command("experiment")(report_errors(train_experiment_command))
train_app.command("teacher")(report_errors(train_teacher_command))
app.add_typer(train_app, name="train")


@app.callback(invoke_without_command=True)
def show_version(version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False) -> None:
    """Options before any command."""
    if version:
        print(f"latentvla-agent {__version__}")
        raise typer.Exit()


def main() -> None:
    """Entry point."""
    app()
