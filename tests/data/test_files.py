"""Atomic writes: all or nothing, and nothing left over."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from latentvla_agent.data import files
from latentvla_agent.data.files import write_atomically


def test_content_is_written_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file.bin"
    write_atomically(path, b"content")
    assert path.read_bytes() == b"content" and os.listdir(path.parent) == ["file.bin"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a much longer content than before")
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("call", ["fsync", "chmod", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_on_any_error_all_is_as_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: type) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error("stopped")

    monkeypatch.setattr(files.os, call, fail)
    with pytest.raises(error, match="stopped"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_a_reader_never_sees_half_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until the whole content is on disk, the name still gives the old file."""
    path, seen = tmp_path / "file", []
    path.write_bytes(b"old")
    sync = os.fsync
    monkeypatch.setattr(files.os, "fsync", lambda handle: (seen.append(path.read_bytes()), sync(handle)))
    write_atomically(path, b"new")
    assert seen == [b"old"] and path.read_bytes() == b"new"


def test_a_folder_in_the_way_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError):
        write_atomically(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == ["file"]
