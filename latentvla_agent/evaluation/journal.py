"""An append-only journal of finished work: one checksummed line per entry, readable after a kill at any moment."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Tuple, Type

from latentvla_agent.errors import DataError

JOURNAL_VERSION = 1


class JournalContent(NamedTuple):
    """Entries in order, the numbers of damaged lines, and how many bytes at the start are intact."""

    entries: List[Dict[str, Any]]
    damaged_lines: List[int]
    intact_bytes: int


def encode_line(entry: Mapping[str, Any]) -> bytes:
    """`<crc32 of the JSON, 8 hex digits> <JSON>\\n`."""
    text = json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def decode_line(line: bytes) -> Optional[Dict[str, Any]]:
    """The entry of a line, or None if the line is damaged."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    entry = json.loads(text)
    return entry if isinstance(entry, dict) else None


def read_lines(path: Path) -> JournalContent:
    """All intact entries; a torn last line (the writer was killed) is left out, damaged lines are numbered."""
    entries: List[Dict[str, Any]] = []
    damaged: List[int] = []
    intact = 0
    for number, line in _complete_lines(path):
        entry = decode_line(line)
        if entry is None:
            damaged.append(number)
        else:
            entries.append(entry)
        intact += len(line)
    return JournalContent(entries, damaged, intact)


def _complete_lines(path: Path) -> Iterator[Tuple[int, bytes]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n"):
                yield number, line


class Journal:
    """Entries of one run. `identity` (a flat mapping) is the first line: a journal of another run is refused."""

    def __init__(self, path: Path, identity: Mapping[str, Any]):
        self.path = path
        self.entries: List[Dict[str, Any]] = []
        self.damaged_lines: List[int] = []
        header = {"journal": JOURNAL_VERSION, **identity}
        try:
            if path.exists() and path.stat().st_size > 0:
                self._resume(header)
            self._file = path.open("ab", buffering=0)
        except OSError as error:
            raise DataError(f"{path}: cannot be opened ({error.strerror})") from error
        if self._file.tell() == 0:
            self._write(header)

    def _resume(self, header: Mapping[str, Any]) -> None:
        content = read_lines(self.path)
        if not content.entries and not content.damaged_lines:
            content = JournalContent([dict(header)], [], 0)  # killed while the first line was written: start anew
        found = content.entries[0] if content.entries else {}
        if 1 in content.damaged_lines:
            raise DataError(f"{self.path}: line 1, which says whose journal this is, is damaged; move the folder away")
        if found.get("journal") != JOURNAL_VERSION:
            raise DataError(
                f"{self.path}: expected a journal of version {JOURNAL_VERSION}, got {found.get('journal')}; "
                "choose another --out or move the folder away"
            )
        differing = sorted(key for key in {*header, *found} if header.get(key) != found.get(key))
        if differing:
            raise DataError(
                f"{self.path}: belongs to a run with another {', '.join(differing)}; choose another --out "
                "or move the folder away"
            )
        self.entries, self.damaged_lines = content.entries[1:], content.damaged_lines
        with self.path.open("r+b") as file:
            file.truncate(content.intact_bytes)

    def append(self, entry: Mapping[str, Any]) -> None:
        """Add an entry; it survives a kill of this process from the moment this returns."""
        self._write(entry)

    def _write(self, entry: Mapping[str, Any]) -> None:
        line = encode_line(entry)
        try:
            while line:
                line = line[self._file.write(line) :]
        except OSError as error:
            raise DataError(f"{self.path}: cannot be written ({error.strerror}); what is finished is kept") from error

    def close(self) -> None:
        """Bring it to the disk, as far as it takes it, and close."""
        try:
            os.fsync(self._file.fileno())
        except OSError:  # a full disk was reported when the entry was written
            pass
        finally:
            self._file.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        self.close()
