"""Hashes of large input files, kept beside the metric caches: a file is read for its hash only once.

A run that is resumed asks for those of all its logs, gigabytes of them, before it does anything.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any, Dict, Iterable, List, Optional

from latentvla_agent.data.files import hash_file, write_atomically
from latentvla_agent.errors import DataError

VERSION = 1
ANNOUNCED_BYTES = 2_000_000_000  # seconds of a fast disk, a minute of a slow one

Kept = Dict[str, List[Any]]  # by file name: stamp and hash


class HashStore:
    """SHA-256 of files, keyed by path, size and times of change; `folder` None keeps them in memory only.

    Nothing is written before `save`.
    """

    def __init__(self, folder: Optional[Path] = None):
        self._folder = folder
        self._kept: Dict[Path, Kept] = {}  # by the folder of the files
        self._changed: Dict[Path, bool] = {}

    def hash_all(self, paths: Iterable[Path]) -> Dict[Path, str]:
        """Hashes of all files; says so on stderr where that reads much. Raises `DataError` for one that can't be."""
        stamps = {path: _stamp(path) for path in paths}
        new = [path for path, stamp in stamps.items() if self._find(path, stamp) is None]
        size = sum(stamps[path][1] for path in new)
        if size > ANNOUNCED_BYTES:
            print(f"hashing {len(new)} files, {size / 1e9:.1f} GB, to know them again", file=sys.stderr, flush=True)
        for path in new:
            self._files_beside(path)[path.name] = [stamps[path], _hash(path)]
            self._changed[path.parent] = True
        return {path: str(self._find(path, stamp)) for path, stamp in stamps.items()}

    def _find(self, path: Path, stamp: List[int]) -> Optional[str]:
        entry = self._files_beside(path).get(path.name)
        return str(entry[1]) if entry is not None and entry[0] == stamp else None

    def _files_beside(self, path: Path) -> Kept:
        if path.parent not in self._kept:
            self._kept[path.parent] = {} if self._folder is None else _read_kept(self._place(path.parent))
        return self._kept[path.parent]

    def _place(self, folder: Path) -> Path:
        assert self._folder is not None
        return self._folder / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:24]}.json"

    def save(self) -> None:
        """Keep what was hashed. A disk that takes none of it costs time in the next run, not this run."""
        changed, self._changed = self._changed, {}
        if self._folder is None:
            return
        try:
            for folder in changed:
                write_atomically(self._place(folder), json.dumps(self._kept[folder]).encode(), durable=False)
        except OSError:
            pass


def _stamp(path: Path) -> List[int]:
    """Differs where a file was changed or replaced: the time of change of its entry can't be set by hand."""
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return [VERSION, status.st_size, status.st_mtime_ns, status.st_ctime_ns]


def _hash(path: Path) -> str:
    try:
        return hash_file(path)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error


def _read_kept(path: Path) -> Kept:
    """Hashes of the files of a folder; empty where there are none, or they are broken."""
    try:
        content = json.loads(path.read_text())
        return {str(name): [list(stamp), str(digest)] for name, (stamp, digest) in content.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
