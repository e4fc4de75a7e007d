"""The traffic simulator SUMO (wheel `eclipse-sumo`, extra `[world]`): its place, its programs, its Python library."""

from __future__ import annotations

import importlib
import os
import subprocess
from pathlib import Path
from types import ModuleType
from typing import Sequence

from latentvla_agent.errors import DataError

EXTRA = 'pip install "latentvla-agent[world]"'
MAX_SEED = 2**31 - 1  # SUMO reads its seeds as signed 32-bit numbers
TOLD_LINES = 3  # lines of a failed program's output that the error quotes


def load_libsumo() -> ModuleType:
    """SUMO inside this process, one simulation at a time. Raises `DataError` naming the extra if it is missing."""
    find_sumo_home()  # libsumo looks for its data files in SUMO_HOME
    return _import("libsumo")


def find_sumo_home() -> Path:
    """Folder of the installed SUMO, also set as `SUMO_HOME`; raises `DataError` naming the extra if it is missing."""
    home = Path(str(_import("sumo").SUMO_HOME))
    os.environ["SUMO_HOME"] = str(home)
    return home


def find_program(name: str) -> Path:
    """Path of one of SUMO's programs, such as `netconvert`; raises `DataError` where it is missing."""
    folder = find_sumo_home() / "bin"
    for candidate in (folder / name, folder / f"{name}.exe"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder}: SUMO's program {name} expected, not found; reinstall it: {EXTRA}")


def run_program(name: str, arguments: Sequence[str], folder: Path) -> None:
    """Run one of SUMO's programs in `folder`; raises `DataError` with its last words where it fails."""
    result = subprocess.run(
        [str(find_program(name)), *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if result.returncode != 0:
        words = [line for line in result.stdout.splitlines() if line.strip()][-TOLD_LINES:]
        raise DataError(f"{folder}: {name} ended with status {result.returncode}: {' | '.join(words)}")


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise DataError(f"the embedded world needs SUMO's Python package {name}, not found: {EXTRA}") from error
