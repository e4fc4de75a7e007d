"""`latentvla eval-nuscenes`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, List, Optional, Tuple

import typer

from latentvla_agent.cli.options import EXIT_INCOMPLETE, TIME_LIMIT_S, TimeLimit, Workers
from latentvla_agent.data.nuscenes.database import NuScenesDatabase
from latentvla_agent.data.nuscenes.splits import ALL, SPLITS, TRAIN, choose_scenes, find_version
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.agents import build_agent, find_agents
from latentvla_agent.evaluation.nuscenes_run import NuScenesRun, evaluate_nuscenes, plans_path
from latentvla_agent.evaluation.nuscenes_setup import NuScenesSetup
from latentvla_agent.evaluation.nuscenes_summary import (
    describe_failures,
    format_differences,
    format_open_loop,
    format_scores,
)
from latentvla_agent.evaluation.provenance import count_cores


def eval_nuscenes_command(
    data: Annotated[Path, typer.Option("--data", help="Folder with VERSION/, samples/, maybe maps/ and can_bus/.")],
    agent: Annotated[List[str], typer.Option("--agent", help="Agent by name or YAML file; repeat it.")],
    out: Annotated[Path, typer.Option("--out", help="Results folder.")],
    version: Annotated[
        Optional[str], typer.Option("--version", help="Folder of tables; default: the only one there is.")
    ] = None,
    split: Annotated[
        str, typer.Option("--split", help=f"{ALL}, {TRAIN}, {', '.join(SPLITS)}, or a JSON list of names of scenes.")
    ] = ALL,
    scenes: Annotated[
        Optional[List[str]],
        typer.Option("--scenes", help="Scenes by name, with commas or repeated, in place of a split."),
    ] = None,
    skip_padded: Annotated[
        bool, typer.Option("--skip-padded", help="Leave out the first samples of a drive, whose history is padded.")
    ] = False,
    can_bus: Annotated[bool, typer.Option(help="Ego motion from the CAN bus, where its files are there.")] = True,
    workers: Workers = None,
    time_limit: TimeLimit = TIME_LIMIT_S,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Samples that a learned agent plans in one pass; for GPUs.")
    ] = 1,
) -> None:
    """Evaluate agents of NAVSIM on nuScenes: one file of plans each, and from it L2 and collision rate by the rules of
    UniAD, of VAD and standardised ones, and the PDM score where there is a map expansion.

    Killed or interrupted, the same command goes on where it stopped. Every worker reads the tables: on v1.0-trainval
    that takes some GB each.

    \b
    Examples:
      latentvla eval-nuscenes --data /data/nuscenes --split val --agent latentvla --agent ipad_blind --out runs/nuscenes
      latentvla eval-nuscenes --data mini --scenes scene-0103 --agent constant_velocity --out runs/mini
    """
    if not data.is_dir():
        raise DataError(f"{data}: expected a folder (--data), got {'a file' if data.exists() else 'nothing'}")
    specs = find_agents(agent)
    agents = [build_agent(spec) for spec in specs]
    found = find_version(data, version)
    needs_maps = any(getattr(built, "requires_scene", False) for built in agents)
    setup = NuScenesSetup(data, found, can_bus, specs, needs_maps)
    name, chosen = _choose(setup, split, scenes)
    run = NuScenesRun(setup, name, chosen, out, workers or count_cores(), time_limit, batch_size, skip_padded)
    summary = evaluate_nuscenes(run)
    counts = (
        f"{summary['samples']} samples of {summary['drives']} drives, {summary['complete_samples']} with 3 s to come"
    )
    differences = format_differences(summary)
    print(f"{format_open_loop(summary)}\n* what its authors print: at the time, or the mean up to it\n")
    print("\n\n".join(part for part in (differences, format_scores(summary)) if part))
    print(f"\n{summary['split']['name']}: {counts} -> {out} (plans: {plans_path(out, '<agent>')})")
    failures = describe_failures(summary)
    if failures:
        print(f"latentvla: incomplete: {failures}", file=sys.stderr)
        raise typer.Exit(EXIT_INCOMPLETE)


def _choose(setup: NuScenesSetup, split: str, scenes: Optional[List[str]]) -> Tuple[str, Tuple[str, ...]]:
    """What the choice is called, and the names of the scenes."""
    database = NuScenesDatabase(setup.root, setup.version)
    if not scenes:
        return split, tuple(choose_scenes(split, database.scene_names()))
    if split != ALL:
        raise ConfigError("expected either --split or --scenes, got both")
    names = tuple(dict.fromkeys(name for part in scenes for name in part.split(",") if name))
    database.sample_tokens(names)  # says which one there is not
    return ",".join(names), names
