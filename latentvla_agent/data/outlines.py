"""What finding the scenes of a split needs of its files, kept beside the metric caches: each is read for it only once.

Reading the 147 logs of navtest takes minutes, and a run that is resumed would read them again.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.logs import LogFrame, read_log
from latentvla_agent.data.synthetic_scenes import read_synthetic_scene

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
        return self._read(path, _outline_log)

    def read_synthetic(self, path: Path) -> Dict[str, Any]:
        """What `outline_synthetic_scene` gives, kept or read from the scene."""
        return self._read(path, lambda scene: [outline_synthetic_scene(scene)])[0]

    def _read(self, path: Path, make: Callable[[Path], List[LogFrame]]) -> List[LogFrame]:
        status = path.stat()
        stamp = [VERSION, status.st_size, status.st_mtime_ns]
        kept = self._folder / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:24]}.json"
        outline = _read_kept(kept, stamp)
        if outline is None:
            outline = make(path)
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


def outline_synthetic_scene(path: Path) -> Dict[str, Any]:
    """`token`, `log_name`, `map_name` and `original` of a scene; raises `DataError` as `read_synthetic_scene` does."""
    metadata = read_synthetic_scene(path).scene_metadata
    return {
        "token": metadata.initial_token,
        "log_name": metadata.log_name,
        "map_name": metadata.map_name,
        "original": metadata.corresponding_original_scene,
    }


def _outline_log(path: Path) -> List[LogFrame]:
    return [_outline_frame(frame) for frame in read_log(path)]


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
