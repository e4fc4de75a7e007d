"""A journal keeps what is finished through kills, full disks and damage, and refuses what is not its own."""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any, Dict, List

import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.journal import JOURNAL_VERSION, Journal, decode_line, encode_line, read_lines

IDENTITY: Dict[str, Any] = {"metric": "pdms-v1.1", "agents": [{"agent": "human"}], "scenes": "abc"}
ENTRIES: List[Dict[str, Any]] = [{"token": f"t{number}", "score": number / 3} for number in range(5)]


def write_journal(path: Path) -> Path:
    with Journal(path, IDENTITY) as journal:
        for entry in ENTRIES:
            journal.append(entry)
    return path


def reopen(path: Path) -> Journal:
    journal = Journal(path, IDENTITY)
    journal.close()
    return journal


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_journal(tmp_path / "scores.journal")


def test_entries_come_back(path: Path) -> None:
    journal = reopen(path)
    assert journal.entries == ENTRIES and journal.damaged_lines == []


def test_lines_are_checksum_and_json(path: Path) -> None:
    lines = path.read_bytes().splitlines()
    assert len(lines) == 1 + len(ENTRIES)
    for line in lines:
        assert line[:8] == b"%08x" % zlib.crc32(line[9:]) and decode_line(line) is not None


@pytest.mark.parametrize("lost", [1, 2, 10, 30])
def test_a_torn_last_line_is_cut_off_and_done_again(path: Path, lost: int) -> None:
    intact = path.read_bytes()
    path.write_bytes(intact[:-lost])
    with Journal(path, IDENTITY) as journal:
        assert journal.entries == ENTRIES[:-1] and journal.damaged_lines == []
        journal.append(ENTRIES[-1])
    assert path.read_bytes() == intact


def test_every_cut_is_survived(path: Path, tmp_path: Path) -> None:
    """Whatever was on the disk when the writer was killed, finishing it gives the same file."""
    intact = path.read_bytes()
    for length in range(len(intact)):
        cut = tmp_path / "cut.journal"
        cut.write_bytes(intact[:length])
        with Journal(cut, IDENTITY) as journal:
            done = len(journal.entries)
            for entry in ENTRIES[done:]:
                journal.append(entry)
        assert cut.read_bytes() == intact


@pytest.mark.parametrize("damage", [b"x", b"\0", b"\n"])
def test_a_damaged_line_is_numbered_and_the_others_are_kept(path: Path, damage: bytes) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:12] + damage + lines[3][13:]
    path.write_bytes(b"".join(lines))
    journal = reopen(path)
    assert journal.entries == [entry for entry in ENTRIES if entry["token"] != "t2"]
    assert journal.damaged_lines == ([4, 5] if damage == b"\n" else [4])
    with Journal(path, IDENTITY) as journal:
        journal.append(ENTRIES[2])
    assert sorted(entry["token"] for entry in reopen(path).entries) == [entry["token"] for entry in ENTRIES]


def test_a_damaged_first_line_is_refused_and_nothing_is_lost(path: Path) -> None:
    content = b"0" * 8 + path.read_bytes()[8:]
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"scores\.journal: line 1, .* is damaged"):
        Journal(path, IDENTITY)
    assert path.read_bytes() == content


def test_another_version_is_refused(path: Path) -> None:
    content = encode_line({"journal": JOURNAL_VERSION + 1, **IDENTITY}) + encode_line(ENTRIES[0])
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"expected a journal of version {JOURNAL_VERSION}, got {JOURNAL_VERSION + 1}"):
        Journal(path, IDENTITY)
    assert path.read_bytes() == content


def test_another_run_is_refused_naming_what_differs(path: Path) -> None:
    content = path.read_bytes()
    other = {**IDENTITY, "metric": "epdms-v2.2", "agents": [{"agent": "stop"}]}
    with pytest.raises(DataError, match=r"another agents, metric; choose another --out"):
        Journal(path, other)
    assert path.read_bytes() == content


def test_not_a_number_is_refused_before_anything_is_written(path: Path) -> None:
    content = path.read_bytes()
    with Journal(path, IDENTITY) as journal, pytest.raises(ValueError):
        journal.append({"score": float("nan")})
    assert path.read_bytes() == content


class FullFile:
    """A file on a disk that takes a few more bytes."""

    def __init__(self, path: Path, left: int):
        self._file, self._left = path.open("ab", buffering=0), left

    def write(self, content: bytes) -> int:
        if self._left == 0:
            raise OSError(28, "No space left on device")
        written = self._file.write(content[: self._left])
        self._left -= written
        return written

    def fileno(self) -> int:
        return self._file.fileno()

    def close(self) -> None:
        self._file.close()


@pytest.mark.parametrize("left", [0, 1, 20])
def test_a_full_disk_is_one_error_and_what_is_finished_stays(path: Path, left: int) -> None:
    with pytest.raises(DataError, match=r"scores\.journal: cannot be written \(No space left on device\)"):
        with Journal(path, IDENTITY) as journal:
            journal._file.close()
            journal._file = FullFile(path, left)  # type: ignore[assignment]
            journal.append({"token": "new"})
    assert reopen(path).entries == ENTRIES


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_at_the_start(tmp_path: Path) -> None:
    os.symlink("/dev/full", tmp_path / "full.journal")
    with pytest.raises(DataError, match="No space left on device"):
        Journal(tmp_path / "full.journal", IDENTITY)


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "scores.journal").mkdir()
    with pytest.raises(DataError, match=r"scores\.journal: cannot be opened \(Is a directory\)"):
        Journal(tmp_path / "scores.journal", IDENTITY)


def test_reading_does_not_change_the_file(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"torn")
    content = read_lines(path)
    assert len(content.entries) == 1 + len(ENTRIES)
    assert path.read_bytes().endswith(b"torn") and content.intact_bytes == path.stat().st_size - 4
