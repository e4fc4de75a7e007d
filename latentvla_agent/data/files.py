"""Writing files so that a reader never sees half of one."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Collection, Sequence


def write_atomically(path: Path, content: bytes, durable: bool = True) -> None:
    """Write `content` beside `path` and move it there; on any error `path` is as it was and nothing is left over.

    `durable` waits until the disk has it; what can be made again, such as a cache, need not wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def is_leftover(path: Path, suffixes: Sequence[str]) -> bool:
    """Whether this is what a killed `write_atomically` left of a file with one of the suffixes: .<name>.<random>."""
    named = path.name.startswith(".") and any(f"{suffix}." in path.name for suffix in suffixes)
    return named and path.is_file()


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def hash_folder(folder: Path, suffix: str, skip: Collection[str] = ()) -> str:
    """SHA-256 of names and contents of all files with this suffix below a folder, in hexadecimal, but not in those of
    its own folders that are named in `skip`."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob(f"*{suffix}")):
        if path.relative_to(folder).parts[0] in skip:
            continue
        digest.update(f"{path.relative_to(folder).as_posix()} {hash_file(path)}\n".encode())
    return digest.hexdigest()
