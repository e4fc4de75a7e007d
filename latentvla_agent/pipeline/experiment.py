"""`latentvla train experiment`: every cell with every seed, trained, scored, compared; it goes on where it stopped.

Each step is a command of its own, which is printed: whoever doubts a number can run that command again.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Dict, List, Sequence

import yaml

from latentvla_agent.errors import LatentVLAError
from latentvla_agent.training.experiments import Cell, Experiment, read_experiment

Command = List[str]


def run_experiment(
    name: str, seeds: Sequence[int], cells: Sequence[str], out: Path, data: Dict[str, Path], options: Sequence[str]
) -> None:
    """See `cli.train.train_experiment_command`. `data`: root of each split that isn't the embedded world's.

    Whether a stage or a cell is finished is for its training to say: it knows a folder of other settings or weights.
    """
    experiment = read_experiment(name)
    chosen = experiment.choose(cells)
    prepared: List[Command] = []
    for seed in seeds:
        for cell in chosen:
            for command in experiment.prepare(cell, seed):
                if command not in prepared:
                    run_command([*command, *options])
                    prepared.append(command)
            folder = out / f"{cell.name}-{seed}"
            run_command([*train_cell(cell, seed, folder), *options])  # of what is finished it does nothing
            for split in experiment.splits:
                run_command(evaluate_cell(folder, split, data))
    for split in experiment.splits:
        run_command(compare_cells(experiment, chosen, seeds, out, split))


def train_cell(cell: Cell, seed: int, folder: Path) -> Command:
    """The training of a cell."""
    settings = [
        part
        for key, value in cell.settings_of(seed).items()
        for part in ("--set", f"{key}={yaml.safe_dump(value, default_flow_style=True).splitlines()[0]}")
    ]
    return ["train", "planner", "--config", cell.config, "--seed", str(seed), "--out", str(folder), *settings]


def evaluate_cell(folder: Path, split: str, data: Dict[str, Path]) -> Command:
    """Its plans and scores on a split."""
    agents = sorted(folder.glob("*-seed*.yaml"))
    found = str(agents[0]) if agents else str(folder / "*-seed*.yaml")
    where = ["--data", str(data[split])] if split in data else []
    return ["eval", "--agent", found, "--split", split, *where, "--out", str(folder / split)]


def compare_cells(
    experiment: Experiment, cells: Sequence[Cell], seeds: Sequence[int], out: Path, split: str
) -> Command:
    """All cells of a split, seeds under one name."""
    results = [
        part
        for cell in cells
        for seed in seeds
        for part in ("--results", f"{cell.name}={out / f'{cell.name}-{seed}' / split}")
    ]
    return ["compare", *results, "--out", str(out / f"compare-{split}")]


def run_command(command: Command) -> None:
    """Print it, run it; raises `LatentVLAError` where it fails."""
    print(shlex.join(["latentvla", *command]), flush=True)
    status = subprocess.run([sys.executable, "-m", "latentvla_agent", *command]).returncode
    if status:
        raise LatentVLAError(f"latentvla {command[0]} ended with status {status}: {shlex.join(command)}")
