"""The README's file tree names every Python file of the package, and nothing that is gone."""

from __future__ import annotations

import re
from pathlib import Path
from typing import List, Set

ROOT = Path(__file__).resolve().parent.parent


def read_tree() -> Set[str]:
    """Paths of the fenced tree under "Files", relative to the repository."""
    block = (ROOT / "README.md").read_text().split("## Files", 1)[1].split("```")[1]
    paths: Set[str] = set()
    folders: List[str] = []
    for line in block.splitlines():
        match = re.match(r"( *)(\S+)", line)
        if match is None:
            continue
        folders = folders[: len(match[1]) // 2]
        paths.add("".join(folders) + match[2])
        if match[2].endswith("/"):
            folders.append(match[2])
    return paths


def test_the_tree_names_every_module() -> None:
    package = ROOT / "latentvla_agent"
    modules = {str(path.relative_to(ROOT)) for path in package.rglob("*.py") if path.name != "__init__.py"}
    assert modules - read_tree() == set()


def test_the_tree_names_nothing_that_is_gone() -> None:
    assert [path for path in sorted(read_tree()) if not (ROOT / path).exists()] == []
