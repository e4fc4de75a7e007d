"""The YAML files of the agents that are shipped."""

from __future__ import annotations

from pathlib import Path
from typing import List

PACKAGE = Path(__file__).resolve().parent


def agents_folder() -> Path:
    """`agents/` of the installed package, or of the checkout."""
    installed = PACKAGE / "agents"
    return installed if installed.is_dir() else PACKAGE.parent / "agents"


def list_agent_files() -> List[Path]:
    """One file per agent, sorted by name."""
    return sorted(agents_folder().glob("*.yaml"))
