"""One run per output folder."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from latentvla_agent.errors import DataError

LOCK_FILE = ".lock"


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold its lock file; the system releases it with the process, however that ends. Raises `DataError` if taken."""
    path = folder / LOCK_FILE
    try:
        file = path.open("a")
    except OSError as error:
        raise DataError(f"{folder}: cannot be written ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DataError(f"{folder}: another run is writing here; choose another --out") from error
        yield
