"""Rule: what must run in NAVSIM's own environment (Python 3.9) uses nothing newer; the command line and the world may.

Three readers, because each misses something: Python's parser with the 3.9 grammar (`match`, `except*`), vermin
(functions and arguments of the standard library), and the checker below (unions evaluated at run time, which hide
behind annotations).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "latentvla_agent"
EXEMPT = {"cli", "world"}
OLDEST = (3, 9)
NEW_DATACLASS_OPTIONS = {"slots", "kw_only", "match_args", "weakref_slot"}
TYPE_NAMES = set("bool bytes complex dict float frozenset int list object set str tuple type".split())
GENERIC_NAMES = TYPE_NAMES | set("Callable Dict List Mapping Optional Sequence Set Tuple Type Union".split())
VERMIN = [sys.executable, "-c", "import vermin; vermin.main()"]
VERMIN_OPTIONS = ["--no-config-file", "--no-tips", "--quiet", "--violations", "--target=3.9-"]


def constrained_files() -> List[Path]:
    """Every module of the package that must run on Python 3.9."""
    files = sorted(PACKAGE.rglob("*.py"))
    return [file for file in files if file.relative_to(PACKAGE).parts[0] not in EXEMPT]


def too_new(source: str, name: str) -> List[str]:
    """`name:line: what` for each construct of `source` that Python 3.9 cannot parse or run."""
    try:
        tree = ast.parse(source, feature_version=OLDEST)
    except SyntaxError as error:
        return [f"{name}:{error.lineno}: syntax newer than Python 3.9: {error.msg}"]
    unevaluated = _unevaluated(tree)
    evaluated = [node for node in ast.walk(tree) if id(node) not in unevaluated]
    return [f"{name}:{line}: {what}" for node in evaluated for line, what in _complaints(node)]


def _unevaluated(tree: ast.Module) -> Set[int]:
    """Ids of the nodes inside annotations, if the module postpones their evaluation; otherwise Python runs them."""
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    if "annotations" not in {alias.name for node in futures for alias in node.names}:
        return set()
    return {id(inner) for annotation in _annotations(tree) for inner in ast.walk(annotation)}


def _annotations(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.arg, ast.AnnAssign)) and node.annotation is not None:
            yield node.annotation
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None:
            yield node.returns


def _complaints(node: ast.AST) -> Iterator[Tuple[int, str]]:
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and any(map(_is_type, (node.left, node.right))):
        yield node.lineno, "`X | Y` of types at run time: use Optional or Union"
    if isinstance(node, ast.Call):
        keywords = {keyword.arg for keyword in node.keywords}
        called = _called_name(node.func)
        if called == "zip" and "strict" in keywords:
            yield node.lineno, "zip(strict=)"
        if called == "dataclass" and keywords & NEW_DATACLASS_OPTIONS:
            yield node.lineno, f"dataclass({', '.join(sorted(filter(None, keywords & NEW_DATACLASS_OPTIONS)))}=)"


def _is_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Subscript):
        return _called_name(node.value) in GENERIC_NAMES
    return (isinstance(node, ast.Name) and node.id in TYPE_NAMES) or (
        isinstance(node, ast.Constant) and node.value is None
    )


def _called_name(function: ast.expr) -> str:
    """`dataclass` of `dataclass` and of `dataclasses.dataclass`."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def vermin(files: List[Path]) -> subprocess.CompletedProcess[str]:
    """Run vermin on `files`; its status is not 0 if one needs more than Python 3.9."""
    return subprocess.run([*VERMIN, *VERMIN_OPTIONS, *map(str, files)], capture_output=True, text=True)


def test_no_construct_newer_than_python_39() -> None:
    root = PACKAGE.parent
    found = [too_new(file.read_text(encoding="utf-8"), str(file.relative_to(root))) for file in constrained_files()]
    assert not any(found), "\n".join(line for lines in found for line in lines)


def test_vermin_finds_nothing_newer_than_python_39() -> None:
    run = vermin(constrained_files())
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize(
    "source",
    [
        "match x:\n    case 1: pass",
        "for a, b in zip(x, y, strict=True): pass",
        "@dataclass(frozen=True, slots=True)\nclass A: pass",
        "@dataclasses.dataclass(kw_only=True)\nclass A: pass",
        "from __future__ import annotations\nAlias = Scene | None",
        "from __future__ import annotations\nisinstance(x, int | float)",
        "def f(x: Scene | None): pass",
    ],
)
def test_checker_reports_what_python_39_cannot_do(source: str) -> None:
    (complaint,) = too_new(source, "file.py")
    assert complaint.startswith("file.py:")


@pytest.mark.parametrize(
    "source",
    [
        "from __future__ import annotations\ndef f(x: Scene | None) -> int | None: pass",
        "from __future__ import annotations\nx: int | None = None",
        "flags = left | right\nmerged = {**a} | b",
        "zip(x, y)\n@dataclass(frozen=True)\nclass A: pass",
    ],
)
def test_checker_accepts_what_python_39_can_do(source: str) -> None:
    assert too_new(source, "file.py") == []


def test_vermin_reports_a_newer_function(tmp_path: Path) -> None:
    newer = tmp_path / "newer.py"
    newer.write_text("import itertools\nprint(list(itertools.pairwise([1, 2])))\n")
    run = vermin([newer])
    assert run.returncode != 0 and "pairwise" in run.stdout
