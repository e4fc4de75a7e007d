"""Arrays on disk, and what is said where one can't be opened."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.training.array_files import open_array, write_array


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_array(tmp_path / "x.npy", np.arange(6).reshape(2, 3))
    assert open_array(tmp_path / "x.npy").tolist() == [[0, 1, 2], [3, 4, 5]]


def test_a_limit_of_the_machine_is_no_fault_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_array(tmp_path / "x.npy", np.zeros(3))

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(np, "load", fail)
    with pytest.raises(DataError, match=r"x.npy: cannot be opened \(Too many open files\).*ulimit -n") as found:
        open_array(tmp_path / "x.npy")
    assert "delete" not in str(found.value)
