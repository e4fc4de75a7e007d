"""Output folders: made, and found to take files, before any work is done for them."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from latentvla_agent.data.files import write_atomically
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.locking import lock_folder


def make_folder(folder: Path) -> Path:
    """Create the folder where it is missing; raises `DataError` where that fails, or where it takes no file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be created ({error.strerror})") from error
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror})") from error
    return folder


@contextmanager
def open_folder(folder: Path) -> Iterator[None]:
    """Create the folder of a run and hold its lock."""
    make_folder(folder)
    with lock_folder(folder):
        yield


def prepare_file(path: Path) -> None:
    """Create the folder of an output file; raises `DataError` where the file could not be written later."""
    if path.is_dir():
        raise DataError(f"{path}: expected the name of a file to write, got a folder")
    make_folder(path.parent)


def write_output(path: Path, content: bytes, durable: bool = True) -> None:
    """Write atomically; raises `DataError` where the disk is full or the folder has gone. `durable`: as there."""
    try:
        write_atomically(path, content, durable)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror}); what is finished is kept") from error
