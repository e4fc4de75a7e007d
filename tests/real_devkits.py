"""Real NAVSIM devkits for the tests that need one (`pytest -m navsim`), each in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import List, Mapping, Sequence, Union

import pytest

ROOT = Path(__file__).resolve().parents[1]


def find_real_devkits() -> List[Path]:
    """Folders of the devkits that are named; skips where there are none."""
    roots = os.environ.get("NAVSIM_DEVKIT_ROOTS", os.environ.get("NAVSIM_DEVKIT_ROOT", ""))
    if not roots:
        pytest.skip("no devkit is named: NAVSIM_PYTHON, NAVSIM_DEVKIT_ROOT (several: NAVSIM_DEVKIT_ROOTS)")
    return [Path(root) for root in roots.split(os.pathsep) if root]


def devkit_python() -> str:
    """Interpreter that has the devkit's dependencies."""
    return os.environ.get("NAVSIM_PYTHON", sys.executable)


def run_in_devkit(devkit: Path, command: Sequence[Union[str, Path]], variables: Mapping[str, str] = {}) -> str:
    """Run a Python command with a devkit on the path; returns what it prints, fails with what it says."""
    paths = [str(ROOT), str(devkit), os.environ.get("NUPLAN_DEVKIT_ROOT", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), **variables}
    run = subprocess.run([devkit_python(), *command], env=environ, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-3000:]
    return run.stdout
