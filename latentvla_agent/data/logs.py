"""Reads OpenScene logs: a pickle of one dict per 2 Hz frame, checked completely before anything uses it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Tuple

import numpy as np

from latentvla_agent.data.pickles import read_pickle
from latentvla_agent.errors import DataError

LogFrame = Dict[str, Any]

OBJECT_NAMES = ("vehicle", "pedestrian", "bicycle", "traffic_cone", "barrier", "czone_sign", "generic_object")


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
    if not isinstance(frames, list):
        raise DataError(f"{path}: expected a list of frames, got {_describe(frames)}")
    for index, frame in enumerate(frames):
        if not isinstance(frame, dict):
            raise DataError(f"{path}: frame {index}: expected a dict, got {_describe(frame)}")
        problem = _find_problem(frame, _FRAME_CHECKS) or _find_annotation_problem(frame["anns"])
        if problem is not None:
            raise DataError(f"{path}: frame {index}: {problem}")
    return frames


Check = Tuple[str, Callable[[Any], bool]]  # what is expected, in words, and whether a value is that


def _find_problem(values: Dict[str, Any], checks: Dict[str, Check], prefix: str = "") -> Optional[str]:
    for key, (expected, is_valid) in checks.items():
        if key not in values:
            return f"{prefix}{key}: expected {expected}, got no such key"
        if not is_valid(values[key]):
            return f"{prefix}{key}: expected {expected}, got {_describe(values[key])}"
    return None


def _find_annotation_problem(anns: Dict[str, Any]) -> Optional[str]:
    problem = _find_problem(anns, _ANNOTATION_CHECKS, "anns.")
    if problem is not None:
        return problem
    count = len(anns["gt_boxes"])
    for key in _ANNOTATION_CHECKS:
        if len(anns[key]) != count:
            return f"anns.{key}: expected {count} entries as in gt_boxes, got {len(anns[key])}"
    return None


def _describe(value: Any) -> str:
    """A short name of what came, for the end of an error message."""
    if isinstance(value, np.ndarray):
        broken = "" if _is_finite(value) else ", not finite"
        return f"an array of shape {value.shape}, {value.dtype}{broken}"
    text = " ".join(repr(value).split()) if isinstance(value, (str, int, float, bool, list, tuple)) else ""
    return f"{type(value).__name__} {text[:60]}".rstrip()


def _is_finite(value: Any) -> bool:
    """Whether a list or an array holds plain, finite numbers only."""
    try:
        numbers = np.asarray(value)
    except ValueError:  # rows of different lengths
        return False
    return numbers.size == 0 or (numbers.dtype.kind in "iuf" and bool(np.isfinite(numbers).all()))


def _is_vector(length: int) -> Callable[[Any], bool]:
    return lambda value: _is_finite(value) and np.shape(value) == (length,)


def _is_translation(value: Any) -> bool:
    return _is_finite(value) and np.ndim(value) == 1 and len(value) >= 2


def _is_rotation(value: Any) -> bool:
    return _is_vector(4)(value) and bool(np.any(value))


def _is_table(width: int) -> Callable[[Any], bool]:
    """Finite numbers of shape (N, width); an empty table may have shape (0,)."""
    return lambda value: _is_finite(value) and (np.shape(value) == (0,) or np.shape(value)[1:] == (width,))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and value != ""


def _is_timestamp(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1)


def _holds_ids(value: Any) -> bool:
    return _is_sequence(value) and all(isinstance(item, (str, int, np.integer)) for item in value)


def _holds_texts(value: Any) -> bool:
    return _is_sequence(value) and all(isinstance(item, str) for item in value)


def _holds_object_names(value: Any) -> bool:
    return _is_sequence(value) and all(isinstance(item, str) and item in OBJECT_NAMES for item in value)


def _holds_traffic_lights(value: Any) -> bool:
    return _is_sequence(value) and all(
        _is_sequence(light) and len(light) == 2 and isinstance(light[1], (bool, int, np.bool_, np.integer))
        for light in value
    )


_FRAME_CHECKS: Dict[str, Check] = {
    "token": ("a text", _is_text),
    "timestamp": ("an integer (microseconds)", _is_timestamp),
    "log_name": ("a text", _is_text),
    "scene_token": ("a text", _is_text),
    "map_location": ("a text", _is_text),
    "roadblock_ids": ("a list of ids", _holds_ids),
    "ego2global_translation": ("finite numbers x, y(, z)", _is_translation),
    "ego2global_rotation": ("a quaternion of 4 finite numbers, not all zero", _is_rotation),
    "ego_dynamic_state": ("4 finite numbers vx, vy, ax, ay", _is_vector(4)),
    "driving_command": ("4 finite numbers, one-hot", _is_vector(4)),
    "traffic_lights": ("a list of (lane connector id, is red)", _holds_traffic_lights),
    "anns": ("a dict", lambda value: isinstance(value, dict)),
}

_ANNOTATION_CHECKS: Dict[str, Check] = {
    "gt_boxes": ("finite numbers of shape (N, 7)", _is_table(7)),
    "gt_names": (f"names among {', '.join(OBJECT_NAMES)}", _holds_object_names),
    "gt_velocity_3d": ("finite numbers of shape (N, 3)", _is_table(3)),
    "instance_tokens": ("a list of texts", _holds_texts),
    "track_tokens": ("a list of texts", _holds_texts),
}
