"""Logs that we write: read back equal, the same bytes everywhere, and nothing written that could not be read."""

from __future__ import annotations

import copy
import hashlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from latentvla_agent.data.calibration import camera_rig, describe_cameras, lidar_path
from latentvla_agent.data.log_writer import write_log
from latentvla_agent.data.logs import LogFrame, read_log
from latentvla_agent.data.pickle_writer import dump_pickle
from latentvla_agent.data.pickles import load_pickle
from latentvla_agent.errors import DataError
from tests.data.log_factory import make_frame


def make_frames(number: int = 5) -> List[LogFrame]:
    """Frames with all cameras, and with what the embedded world adds."""
    frames = [make_frame(index) for index in range(number)]
    for frame in frames:
        frame["cams"] = describe_cameras(camera_rig(480, 270), frame["log_name"], frame["token"])
        frame["lidar_path"] = lidar_path(frame["log_name"], frame["token"])
        frame["world"] = {"town": "t", "seed": 3, "sun": [0.5, 1.0], "braking": [True, False], "phases": [["7", "r"]]}
    return frames


def assert_same(found: Any, expected: Any) -> None:
    """Equal in value and in type, arrays in dtype and shape too."""
    assert type(found) is type(expected)
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for one, other in zip(found, expected):
            assert_same(one, other)
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and np.array_equal(found, expected)
    else:
        assert found == expected


def test_our_reader_and_plain_pickle_read_what_was_written(tmp_path: Path) -> None:
    frames = make_frames()
    write_log(tmp_path / "log.pkl", frames)
    assert_same(read_log(tmp_path / "log.pkl"), frames)
    assert_same(pickle.loads((tmp_path / "log.pkl").read_bytes()), frames)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((0, 7), np.float32),
        np.array(3.5),
        np.arange(6, dtype=">i4").reshape(2, 3).T,
        np.array(["a", "längeres"]),
        np.array([True, False]),
        np.arange(12.0).reshape(3, 4)[:, ::2],
    ],
)
def test_arrays_of_every_shape(array: Any) -> None:
    content = dump_pickle([array])
    for (found,) in (load_pickle(Path("x"), content), pickle.loads(content)):  # type: ignore[misc, attr-defined]
        assert found.shape == array.shape and found.dtype == array.dtype.newbyteorder("<")
        assert np.array_equal(found, array) and found.flags.writeable


def test_no_name_of_numpy_2_is_in_the_file() -> None:
    assert b"_core" not in dump_pickle(make_frames())


def test_the_bytes_depend_on_the_content_alone(tmp_path: Path) -> None:
    frames = make_frames()
    shared = frames[0]["anns"]["gt_boxes"]
    others = copy.deepcopy(frames)
    for frame in frames:
        frame["anns"]["gt_boxes"] = shared  # one object, where the others have equal ones
    for frame in others:
        frame["token"] = "".join(list(frame["token"]))
        frame["timestamp"] = np.int64(frame["timestamp"])
    assert dump_pickle(frames) == dump_pickle(others)


WRITER = """
import hashlib, sys
from latentvla_agent.data.pickle_writer import dump_pickle
from tests.data.test_log_writer import make_frames
print(hashlib.sha256(dump_pickle(make_frames())).hexdigest())
"""


def test_another_process_writes_the_same_bytes() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WRITER], cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True
    )
    assert run.stdout.strip() == hashlib.sha256(dump_pickle(make_frames())).hexdigest()


def test_matrices_of_the_cameras_are_stored_once() -> None:
    one, many = len(dump_pickle(make_frames(1))), len(dump_pickle(make_frames(21)))
    assert (many - one) / 20 < 2500


def test_nothing_is_written_that_could_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "log.pkl"
    for key, value, message in (
        ("token", "", "log.pkl: frame 1: token: expected a text, got str"),
        ("world", {"sun": object()}, r"log.pkl: frame \[1\].world.sun: expected plain containers"),
        ("world", {(1, 2): 3}, r"log.pkl: frame \[1\].world: expected keys of text or whole numbers, got tuple"),
        ("can_bus", np.array([object()]), r"log.pkl: frame \[1\].can_bus: expected plain containers"),
        ("seen", {1, 2}, "expected plain containers"),
    ):
        frames = make_frames(2)
        frames[1][key] = value
        with pytest.raises(DataError, match=message):
            write_log(path, frames)
    assert list(tmp_path.iterdir()) == []
