"""Which synthetic scenes go on where which scenes of the first stage end: `reactive_all_mapping` of NAVSIM v2.2."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Tuple

from latentvla_agent.errors import DataError

KEY = "reactive_all_mapping"


@dataclass(frozen=True)
class TwoStageGroup:
    """A scene, the one half a second before it, and pairs of synthetic scenes (later, half a second earlier) that go
    on where these two end."""

    token: str
    previous: str
    second_stage: Tuple[Tuple[str, str], ...]


def read_mapping(path: Path, value: Any) -> Tuple[TwoStageGroup, ...]:
    """Groups of `[token, previous token, [[synthetic token, previous synthetic token], …]]`, None for none.

    Raises `DataError` naming `path`, the group, what was expected and what came.
    """
    return tuple(_read_group(path, f"{KEY}[{k}]", entry) for k, entry in enumerate(_expect_list(path, KEY, value)))


def _read_group(path: Path, key: str, entry: Any) -> TwoStageGroup:
    if not isinstance(entry, list) or len(entry) != 3:
        raise DataError(f"{path}: {key}: expected a token, the one before it, and pairs, got {str(entry)[:80]}")
    token, previous = _read_pair(path, key, entry[:2])
    return TwoStageGroup(
        token, previous, tuple(_read_pair(path, key, pair) for pair in _expect_list(path, key, entry[2]))
    )


def _read_pair(path: Path, key: str, pair: Any) -> Tuple[str, str]:
    if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(token, str) and token for token in pair):
        raise DataError(f"{path}: {key}: expected a pair of texts (in YAML, quote them), got {str(pair)[:80]}")
    return pair[0], pair[1]


def _expect_list(path: Path, key: str, value: Any) -> List[Any]:
    if value is not None and not isinstance(value, list):
        raise DataError(f"{path}: {key}: expected a list, got {type(value).__name__}")
    return list(value or [])
