"""Experiments as YAML: what each cell changes, and nothing that nobody knows."""

from __future__ import annotations

from pathlib import Path
from typing import List

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.training.config import PlannerTraining, read_training
from latentvla_agent.training.experiments import EXPERIMENTS_FOLDER, read_experiment

SHIPPED = sorted(path.stem for path in EXPERIMENTS_FOLDER.glob("*.yaml"))


def made_by(command: List[str]) -> str:
    """The name of the folder that a command of training writes."""
    options = dict(zip(command, command[1:]))
    return Path(options.get("--out", f"{options['--config']}-{options.get('--seed', 0)}")).name


@pytest.mark.parametrize("name", SHIPPED)
def test_every_cell_of_a_shipped_experiment_can_be_read(name: str) -> None:
    experiment = read_experiment(name)
    for cell in experiment.cells:
        training = read_training(cell.config, PlannerTraining, cell.settings_of(1))
        assert "{seed}" not in training.start and "-1/" in training.start, "it goes on from its own seed's planner"
        made = [made_by(command) for command in experiment.prepare(cell, 1)]
        assert made.count(Path(training.start).parent.name) == 1, "the stages that it needs make what it begins with"
        assert not training.tokens or Path(training.tokens).parent.name in made
    budgets = {cell.config: read_training(cell.config, PlannerTraining).epochs for cell in experiment.cells}
    assert all(not {"epochs", "batch_size"} & set(cell.settings) for cell in experiment.cells), budgets
    assert experiment.choose([]) == experiment.cells and len(experiment.choose(["distilled"])) == 1


def test_what_nobody_knows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="unknown experiment 'latent-action'; did you mean 'latent-actions'"):
        read_experiment("latent-action")
    with pytest.raises(ConfigError, match="unknown cell 'distiled'; did you mean 'distilled'"):
        read_experiment("latent-actions").choose(["distiled"])
    path = tmp_path / "own.yaml"
    path.write_text("cells: {a: {config: smoke, sets: {}}}\nsplits: []\nstages: {}\n")
    with pytest.raises(ConfigError, match="own.yaml: a: expected the entries config, set, needs, got"):
        read_experiment(str(path))
    path.write_text(
        "cells: {a: {config: smoke, set: {}, needs: [codec]}}\nsplits: []\nstages: {codes: train teacher}\n"
    )
    with pytest.raises(ConfigError, match="own.yaml: a: unknown stage 'codec'; did you mean 'codes'"):
        read_experiment(str(path))
    path.write_text("cells: {}\n")
    with pytest.raises(ConfigError, match=r"expected the entries cells, splits, stages, got \['cells'\]"):
        read_experiment(str(path))
