"""Arrays as `.npy` files: written whole or not at all, read where they lie."""

from __future__ import annotations

import errno
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.files import write_atomically
from latentvla_agent.errors import DataError

NO_MORE_FILES = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)  # it is the machine's limits, not the file


def write_array(path: Path, array: npt.NDArray[Any]) -> None:
    """Write a file that `open_array` reads."""
    content = io.BytesIO()
    np.save(content, array, allow_pickle=False)
    write_atomically(path, content.getvalue(), durable=False)


def open_array(path: Path) -> npt.NDArray[Any]:
    """The array, memory-mapped: it holds a file open for as long as it lives. Raises `DataError`."""
    try:
        array: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in NO_MORE_FILES:
            reason = f"{path}: cannot be opened ({error.strerror}), for all that is known the file is good"
            raise DataError(f"{reason}; raise the limit of open files (ulimit -n) or of memory") from error
        raise DataError(
            f"{path}: expected a shard of a feature cache ({error}); delete the folder to rebuild"
        ) from error
    return array
