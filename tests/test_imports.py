"""Rule: a room of the package knows only the rooms that the table allows, and importing the package stays light.

A room is a folder or a file directly below `latentvla_agent/`. `errors` and the package itself (`__version__`) may be
known by everybody. Only `navsim_bridge.py` may import the devkit. Also checked: every folder with code is named in
`setup.cfg`, and nothing is installed under a top-level name other than `latentvla_agent`.
"""

from __future__ import annotations

import ast
import configparser
import subprocess
import sys
from pathlib import Path
from typing import Dict, FrozenSet, Iterator, List, NamedTuple, Set

import pytest

ROOT = Path(__file__).resolve().parents[1]
NAME = "latentvla_agent"
PACKAGE = ROOT / NAME

ALLOWED: Dict[str, FrozenSet[str]] = {
    "__init__": frozenset(),
    "errors": frozenset(),
    "agent_files": frozenset(),
    "embedded": frozenset(),
    "data": frozenset(),
    "scoring": frozenset({"data"}),
    "world": frozenset({"data", "scoring", "baselines"}),  # baselines: what the filter of windows scores
    "features": frozenset({"data"}),
    "models": frozenset({"data"}),  # hashes of files
    "training": frozenset({"data", "features", "models", "scoring"}),
    "baselines": frozenset({"data", "scoring"}),
    "navsim_bridge": frozenset({"data"}),
    "navsim_worker": frozenset({"data", "scoring", "navsim_bridge"}),
    "agent": frozenset({"data", "features", "models", "navsim_bridge"}),
    "evaluation": frozenset(
        {"data", "scoring", "agent", "agent_files", "baselines", "models"}
    ),  # models: where weights lie
    "viewer": frozenset({"data", "scoring", "evaluation"}),
    "pipeline": frozenset({"data", "scoring", "features", "models", "training", "agent", "evaluation"}),
}
ALLOWED_INSIDE_FUNCTIONS: Dict[str, FrozenSet[str]] = {"agent": frozenset({"training"})}
KNOWS_EVERYTHING = {"cli", "__main__"}
KNOWN_BY_ALL = {"__init__", "errors"}
DEVKIT = {"navsim", "nuplan"}
DEVKIT_FILE = "navsim_bridge.py"

BASE_LIBRARIES = "numpy, shapely, pyogrio, pyproj, yaml, typer, tqdm, safetensors.numpy, numba"
LIGHT_ROOMS = ["__init__", "errors", "embedded", "data", "scoring", "baselines", "evaluation", "viewer", "cli"]
OPTIONAL = ["open_clip", "hydra", "ray", "rerun", "lightning", "pytorch_lightning", "navsim"]
HEAVY = {
    "rooms of the base install": (LIGHT_ROOMS, [*OPTIONAL, "nuplan", "torch", "pandas", "matplotlib"]),
    "the agent": (["agent"], OPTIONAL),
}


class Import(NamedTuple):
    """One imported module, with its absolute dotted name."""

    target: str
    line: int
    inside_function: bool


def forbidden_imports(source: str, path: Path) -> List[str]:
    """`path:line: message` for each import that `source`, at `path` below the package, may not have."""
    room = _room_of(path)
    if room not in ALLOWED and room not in KNOWS_EVERYTHING:
        return [f"{path}:1: room {room!r} is not in the table of tests/test_imports.py: say there what it may know"]
    found = [(item, _objection(item, room, path)) for item in _imports(ast.parse(source), path)]
    return [f"{path}:{item.line}: {room} may not import {item.target}: {why}" for item, why in found if why]


def _room_of(path: Path) -> str:
    return path.parts[0] if len(path.parts) > 1 else path.stem


def _objection(item: Import, room: str, path: Path) -> str:
    """Why `room` may not have this import; empty if it may."""
    top, *rest = item.target.split(".")
    if top in DEVKIT and path.as_posix() != DEVKIT_FILE:
        return f"only {DEVKIT_FILE} imports the devkit"
    if top != NAME or not rest or room in KNOWS_EVERYTHING:
        return ""
    known = ALLOWED[room] | KNOWN_BY_ALL | {room}
    if item.inside_function:
        known |= ALLOWED_INSIDE_FUNCTIONS.get(room, frozenset())
    return "" if rest[0] in known else f"it may know {', '.join(sorted(ALLOWED[room])) or 'no other room'}"


def _imports(tree: ast.AST, path: Path, inside_function: bool = False) -> Iterator[Import]:
    for node in ast.iter_child_nodes(tree):
        for target in _targets(node, path):
            yield Import(target, getattr(node, "lineno", 0), inside_function)
        is_function = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        yield from _imports(node, path, inside_function or is_function)


