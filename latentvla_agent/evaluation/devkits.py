"""Which devkit scores: the one that is named, or the one that this interpreter has; and what it can do."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, Mapping, Optional, Sequence

from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.devkit_process import DevkitCommand, DevkitProcess
from latentvla_agent.evaluation.doctor_devkit import DEVKIT_VARIABLE, find_package, inspect_package

PYTHON_VARIABLE = "NAVSIM_PYTHON"
NUPLAN_VARIABLE = "NUPLAN_DEVKIT_ROOT"


@dataclass(frozen=True)
class Devkit:
    """A devkit that runs: what it scores, and the `facts` that it tells of itself (version, sources, packages)."""

    command: DevkitCommand
    metric: str
    facts: Mapping[str, Any]


def name_command(
    python: Optional[Path],
    root: Optional[Path],
    nuplan: Optional[Path],
    environ: Mapping[str, str] = os.environ,
) -> Optional[DevkitCommand]:
    """The devkit of the options, else of the environment, else of this interpreter; None where there is none at all.

    Raises `ConfigError` for an interpreter or a folder that does not exist, or holds no devkit.
    """
    python = python or _read_path(environ, PYTHON_VARIABLE)
    root = root or _read_path(environ, DEVKIT_VARIABLE)
    nuplan = nuplan or _read_path(environ, NUPLAN_VARIABLE)
    if python is None and root is None and find_package("navsim") is None:
        return None
    if python is not None and not python.is_file():
        raise ConfigError(f"{python}: expected the interpreter of the devkit, got nothing")
    if root is not None and inspect_package(root / "navsim") is None:
        raise ConfigError(f"{root}: expected the folder that holds the devkit's navsim/, got no NAVSIM devkit")
    if nuplan is not None and not (nuplan / "nuplan").is_dir():
        raise ConfigError(f"{nuplan}: expected the folder that holds nuplan/, got no such package")
    return DevkitCommand(python or Path(sys.executable), root, nuplan)


def _read_path(environ: Mapping[str, str], variable: str) -> Optional[Path]:
    return Path(environ[variable]) if environ.get(variable) else None


def start_devkit(command: DevkitCommand, maps_root: Path, log: Path) -> Devkit:
    """Start the devkit once to see that it runs; raises `DataError` with the reason where it does not."""
    with DevkitProcess(command, ["score", maps_root], log) as process:
        facts = dict(process.devkit)
    package = inspect_package(Path(facts.pop("folder")))
    if package is None:
        raise DataError(f"{command.python}: expected a NAVSIM devkit, got another package of that name")
    return Devkit(command, package.metric, facts)


def find_devkits(python: Path, roots: Sequence[Path], nuplan: Optional[Path]) -> Dict[str, DevkitCommand]:
    """Several devkits by the metric that each computes; raises `ConfigError` for two of one metric."""
    commands: Dict[str, DevkitCommand] = {}
    if not roots:
        raise ConfigError(f"{python}: expected the root of a devkit with it (--devkit-root), got none")
    for root in roots:
        command, package = name_command(python, root, nuplan, {}), inspect_package(root / "navsim")
        assert command is not None and package is not None, "name_command has looked"
        if package.metric in commands:
            raise ConfigError(f"{root}: expected NAVSIM devkits of different versions, got a second {package.metric}")
        commands[package.metric] = command
    return commands
