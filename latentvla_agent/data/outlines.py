"""What finding the scenes of a split needs of a log, kept beside the metric caches: a log is read for it only once.

Reading the 147 logs of navtest takes minutes, and a run that is resumed would read them again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Dict, List, Optional

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.logs import LogFrame, read_log

VERSION = 1
FRAME_KEYS = ("token", "timestamp", "log_name", "map_location")


class OutlineStore:
    """Outlines of logs in a folder, keyed by path, size and time of change. Nothing is written before `save`."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._new: Dict[Path, bytes] = {}

    def read(self, path: Path) -> List[LogFrame]:
        """Frames with `FRAME_KEYS` and `roadblock_ids` (at most one of them), kept or read from the log; raises
        `DataError` as `read_log` does."""
        status = path.stat()
        stamp = [VERSION, status.st_size, status.st_mtime_ns]
        kept = self._folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]}.json"
        outline = _read_kept(kept, stamp)
        if outline is None:
            outline = [_outline_frame(frame) for frame in read_log(path)]
            self._new[kept] = json.dumps({"stamp": stamp, "frames": outline}).encode()
        return outline

    def save(self) -> None:
        """Keep what was read. A disk that takes none of it costs time in the next run, not this run."""
        try:
            for path, content in self._new.items():
                write_atomically(path, content, durable=False)
        except OSError:
            pass
        self._new = {}


def _outline_frame(frame: LogFrame) -> LogFrame:
    outline = {key: frame[key] for key in FRAME_KEYS}
    outline["timestamp"] = int(frame["timestamp"])
    outline["roadblock_ids"] = [str(id_) for id_ in frame["roadblock_ids"]][:1]
    return outline


def _read_kept(path: Path, stamp: List[int]) -> Optional[List[LogFrame]]:
    """The kept outline, or None where there is none, or one of an earlier state of the log, or a broken one."""
    try:
        content = json.loads(path.read_text())
        frames: List[LogFrame] = content["frames"]
        return frames if content["stamp"] == stamp else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