def _targets(node: ast.AST, path: Path) -> List[str]:
    """Absolute names of the modules that `node` imports, `import_module("name")` and `__import__("name")` included."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom):
        return _names_imported_from(_absolute(node, path), [alias.name for alias in node.names])
    if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
        function = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if function in {"import_module", "__import__"} and isinstance(node.args[0].value, str):
            return [node.args[0].value]
    return []


def _absolute(node: ast.ImportFrom, path: Path) -> str:
    if node.level == 0:
        return node.module or ""
    package = [NAME, *path.parts[:-1]]
    return ".".join(package[: len(package) - node.level + 1] + ([node.module] if node.module else []))


def _names_imported_from(module: str, names: List[str]) -> List[str]:
    """`from latentvla_agent import data` means the room `data`, `from latentvla_agent import __version__` no room."""
    if module != NAME:
        return [module]
    rooms = set(ALLOWED) | KNOWS_EVERYTHING | {"*"}
    return [f"{NAME}.{name}" if name in rooms else NAME for name in names]


def modules_of(room: str) -> List[str]:
    """Dotted names of the modules of a room, none if the room does not exist yet."""
    file = PACKAGE / f"{room}.py"
    files = [file] if file.exists() else sorted((PACKAGE / room).rglob("*.py"))
    dotted = [".".join((NAME, *file.relative_to(PACKAGE).with_suffix("").parts)) for file in files]
    return [name[: -len(".__init__")] if name.endswith(".__init__") else name for name in dotted]


def test_every_room_knows_only_what_the_table_allows() -> None:
    files = sorted(PACKAGE.rglob("*.py"))
    assert files
    found = [
        line
        for file in files
        for line in forbidden_imports(file.read_text(encoding="utf-8"), file.relative_to(PACKAGE))
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("path", "source", "target"),
    [
        ("data/logs.py", "from latentvla_agent.scoring import simulation", "latentvla_agent.scoring"),
        ("data/logs.py", "from latentvla_agent import scoring", "latentvla_agent.scoring"),
        ("data/logs.py", "from ..scoring.metrics import comfort", "latentvla_agent.scoring.metrics"),
        ("data/logs.py", "from .. import evaluation", "latentvla_agent.evaluation"),
        ("scoring/metrics/comfort.py", "def f():\n    import latentvla_agent.cli", "latentvla_agent.cli"),
        ("models/ipad.py", "from latentvla_agent.scoring import scorer", "latentvla_agent.scoring"),
        ("agent.py", "import latentvla_agent.training", "latentvla_agent.training"),
        ("scoring/official.py", "import importlib\nimportlib.import_module('navsim.common')", "navsim.common"),
        ("cli.py", "from nuplan.common import maps", "nuplan.common"),
    ],
)
def test_checker_reports_file_line_and_import(path: str, source: str, target: str) -> None:
    (complaint,) = forbidden_imports(source, Path(path))
    line = len(source.splitlines())
    assert complaint.startswith(f"{path}:{line}: ") and f"may not import {target}: " in complaint


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("data/logs.py", "from latentvla_agent.errors import DataError\nfrom .scene import Scene\nimport numpy"),
        ("data/logs.py", "from . import scene\nfrom latentvla_agent import __version__"),
        ("scoring/metrics/comfort.py", "from ..simulation import simulate\nfrom ...data.scene import Scene"),
        ("agent.py", "def get_optimizers():\n    from latentvla_agent.training import optimizers"),
        ("navsim_bridge.py", "import navsim\nfrom nuplan.common import maps"),
        ("cli.py", "from latentvla_agent.evaluation import loop\nfrom latentvla_agent import scoring"),
    ],
)
def test_checker_accepts_what_the_table_allows(path: str, source: str) -> None:
    assert forbidden_imports(source, Path(path)) == []


def test_checker_reports_a_room_without_a_row() -> None:
    (complaint,) = forbidden_imports("", Path("helpers/strings.py"))
    assert "'helpers' is not in the table" in complaint


@pytest.mark.parametrize("what", HEAVY)
def test_importing_loads_no_heavy_package(what: str) -> None:
    rooms, heavy = HEAVY[what]
    modules = [name for room in rooms for name in modules_of(room)]
    if not modules:
        pytest.skip(f"{what}: no such module yet")
    loaded = _loaded_in_fresh_interpreter(modules)
    assert not loaded & set(heavy), f"importing {what} loads {sorted(loaded & set(heavy))}"


def _loaded_in_fresh_interpreter(modules: List[str]) -> Set[str]:
    """Top-level packages that `modules` load, beyond what the libraries of the base install load by themselves."""
    lines = [f"import sys, {BASE_LIBRARIES}", "before = set(sys.modules)", *(f"import {name}" for name in modules)]
    lines.append("print(*{name.split('.')[0] for name in set(sys.modules) - before})")
    run = subprocess.run([sys.executable, "-c", "\n".join(lines)], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return set(run.stdout.split())


def test_every_folder_with_code_is_installed_and_only_below_the_package() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    packages = set(config["options"]["packages"].split())
    folders = {".".join(file.parent.relative_to(ROOT).parts) for file in PACKAGE.rglob("*.py")}
    assert folders <= packages, f"add to packages in setup.cfg: {sorted(folders - packages)}"
    assert {name.split(".")[0] for name in packages} == {NAME, "hydra_plugins"}  # a name that Hydra dictates
