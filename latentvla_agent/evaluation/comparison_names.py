"""What the agents of a comparison are called, and which of them are training seeds of one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional, Tuple

from latentvla_agent.errors import ConfigError

TIMESTAMP = re.compile(r"\d{4}(\.\d\d){5}")  # NAVSIM's names of output folders and of the CSVs in them
SEED = re.compile(r"(?P<agent>.+)[-_.]seed[-_.]?(?P<seed>\d+)")  # the name of an agent that is one of several seeds


def split_argument(argument: str) -> Tuple[str, Path]:
    """Name and path of `[NAME=]PATH`; raises `ConfigError` where one of them is empty."""
    name, equals, path = argument.partition("=")
    if not equals or Path(argument).exists():
        return "", Path(argument)
    if not name or not path:
        raise ConfigError(f"--results {argument}: expected PATH or NAME=PATH")
    return name, Path(path)


def name_agent(path: Path) -> str:
    """The experiment's folder, above those that NAVSIM calls by the time; else the name of the file."""
    if not TIMESTAMP.fullmatch(path.stem):
        return path.stem
    folders = (folder.name for folder in path.resolve().parents)
    return next((name for name in folders if name and not TIMESTAMP.fullmatch(name)), path.stem)


def split_seed(name: str) -> Tuple[str, Optional[int]]:
    """Agent and training seed of NAME-seed3; no seed where the name has none."""
    match = SEED.fullmatch(name)
    return (match["agent"], int(match["seed"])) if match else (name, None)


def name_degraded(name: str, degradation: Optional[str]) -> str:
    """What an agent is called beside its intact self: it is no training seed of that."""
    return name if degradation is None else f"{name} ({degradation})"
