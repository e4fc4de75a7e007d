"""Output that cannot be written is refused before any work is done for it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.folders import make_folder, open_folder, prepare_file, write_output


def test_folders_are_made_and_left_empty(tmp_path: Path) -> None:
    assert make_folder(tmp_path / "a" / "b") == tmp_path / "a" / "b"
    assert list((tmp_path / "a" / "b").iterdir()) == []
    prepare_file(tmp_path / "c" / "scores.json")
    assert list((tmp_path / "c").iterdir()) == []


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="file: cannot be created .File exists"):
        make_folder(tmp_path / "file")
    with pytest.raises(DataError, match="file/a: cannot be created .Not a directory"):
        make_folder(tmp_path / "file" / "a")
    with pytest.raises(DataError, match="cannot be created"), open_folder(tmp_path / "file"):
        pass
    with pytest.raises(DataError, match="file: cannot be created"):
        prepare_file(tmp_path / "file" / "scores.json")


def test_a_folder_where_a_file_shall_be(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the name of a file to write, got a folder"):
        prepare_file(tmp_path)


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that takes no files, even from root")
def test_a_folder_that_takes_no_files() -> None:
    with pytest.raises(DataError, match="/proc/self: cannot be written"):
        make_folder(Path("/proc/self"))


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "scores.csv"
    write_output(path, b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DataError, match=r"scores.csv: cannot be written \(No space left on device\); what is finished"):
        write_output(path, b"new")
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
