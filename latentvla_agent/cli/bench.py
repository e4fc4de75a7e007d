"""`latentvla bench`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Dict, List, Optional

import typer

from latentvla_agent.cli.options import Data, Maps, SplitName
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import index_scenes
from latentvla_agent.evaluation.benchmark import Bench, format_rows, run_benchmark
from latentvla_agent.evaluation.devkit_process import DevkitCommand
from latentvla_agent.evaluation.devkits import find_devkits
from latentvla_agent.evaluation.scene_source import SplitRequest, find_split


def bench_command(
    out: Annotated[Path, typer.Option("--out", help="Folder for bench.json and bench.svg.")],
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    trajectories: Annotated[
        Optional[Path], typer.Option("--trajectories", help="Vocabulary .npy (V, T, 3) of 4 s; default: varied humans.")
    ] = None,
    devkit_python: Annotated[
        Optional[Path], typer.Option("--devkit-python", help="Interpreter that can run the devkit.")
    ] = None,
    devkit_root: Annotated[
        Optional[List[Path]], typer.Option("--devkit-root", help="Folder that holds its navsim/; repeat it for v1, v2.")
    ] = None,
    nuplan_root: Annotated[Optional[Path], typer.Option("--nuplan-root", help="Folder that holds nuplan/.")] = None,
    scenes: Annotated[int, typer.Option("--scenes", min=1, help="Scenes that are measured.")] = 8,
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Times that each is measured.")] = 2,
) -> None:
    """Measure caching, loading and scoring on one core; where a devkit is named, the same by it, in turns.

    \b
    Examples:
      latentvla bench --out runs/bench
      latentvla bench --out runs/bench --devkit-python /envs/navsim/bin/python \\
        --devkit-root /code/navsim-v1.1 --devkit-root /code/navsim --nuplan-root /code/nuplan-devkit
    """
    roots = find_roots(data, maps, split=split)
    chosen = find_split(SplitRequest(split=split), roots)
    devkits: Dict[str, DevkitCommand] = {}
    if devkit_python is not None:
        devkits = find_devkits(devkit_python, devkit_root or [], nuplan_root)
    bench = Bench(
        roots=roots,
        split=chosen,
        index=index_scenes(chosen, progress=sys.stderr.isatty()),
        out=out,
        devkits=devkits,
        vocabulary=trajectories,
        num_scenes=scenes,
        rounds=rounds,
    )
    print(format_rows(run_benchmark(bench)))
    print(f"split {chosen.name} -> {out / 'bench.json'}, {out / 'bench.svg'}")
