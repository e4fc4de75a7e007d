"""Checks of what a file holds, with what was expected and what came in words."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any, Callable, Dict, Optional, Tuple

import numpy as np

OBJECT_NAMES = ("vehicle", "pedestrian", "bicycle", "traffic_cone", "barrier", "czone_sign", "generic_object")

Check = Tuple[str, Callable[[Any], bool]]  # what is expected, in words, and whether a value is that


def find_problem(values: Dict[str, Any], checks: Dict[str, Check], prefix: str = "") -> Optional[str]:
    """In words, the first value that is missing or not as its check expects; None if all are right."""
    for key, (expected, is_valid) in checks.items():
        if key not in values:
            return f"{prefix}{key}: expected {expected}, got no such key"
        if not is_valid(values[key]):
            return f"{prefix}{key}: expected {expected}, got {describe(values[key])}"
    return None


def find_row_problem(table: Dict[str, Any], checks: Dict[str, Check], prefix: str = "") -> Optional[str]:
    """As `find_problem`, for the columns of a table, which must be of one length."""
    problem = find_problem(table, checks, prefix)
    if problem is not None:
        return problem
    first, *others = checks
    for key in others:
        if len(table[key]) != len(table[first]):
            return f"{prefix}{key}: expected {len(table[first])} entries as in {first}, got {len(table[key])}"
    return None


def describe(value: Any) -> str:
    """A short name of what came, for the end of an error message."""
    if isinstance(value, np.ndarray):
        broken = "" if is_finite(value) else ", not finite"
        return f"an array of shape {value.shape}, {value.dtype}{broken}"
    text = " ".join(repr(value).split()) if isinstance(value, (str, int, float, bool, list, tuple)) else ""
    return f"{type(value).__name__} {text[:60]}".rstrip()


def is_finite(value: Any) -> bool:
    """Whether a list or an array holds plain, finite numbers only."""
    try:
        numbers = np.asarray(value)
    except ValueError:  # rows of different lengths
        return False
    return numbers.size == 0 or (numbers.dtype.kind in "iuf" and bool(np.isfinite(numbers).all()))


def is_vector(length: int) -> Callable[[Any], bool]:
    """A check for `length` finite numbers."""
    return lambda value: is_finite(value) and np.shape(value) == (length,)


def is_translation(value: Any) -> bool:
    """Whether a value is x, y and maybe z."""
    return is_finite(value) and np.ndim(value) == 1 and len(value) >= 2


def is_rotation(value: Any) -> bool:
    """Whether a value is a quaternion that is not all zero."""
    return is_vector(4)(value) and bool(np.any(value))


def is_table(width: int) -> Callable[[Any], bool]:
    """Finite numbers of shape (N, width); an empty table may have shape (0,)."""
    return lambda value: is_finite(value) and (np.shape(value) == (0,) or np.shape(value)[1:] == (width,))


def find_path_problem(value: Any) -> Optional[str]:
    """In words, why a value is no relative path that stays in its folder; None for one that is."""
    path = PurePosixPath(value) if isinstance(value, (str, PurePosixPath)) and str(value) not in ("", ".") else None
    if path is None:
        return f"expected a path, got {describe(value)}"
    if path.is_absolute() or ".." in path.parts or any(letter in str(path) for letter in "\\:\0"):
        return f"expected a path that stays in the folder of sensor files, got {str(path)[:80]!r}"
    return None


def is_text(value: Any) -> bool:
    """Whether a value is a text that is not empty."""
    return isinstance(value, str) and value != ""


def is_optional_text(value: Any) -> bool:
    """Whether a value is None or a text that is not empty."""
    return value is None or is_text(value)


def is_count(value: Any) -> bool:
    """Whether a value is a plain whole number of at least 0."""
    return is_timestamp(value) and value >= 0


def is_timestamp(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def is_sequence(value: Any) -> bool:
    """Whether a value is a list, a tuple or an array of one dimension."""
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim == 1)


def holds_ids(value: Any) -> bool:
    """Whether a value is a list of texts or whole numbers."""
    return is_sequence(value) and all(isinstance(item, (str, int, np.integer)) for item in value)


def holds_texts(value: Any) -> bool:
    """Whether a value is a list of texts."""
    return is_sequence(value) and all(isinstance(item, str) for item in value)


def holds_object_names(value: Any) -> bool:
    """Whether a value is a list of the object names that NAVSIM knows."""
    return is_sequence(value) and all(isinstance(item, str) and item in OBJECT_NAMES for item in value)


def holds_traffic_lights(value: Any) -> bool:
    """Whether a value is a list of (lane connector id, is red)."""
    return is_sequence(value) and all(
        is_sequence(light) and len(light) == 2 and isinstance(light[1], (bool, int, np.bool_, np.integer))
        for light in value
    )
