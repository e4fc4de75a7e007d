"""Files of trajectories: what they may hold, and what is refused with file, entry and reason."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.trajectory_file import group_by_token, read_trajectories

POSES = [[float(i), 0, 0.1] for i in range(8)]
ENTRY = {"token": "t", "name": "n", "poses": POSES}


def write(folder: Path, content: Any, name: str = "plans.json") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_entries_in_order(tmp_path: Path, packed: bool) -> None:
    sampled = {"token": "s", "name": "m", "poses": POSES[:4], "sampling": {"num_poses": 4, "interval": 1}}
    content = json.dumps([ENTRY, sampled, ENTRY]).encode()
    path = write(
        tmp_path, gzip.compress(content, mtime=0) if packed else content, "plans.json.gz" if packed else "plans.json"
    )
    entries = read_trajectories(path)
    assert [(entry.token, entry.name) for entry in entries] == [("t", "n"), ("s", "m"), ("t", "n")]
    np.testing.assert_array_equal(entries[0].trajectory.poses, np.array(POSES))
    assert entries[0].trajectory.poses.dtype == np.float64
    assert entries[0].trajectory.trajectory_sampling.interval_length == 0.5
    assert entries[1].trajectory.trajectory_sampling.interval_length == 1.0
    assert {token: [place for place, _ in group] for token, group in group_by_token(entries).items()} == {
        "t": [0, 2],
        "s": [1],
    }


@pytest.mark.parametrize(
    "content, name, reason",
    [
        (b"{", "plans.json", "not a JSON file"),
        (b"\xff\xfe\x00", "plans.json", "not a JSON file"),
        (b"[" * 100_000, "plans.json", "not a JSON file"),
        (b"[]", "plans.json", "expected at least one trajectory, got an empty list"),
        (b"", "plans.json", "not a JSON file"),
        ({"token": "t"}, "plans.json", "expected a JSON list of trajectories, got dict"),
        ([ENTRY], "plans.json.gz", "not readable .Not a gzipped file"),
        (gzip.compress(b"[" * 1000, mtime=0)[:-9], "plans.json.gz", "not a JSON file"),
        (gzip.compress(b"[]", mtime=0)[:12] + b"\xff" * 20, "plans.json.gz", "not a JSON file|not readable"),
    ],
)
def test_broken_files(tmp_path: Path, content: Any, name: str, reason: str) -> None:
    path = write(tmp_path, content, name)
    with pytest.raises(DataError, match=reason) as error:
        read_trajectories(path)
    assert str(error.value).startswith(f"{path}: ")


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="missing.json: not readable .No such file"):
        read_trajectories(tmp_path / "missing.json")
    with pytest.raises(DataError, match="not readable .Is a directory"):
        read_trajectories(tmp_path)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"token": None}, "expected token and name as text"),
        ({"token": 7}, "expected token and name as text"),
        ({"name": None}, "expected token and name as text"),
        ({"poses": None}, "numbers"),
        ({"poses": "abc"}, "numbers"),
        ({"poses": []}, r"expected poses of shape \(8, 3\), got \(0,\)"),
        ({"poses": POSES[:7]}, r"expected poses of shape \(8, 3\), got \(7, 3\)"),
        ({"poses": [row[:2] for row in POSES]}, r"got \(8, 2\)"),
        ({"poses": [POSES]}, r"got \(1, 8, 3\)"),
        ({"poses": POSES[:7] + [[1, 2]]}, "rows of different lengths|numbers"),
        ({"poses": POSES[:7] + [[1, 2, "3"]]}, "of numbers"),
        ({"poses": [["1", "2", "3"]] * 8}, "of numbers"),
        ({"poses": POSES[:7] + [[1, 2, None]]}, "of numbers"),
        ({"poses": [[True, False, True]] * 8}, "of numbers"),
        ({"poses": POSES[:7] + [[1, 2, 10**400]]}, "of numbers"),
        ({"poses": POSES[:7] + [[1, 2, float("nan")]]}, "not finite"),
        ({"poses": POSES[:7] + [[1, 2, float("inf")]]}, "not finite"),
        ({"sampling": 8}, "expected a sampling"),
        ({"sampling": {"horizon": 4}}, "expected a sampling"),
        ({"sampling": {"num_poses": 8.0}}, "expected a sampling"),
        ({"sampling": {"interval": "0.5"}}, "expected a sampling"),
        ({"sampling": {"interval": float("inf")}}, "expected a sampling"),
        ({"sampling": {"interval": -0.5}}, "interval >= 0.001 s"),
        ({"sampling": {"num_poses": 0}}, "num_poses >= 1"),
        ({"sampling": {"num_poses": 40}}, r"expected poses of shape \(40, 3\)"),
    ],
)
def test_broken_entries_are_numbered(tmp_path: Path, change: Any, reason: str) -> None:
    path = write(tmp_path, [ENTRY, {**ENTRY, **change}])
    with pytest.raises(DataError, match=reason) as error:
        read_trajectories(path)
    assert str(error.value).startswith(f"{path}: entry 1")


def test_an_entry_that_is_no_object(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="entry 1: expected an object, got list"):
        read_trajectories(write(tmp_path, [ENTRY, POSES]))
