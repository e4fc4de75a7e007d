"""Columns of numbers in little room: bytes as base64 text inside JSON, decoded by `page/store.js`.

A column of few different values is one byte per scene and the list of values; any other two bytes, in 1/10,000.
"""

from __future__ import annotations

import base64
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

SCALE = 10_000  # of a score in 0…1: a hundredth of what tables show
MISSING = 0xFFFF  # of two bytes
MAX_LEVELS = 256

Column = Dict[str, Any]


def pack_scores(values: Sequence[Optional[float]]) -> Column:
    """Scores in 0…1, None where there is none, rounded to 1/10,000."""
    rounded = [None if value is None else round(value * SCALE) / SCALE for value in values]
    levels = list_levels(rounded)
    if len(levels) <= MAX_LEVELS:
        return pack_levels(rounded, levels)
    numbers = [MISSING if value is None else int(round(value * SCALE)) for value in rounded]
    return {"data": _encode(np.array(numbers, "<u2")), "scale": SCALE}


def pack_steps(steps: Sequence[Optional[int]]) -> Column:
    """Steps of the scored horizon, None for none."""
    return pack_levels(steps, list_levels(steps))


def pack_indices(indices: Sequence[int]) -> Column:
    """Whole numbers from 0 up to 65,534, such as the number of each scene's log; raises `ValueError` for others."""
    if indices and not 0 <= min(indices) <= max(indices) < MISSING:
        raise ValueError(f"expected numbers from 0 to {MISSING - 1}, got {min(indices)} to {max(indices)}")
    return {"data": _encode(np.array(indices, "<u2")), "scale": 1}


def list_levels(values: Sequence[Any]) -> List[Any]:
    """Different values in order, None last."""
    known = set(values)
    return sorted(value for value in known if value is not None) + ([None] if None in known else [])


def pack_levels(values: Sequence[Any], levels: Sequence[Any]) -> Column:
    """One byte per value: its position among `levels`."""
    positions = {level: position for position, level in enumerate(levels)}
    return {"data": _encode(np.array([positions[value] for value in values], "u1")), "levels": list(levels)}


def pack_members(members: Sequence[int], count: int) -> str:
    """Which of `count` scenes are members, one bit each, the first scene in the lowest bit of the first byte."""
    bits = np.zeros(count, np.uint8)
    bits[list(members)] = 1
    return _encode(np.packbits(bits, bitorder="little"))


def _encode(array: Any) -> str:
    return base64.b64encode(array.tobytes()).decode()
