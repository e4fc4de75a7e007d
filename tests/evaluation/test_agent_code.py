"""An agent's source files: its own, what they import from beside them, and our networks where it runs torch."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import Iterator, List, Type

import pytest

from latentvla_agent.baselines import StopAgent
from latentvla_agent.evaluation.agent_code import PACKAGE, describe_torch, list_sources
from latentvla_agent.evaluation.agents import find_agent, list_classes

FILES = {
    "mine/__init__.py": "",
    "mine/agent.py": "from .parts import speed\nimport numpy\nfrom latentvla_agent.baselines import StopAgent\n",
    "mine/parts/__init__.py": "",
    "mine/parts/speed.py": "def plan():\n    import helper\n    from ..limits import TOP\n",
    "mine/limits.py": "TOP = 1\n",
    "mine/unused.py": "import torch\n",
    "helper.py": "import mine.agent\nimport broken",
    "broken.py": "import (",
    "other.py": "",
}
USED = {"mine/__init__.py", "mine/agent.py", "mine/parts/__init__.py", "mine/parts/speed.py", "mine/limits.py"}


def write(folder: Path, **changes: str) -> Type[object]:
    """The files, and a class whose module is `mine.agent` of them."""
    for name, text in {**FILES, **changes}.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    module = ModuleType("mine.agent")
    module.__file__ = str(folder / "mine" / "agent.py")
    sys.modules["mine.agent"] = module
    return type("Mine", (), {"__module__": "mine.agent"})


@pytest.fixture(autouse=True)
def forget() -> Iterator[None]:
    """No module of these files is left."""
    yield
    sys.modules.pop("mine.agent", None)


def names(paths: List[Path], folder: Path) -> List[str]:
    return [str(path.relative_to(folder.resolve())) for path in paths]


def test_imports_are_followed_inside_functions_too(tmp_path: Path) -> None:
    paths, runs_torch = list_sources([write(tmp_path)])
    assert names(paths, tmp_path) == sorted({*USED, "helper.py", "broken.py"}) and not runs_torch


def test_of_installed_packages_only_their_own_files(tmp_path: Path) -> None:
    folder = tmp_path / "site-packages"
    paths, _ = list_sources([write(folder)])
    assert names(paths, folder) == sorted(USED)


def test_torch_brings_our_networks(tmp_path: Path) -> None:
    paths, runs_torch = list_sources([write(tmp_path, **{"broken.py": "def f():\n    from torch import nn\n"})])
    assert runs_torch and {PACKAGE / "models" / "ipad.py", PACKAGE / "features" / "cameras.py"} < set(paths)


def test_agents_of_ours() -> None:
    paths, runs_torch = list_sources([StopAgent])
    assert paths == [PACKAGE / "baselines.py"] and not runs_torch
    paths, runs_torch = list_sources(list_classes(find_agent("ego_status_mlp")))
    assert runs_torch and {PACKAGE / "agent.py", PACKAGE / "models" / "blocks.py"} < set(paths)
    assert PACKAGE / "baselines.py" not in paths


def test_a_class_without_source() -> None:
    assert list_sources([int]) == ([], False)


def test_what_torch_runs_on() -> None:
    found = describe_torch()
    assert set(found) == {"torch", "torchvision", "timm", "Pillow", "device"} and all(found.values())
