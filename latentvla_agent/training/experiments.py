"""An experiment: cells that differ in one thing, each trained with several seeds and scored on the same splits.

Cells need stages, which are trainings before theirs: a planner to begin with, a student. A stage is one command.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Tuple

import yaml

from latentvla_agent.errors import ConfigError, suggest

EXPERIMENTS_FOLDER = Path(__file__).resolve().parent / "experiments"


@dataclass(frozen=True)
class Cell:
    """A training config with single entries replaced, after the stages `needs`, in their order; "{seed}" in a text
    becomes the seed."""

    name: str
    config: str
    settings: Mapping[str, Any]
    needs: Tuple[str, ...] = ()

    def settings_of(self, seed: int) -> Dict[str, Any]:
        """The replaced entries of one seed."""
        return {
            key: value.replace("{seed}", str(seed)) if isinstance(value, str) else value
            for key, value in self.settings.items()
        }


@dataclass(frozen=True)
class Experiment:
    """Cells in their order, the splits that they are scored on, and stages by name: arguments of `latentvla`."""

    cells: Tuple[Cell, ...]
    splits: Tuple[str, ...]
    stages: Mapping[str, str]

    def prepare(self, cell: Cell, seed: int) -> List[List[str]]:
        """The commands of the stages that a cell needs."""
        return [shlex.split(self.stages[name].replace("{seed}", str(seed))) for name in cell.needs]

    def choose(self, names: Sequence[str]) -> Tuple[Cell, ...]:
        """The cells of these names, all of them for none; raises `ConfigError` for an unknown one."""
        known = {cell.name: cell for cell in self.cells}
        for name in names:
            if name not in known:
                raise ConfigError(f"unknown cell {name!r}{suggest(name, list(known))}")
        return tuple(known[name] for name in names) or self.cells


def read_experiment(name: str) -> Experiment:
    """A shipped experiment by name, or a YAML file by path; raises `ConfigError` for an entry that it doesn't know."""
    path = Path(name) if name.endswith((".yaml", ".yml")) else EXPERIMENTS_FOLDER / f"{name}.yaml"
    if not path.is_file():
        known = sorted(own.stem for own in EXPERIMENTS_FOLDER.glob("*.yaml"))
        raise ConfigError(f"unknown experiment {name!r}{suggest(name, known)}")
    content = yaml.safe_load(path.read_text())
    _check_entries(content, ["cells", "splits", "stages"], str(path))
    cells = [_read_cell(str(own), described, content["stages"], path) for own, described in content["cells"].items()]
    return Experiment(tuple(cells), tuple(content["splits"]), content["stages"])


def _read_cell(name: str, described: Any, stages: Mapping[str, str], path: Path) -> Cell:
    _check_entries(described, ["config", "set", "needs"], f"{path}: {name}")
    for stage in described["needs"]:
        if stage not in stages:
            raise ConfigError(f"{path}: {name}: unknown stage {stage!r}{suggest(stage, list(stages))}")
    return Cell(name, described["config"], described["set"], tuple(described["needs"]))


def _check_entries(content: Any, wanted: Sequence[str], place: str) -> None:
    if not isinstance(content, dict) or sorted(content) != sorted(wanted):
        found = sorted(content) if isinstance(content, dict) else type(content).__name__
        raise ConfigError(f"{place}: expected the entries {', '.join(wanted)}, got {found}")
