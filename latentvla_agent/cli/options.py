"""Options that several commands share, and how a command ends."""

from __future__ import annotations

import os
import sys
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Callable, Optional, TypeVar

import typer

from latentvla_agent.errors import LatentVLAError
from latentvla_agent.evaluation.scorer_choice import DEFAULT_METRIC, SCORERS
from latentvla_agent.scoring.versions import METRICS

EXIT_INCOMPLETE, EXIT_ERROR, EXIT_INTERRUPTED = 1, 2, 130
TIME_LIMIT_S = 120.0

Data = Annotated[Optional[Path], typer.Option("--data", help="Folder with navsim_logs/, maps/ and sensor_blobs/.")]
Maps = Annotated[Optional[Path], typer.Option("--maps", help="nuPlan maps folder, if not DATA/maps.")]
SyntheticScenes = Annotated[
    Optional[Path],
    typer.Option("--synthetic-scenes", help="Second stage, if not DATA/navhard_two_stage/synthetic_scene_pickles."),
]
SplitName = Annotated[
    Optional[str], typer.Option("--split", help="YAML file, NAVSIM split, or folder of navsim_logs/.")
]
Metric = Annotated[str, typer.Option("--metric", help=f"One of: {', '.join(METRICS)}.")]
OptionalMetric = Annotated[
    Optional[str],
    typer.Option(
        "--metric", help=f"One of: {', '.join(METRICS)}; default: what the devkit scores, else {DEFAULT_METRIC}."
    ),
]
ScorerName = Annotated[str, typer.Option("--scorer", help=f"One of: {', '.join(SCORERS)}.")]
DevkitPython = Annotated[
    Optional[Path], typer.Option("--devkit-python", help="Interpreter that can run the devkit; else NAVSIM_PYTHON.")
]
DevkitRoot = Annotated[
    Optional[Path], typer.Option("--devkit-root", help="Folder that holds its navsim/; else NAVSIM_DEVKIT_ROOT.")
]
NuplanRoot = Annotated[
    Optional[Path], typer.Option("--nuplan-root", help="Folder that holds nuplan/; else NUPLAN_DEVKIT_ROOT.")
]
Workers = Annotated[Optional[int], typer.Option("--workers", min=1, help="Processes; default: one per core.")]
Cache = Annotated[Optional[Path], typer.Option("--cache", help="Folder of metric caches; default: the user's cache.")]
FrameInterval = Annotated[Optional[int], typer.Option("--frame-interval", min=1, help="Frames between two scenes.")]
MaxScenes = Annotated[Optional[int], typer.Option("--max-scenes", min=1, help="Stop after so many scenes.")]
SkipBadLogs = Annotated[bool, typer.Option("--skip-bad-logs", help="List unreadable logs instead of stopping.")]
Executor = Annotated[str, typer.Option("--executor", help="Workers: processes, or ray (RAY_ADDRESS, else local).")]
TimeLimit = Annotated[float, typer.Option("--time-limit", min=0.1, help="Seconds that one scene may take.")]

Command = TypeVar("Command", bound=Callable[..., None])


def report_errors(command: Command, resumes: bool = True) -> Command:
    """Turn errors that the user can mend into one line and an exit status.

    `resumes`: whether what an interrupted command has finished is kept for the next one.
    """

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
            sys.stdout.flush()
        except LatentVLAError as error:
            print(f"latentvla: error: {' '.join(str(error).split())}", file=sys.stderr)
            raise typer.Exit(EXIT_ERROR) from None
        except BrokenPipeError:  # whoever read the output has left, as `head` does: nobody to tell
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(EXIT_INCOMPLETE) from None
        except KeyboardInterrupt:
            what = "goes on where this one stopped" if resumes else "begins anew"
            print(f"latentvla: interrupted; the same command {what}", file=sys.stderr)
            raise typer.Exit(EXIT_INTERRUPTED) from None

    return run  # type: ignore[return-value]


def results_folder(is_official: bool) -> Path:
    """Where results go if no folder is named: `runs/`, and official ones below NAVSIM's own folder for experiments."""
    experiments = os.environ.get("NAVSIM_EXP_ROOT", "")
    return Path(experiments) / "latentvla" if is_official and experiments else Path("runs")
