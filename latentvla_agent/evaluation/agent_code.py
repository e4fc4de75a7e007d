"""Which source files an agent is made of, found by reading them: nothing is imported for it.

Of the user's own agents these are the files of their classes and all that these import, at the top or inside functions,
from the folder in which their modules lie. Of our own, the files of their classes, and of those that run torch all of
`features/` and `models/`; the rest of this package goes by its version.
"""

from __future__ import annotations

import ast
import importlib.metadata
import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple, Type

PACKAGE = Path(__file__).resolve().parent.parent
LEARNED_ROOMS = ("features", "models")
TORCH_PACKAGES = ("torch", "torchvision", "timm", "Pillow")
INSTALLED = ("site-packages", "dist-packages")


@dataclass(frozen=True)
class Module:
    """A source file and its dotted name."""

    path: Path
    name: str

    @property
    def root(self) -> Path:
        """The folder from which it is imported."""
        depth = self.name.count(".") + (self.path.name == "__init__.py")
        return self.path.parents[depth]


def list_sources(classes: Iterable[Type[object]]) -> Tuple[List[Path], bool]:
    """Source files of an agent of these classes, sorted, and whether it runs torch."""
    waiting = [module for module in map(_module_of, classes) if module is not None]
    found: Dict[Path, Module] = {}
    imported: Set[str] = set()
    while waiting:
        module = waiting.pop()
        if module.path not in found:
            found[module.path] = module
            names = list(_list_imports(module))
            imported.update(name.partition(".")[0] for name in names)
            waiting += [other for name in names for other in _locate(name, module)]
    bases = {base.__module__.partition(".")[0] for target in classes for base in target.__mro__}
    runs_torch = "torch" in imported | bases
    rooms = [path for room in LEARNED_ROOMS for path in (PACKAGE / room).glob("*.py")] if runs_torch else []
    return sorted({*found, *rooms}), runs_torch


def _module_of(target: Type[object]) -> Optional[Module]:
    try:
        source = inspect.getsourcefile(target)
    except TypeError:  # a class without Python source
        return None
    return None if source is None else Module(Path(source).resolve(), target.__module__)


def _list_imports(module: Module) -> Iterator[str]:
    """Absolute dotted names of all that a file may import; `a.b` for `from a import b`, which may be a module."""
    try:
        tree = ast.parse(module.path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return
    package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)


def _locate(name: str, module: Module) -> Iterator[Module]:
    """The files of a module, and of the packages that hold it, where they lie beside the one that imports it."""
    parts = name.split(".")
    if module.path.is_relative_to(PACKAGE) or parts[0] == PACKAGE.name:
        return
    if module.root.name in INSTALLED and parts[0] != module.name.partition(".")[0]:
        return  # of another distribution
    for count in range(1, len(parts) + 1):
        place = module.root.joinpath(*parts[:count])
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                yield Module(path, ".".join(parts[:count]))


def describe_torch() -> Dict[str, Optional[str]]:
    """Versions of what learned agents run on, None for what is not installed, and the device."""
    versions = {name: _find_version(name) for name in TORCH_PACKAGES}
    return {**versions, "device": _find_device()}


def _find_version(name: str) -> Optional[str]:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _find_device() -> Optional[str]:
    """Where `LatentVLAAgent` puts its model; None where torch can't be loaded."""
    try:
        import torch  # slow to load, and there already with nearly every agent that asks
    except ImportError:
        return None
    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"
