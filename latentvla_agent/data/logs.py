"""Reads OpenScene logs: a pickle of one dict per 2 Hz frame, checked completely before anything uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, cast

from latentvla_agent.data.checks import (
    OBJECT_NAMES,
    Check,
    describe,
    find_problem,
    find_row_problem,
    holds_ids,
    holds_object_names,
    holds_texts,
    holds_traffic_lights,
    is_rotation,
    is_table,
    is_text,
    is_timestamp,
    is_translation,
    is_vector,
)
from latentvla_agent.data.pickles import read_pickle
from latentvla_agent.errors import DataError

LogFrame = Dict[str, Any]


def list_logs(folder: Path) -> List[Path]:
    """All log files (`*.pkl`) directly in the folder, sorted by name; raises `DataError` where there are none."""
    if not folder.is_dir():
        raise DataError(f"{folder}: expected a folder of log pickles, got {'a file' if folder.exists() else 'nothing'}")
    logs = sorted((path for path in folder.glob("*.pkl") if path.is_file()), key=lambda path: path.name)
    if not logs:
        raise DataError(f"{folder}: expected log pickles (*.pkl), got none")
    return logs


def read_log(path: Path) -> List[LogFrame]:
    """Frames of one log in time order, with the keys and shapes of docs/navsim-facts; further keys are kept unread.

    Raises `DataError` naming file, frame, key, expected and got, or `UnsafePickleError`.
    """
    frames = read_pickle(path)
    check_frames(path, frames)
    return cast(List[LogFrame], frames)


def check_frames(path: Path, frames: object) -> None:
    """Raise `DataError` for the first thing in the frames of the log `path` that is not as `read_log` promises."""
    if not isinstance(frames, list):
        raise DataError(f"{path}: expected a list of frames, got {describe(frames)}")
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise DataError(f"{path}: frame {index}: expected a dict, got {describe(frame)}")
        problem = find_problem(frame, _FRAME_CHECKS) or find_row_problem(frame["anns"], _ANNOTATION_CHECKS, "anns.")
        if problem is not None:
            raise DataError(f"{path}: frame {index}: {problem}")


_FRAME_CHECKS: Dict[str, Check] = {
    "token": ("a text", is_text),
    "timestamp": ("an integer (microseconds)", is_timestamp),
    "log_name": ("a text", is_text),
    "scene_token": ("a text", is_text),
    "map_location": ("a text", is_text),
    "roadblock_ids": ("a list of ids", holds_ids),
    "ego2global_translation": ("finite numbers x, y(, z)", is_translation),
    "ego2global_rotation": ("a quaternion of 4 finite numbers, not all zero", is_rotation),
    "ego_dynamic_state": ("4 finite numbers vx, vy, ax, ay", is_vector(4)),
    "driving_command": ("4 finite numbers, one-hot", is_vector(4)),
    "traffic_lights": ("a list of (lane connector id, is red)", holds_traffic_lights),
    "anns": ("a dict", lambda value: isinstance(value, dict)),
}

_ANNOTATION_CHECKS: Dict[str, Check] = {
    "gt_boxes": ("finite numbers of shape (N, 7)", is_table(7)),
    "gt_names": (f"names among {', '.join(OBJECT_NAMES)}", holds_object_names),
    "gt_velocity_3d": ("finite numbers of shape (N, 3)", is_table(3)),
    "instance_tokens": ("a list of texts", holds_texts),
    "track_tokens": ("a list of texts", holds_texts),
}
