"""Kept hashes of files: right, read once, and asked for again where a file has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import List

import pytest

from latentvla_agent.data import file_hashes
from latentvla_agent.data.file_hashes import HashStore
from latentvla_agent.data.files import hash_file
from latentvla_agent.errors import DataError


@pytest.fixture()
def files(tmp_path: Path) -> List[Path]:
    paths = [tmp_path / folder / name for folder in ("logs", "maps") for name in ("a", "b")]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_text(str(path))
    return paths


@pytest.fixture()
def reads(monkeypatch: pytest.MonkeyPatch) -> List[Path]:
    """Files that are read."""
    found: List[Path] = []

    def read(path: Path) -> str:
        found.append(path)
        return hash_file(path)

    monkeypatch.setattr(file_hashes, "hash_file", read)
    return found


def test_files_are_read_once(tmp_path: Path, files: List[Path], reads: List[Path]) -> None:
    expected = {path: hash_file(path) for path in files}
    store = HashStore(tmp_path / "kept")
    assert store.hash_all(files) == store.hash_all(files) == expected and reads == files
    assert not (tmp_path / "kept").exists(), "nothing is written before save"
    store.save()
    assert HashStore(tmp_path / "kept").hash_all(files) == expected and reads == files
    HashStore().save()


def test_a_changed_file_is_read_again(tmp_path: Path, files: List[Path], reads: List[Path]) -> None:
    """Even where size and time of change are what they were, as after `cp -p`."""
    store = HashStore(tmp_path / "kept")
    before = store.hash_all(files)
    store.save()
    status = files[1].stat()
    changed = files[1].with_name("new")
    changed.write_text(files[1].read_text().upper())
    os.utime(changed, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.replace(changed, files[1])
    assert files[1].stat().st_mtime_ns == status.st_mtime_ns and files[1].stat().st_size == status.st_size
    after = HashStore(tmp_path / "kept").hash_all(files)
    assert [path for path in files if before[path] != after[path]] == [files[1]] == reads[len(files) :]
    assert store.hash_all(files) == after, "nor does a store trust its memory"


def test_what_is_kept_may_be_broken_or_impossible(tmp_path: Path, files: List[Path]) -> None:
    store = HashStore(tmp_path / "kept")
    expected = store.hash_all(files)
    store.save()
    for content in ("", "[]", '{"a": 1}', '{"a": [1, 2]}'):
        for path in (tmp_path / "kept").iterdir():
            path.write_text(content)
        assert HashStore(tmp_path / "kept").hash_all(files) == expected
    hopeless = HashStore(files[0])
    assert hopeless.hash_all(files) == expected
    hopeless.save()


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    for path in (tmp_path / "gone", tmp_path):
        with pytest.raises(DataError, match=f"{path}: cannot be read"):
            HashStore().hash_all([path])


def test_much_to_read_is_announced(
    files: List[Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = HashStore()
    store.hash_all(files[:1])
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(file_hashes, "ANNOUNCED_BYTES", 0)
    store.hash_all(files)
    assert capsys.readouterr().err.startswith("hashing 3 files, 0.0 GB")
