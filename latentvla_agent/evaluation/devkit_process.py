"""A process of a devkit's interpreter, which may be another than ours: NAVSIM pins Python 3.9."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, List, Mapping, Optional, Type

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.maps import MAP_VERSIONS_FILE, read_map_versions
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.errors import DataError

PACKAGE = Path(__file__).resolve().parent.parent
# Loads this package from its folder alone: with our site-packages on its path, the devkit would find our numpy.
BOOTSTRAP = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location("latentvla_agent", sys.argv[1] + "/__init__.py")
sys.modules[spec.name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[spec.name])
from latentvla_agent.navsim_worker import main
main(sys.argv[2:])
"""
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}


@dataclass(frozen=True)
class DevkitCommand:
    """An interpreter and what it needs on its path to import a devkit: the folders that hold navsim/ and nuplan/.

    A folder is None where the interpreter finds the package by itself.
    """

    python: Path
    root: Optional[Path] = None
    nuplan: Optional[Path] = None

    def environ(self) -> Dict[str, str]:
        """Environment of its processes."""
        folders = [str(folder) for folder in (self.root, self.nuplan) if folder is not None]
        inherited = os.environ.get("PYTHONPATH", "") if self.python == Path(sys.executable) else ""
        paths = [*folders, *filter(None, [inherited])]
        environ = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        return {**environ, **ONE_THREAD, **({"PYTHONPATH": os.pathsep.join(paths)} if paths else {})}


class DevkitDied(DataError):
    """The process of a devkit has ended; by a signal where `was_killed`."""

    was_killed = False


class DevkitProcess:
    """`navsim_worker.py` under a devkit's interpreter. What it prints goes to the end of `log`; `devkit` is what it
    says of itself. Raises `DataError` where it can't start."""

    def __init__(self, command: DevkitCommand, arguments: List[Any], log: Path) -> None:
        self._log = log
        with log.open("a") as errors:
            self._process = subprocess.Popen(
                [str(part) for part in (command.python, "-c", BOOTSTRAP, PACKAGE, *arguments)],
                env=command.environ(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.devkit = self._read()

    def ask(self, request: Mapping[str, Any]) -> Dict[str, Any]:
        """The answer to a request; raises `DataError` where it is an error, or where the process has ended."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended; reading will say so
        return self._read()

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _read(self) -> Dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self.close()
            error = DevkitDied(f"{self._log}: the devkit's process has ended: {read_last_line(self._log)}")
            error.was_killed = self._process.returncode < 0
            raise error
        answer: Dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise DataError(f"the devkit could not do the work: {answer['error']} (see {self._log})")
        return answer

    def __enter__(self) -> DevkitProcess:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()


def read_last_line(path: Path) -> str:
    """The last line of a log, which names the error that ended a process."""
    lines = path.read_text(errors="replace").strip().splitlines()
    return lines[-1].strip() if lines else "it printed nothing"


def complete_maps(roots: DataRoots, folder: Path) -> Path:
    """A maps folder of links in which no location is missing: the devkit opens all of them, whatever it needs.

    Runs share `folder`, at the same time too: what is right there is not touched, and nothing is ever away. Raises
    `DataError` for a table of locations that can't be read, and where no map is there.
    """
    versions = read_map_versions(roots.maps)
    for location, version in versions.items():
        if len(Path(location, version).parts) != 2 or ".." in (location, version):
            raise DataError(f"{roots.maps / MAP_VERSIONS_FILE}: expected names of folders, got {location} {version!r}")
    paths = {location: roots.maps / location / version / "map.gpkg" for location, version in versions.items()}
    if all(path.is_file() for path in paths.values()):
        return roots.maps
    stand_in = next((path for path in paths.values() if path.is_file()), None)
    if stand_in is None:
        raise DataError(f"{roots.maps}: expected the map of a location, got none")
    try:
        for location, path in paths.items():
            target = (path if path.is_file() else stand_in).resolve()
            _link(folder / location / versions[location] / "map.gpkg", target)
        write_atomically(folder / MAP_VERSIONS_FILE, (roots.maps / MAP_VERSIONS_FILE).read_bytes(), durable=False)
    except OSError as error:
        raise DataError(f"{folder}: cannot hold links to maps ({error})") from error
    return folder


def _link(link: Path, target: Path) -> None:
    """Make `link` point to `target`, in one step where it has to change."""
    if link.is_symlink() and os.readlink(link) == str(target):
        return
    link.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=link.parent, prefix=f".{link.name}.") as own:
        temporary = Path(own) / link.name
        temporary.symlink_to(target)
        os.replace(temporary, link)
