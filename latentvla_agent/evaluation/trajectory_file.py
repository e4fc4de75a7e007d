"""Files of trajectories to be scored: a JSON list of {token, name, poses, sampling?}, plain or gzipped."""

from __future__ import annotations

import gzip
import json
import math
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

from latentvla_agent.data.scene import FloatArray, Trajectory, TrajectorySampling
from latentvla_agent.errors import DataError, TrajectoryError


@dataclass(frozen=True)
class NamedTrajectory:
    """One entry of the file."""

    token: str
    name: str
    trajectory: Trajectory


def read_trajectories(path: Path) -> List[NamedTrajectory]:
    """All entries, in order; raises `DataError` naming file, entry and reason before anything is scored."""
    entries = _read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path}: expected a JSON list of trajectories, got {type(entries).__name__}")
    if not entries:
        raise DataError(f"{path}: expected at least one trajectory, got an empty list")
    return [_parse_entry(f"{path}: entry {number}", entry) for number, entry in enumerate(entries)]


def _read_json(path: Path) -> Any:
    try:
        content = path.read_bytes()
        return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)
    except OSError as error:
        raise DataError(f"{path}: not readable ({error.strerror or error})") from error
    except (ValueError, EOFError, RecursionError, zlib.error) as error:
        raise DataError(f"{path}: not a JSON file ({error})") from error


def _parse_entry(place: str, entry: Any) -> NamedTrajectory:
    if not isinstance(entry, dict):
        raise DataError(f"{place}: expected an object, got {type(entry).__name__}")
    token, name = entry.get("token"), entry.get("name")
    if not isinstance(token, str) or not isinstance(name, str):
        raise DataError(f"{place}: expected token and name as text, got {token!r} and {name!r}")
    try:
        trajectory = Trajectory(_parse_poses(entry.get("poses")), _parse_sampling(entry.get("sampling")))
    except TrajectoryError as error:
        raise DataError(f"{place} ({token}, {name}): {error}") from error
    return NamedTrajectory(token, name, trajectory)


def _parse_poses(poses: Any) -> FloatArray:
    """The list as an array; numbers written as text, null and rows of different lengths are refused."""
    try:
        array = np.asarray(poses)
    except ValueError as error:
        raise TrajectoryError("expected poses [[x, y, heading], ...], got rows of different lengths") from error
    if array.dtype.kind not in "iuf":
        raise TrajectoryError("expected poses [[x, y, heading], ...] of numbers, got something else among them")
    return array.astype(np.float64)


def _parse_sampling(sampling: Any) -> TrajectorySampling:
    if sampling is None:
        return TrajectorySampling()
    if not isinstance(sampling, dict) or not set(sampling) <= {"num_poses", "interval"}:
        raise TrajectoryError(f"expected a sampling {{num_poses, interval}}, got {sampling!r}")
    num_poses, interval = sampling.get("num_poses", 8), sampling.get("interval", 0.5)
    if not isinstance(num_poses, int) or not isinstance(interval, (int, float)) or not math.isfinite(interval):
        raise TrajectoryError(f"expected a sampling {{num_poses, interval}}, got {sampling!r}")
    return TrajectorySampling(num_poses, float(interval))


def group_by_token(entries: List[NamedTrajectory]) -> Dict[str, List[Tuple[int, NamedTrajectory]]]:
    """Entries of each scene with their place in the file."""
    groups: Dict[str, List[Tuple[int, NamedTrajectory]]] = {}
    for place, entry in enumerate(entries):
        groups.setdefault(entry.token, []).append((place, entry))
    return groups
