"""What a log must hold, and what the error says where it does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict, List

import numpy as np
import pytest

from latentvla_agent.data.logs import list_logs, read_log
from latentvla_agent.data.scene import frame_from_log
from latentvla_agent.errors import DataError, UnsafePickleError
from tests.data.log_factory import SHARED_DATA, make_frame, make_log, write_log

Frame = Dict[str, Any]


def test_a_written_log_comes_back(tmp_path: Path) -> None:
    frames = make_log(tmp_path / "a.pkl", 3)
    loaded = read_log(tmp_path / "a.pkl")
    assert [frame["token"] for frame in loaded] == [frame["token"] for frame in frames]
    assert frame_from_log(loaded[2]).ego_status.ego_pose.tolist() == [1005.0, 2000.0, 0.0]


def test_frames_which_scenes_share_are_read_only(tmp_path: Path) -> None:
    entry = read_log(write_log(tmp_path / "a.pkl", [make_frame(0)]))[0]
    frame = frame_from_log(entry)
    status, annotations = frame.ego_status, frame.annotations
    arrays: List[Any] = [status.ego_pose, status.ego_velocity, status.ego_acceleration, status.driving_command]
    for array in arrays + [annotations.boxes, annotations.velocity_3d]:
        assert array.size > 0
        with pytest.raises(ValueError, match="read-only"):
            array += 1
    assert all(value.flags.writeable for value in entry["anns"].values() if isinstance(value, np.ndarray))


@pytest.mark.parametrize("boxes", [np.zeros((0,)), np.zeros((0, 7), np.float32), []])
@pytest.mark.parametrize("names", [np.array([]), np.array([], dtype="<U1"), []])
def test_a_frame_without_objects_is_fine(tmp_path: Path, boxes: Any, names: Any) -> None:
    frame = make_frame(0, boxes=0)
    frame["anns"].update(gt_boxes=boxes, gt_names=names, gt_velocity_3d=np.zeros((0,)))
    loaded = read_log(write_log(tmp_path / "a.pkl", [frame]))
    assert frame_from_log(loaded[0]).annotations.boxes.shape == (0, 7)


def test_sensors_need_not_be_there(tmp_path: Path) -> None:
    frame = make_frame(0)
    del frame["cams"], frame["lidar_path"]
    assert len(read_log(write_log(tmp_path / "a.pkl", [frame]))) == 1


def set_key(key: str, value: Any) -> Callable[[Frame], None]:
    return lambda frame: frame.update({key: value})


def set_annotation(key: str, value: Any) -> Callable[[Frame], None]:
    return lambda frame: frame["anns"].update({key: value})


BROKEN = [
    ("token: expected a text, got int 3", set_key("token", 3)),
    ("timestamp: expected an integer (microseconds), got float 1.5", set_key("timestamp", 1.5)),
    ("timestamp: expected an integer (microseconds), got bool True", set_key("timestamp", True)),
    ("map_location: expected a text, got NoneType", set_key("map_location", None)),
    ("roadblock_ids: expected a list of ids, got str 'abc'", set_key("roadblock_ids", "abc")),
    ("ego2global_translation: expected finite", set_key("ego2global_translation", np.array([np.nan, 0.0, 0.0]))),
    ("ego2global_translation: expected finite", set_key("ego2global_translation", [1.0])),
    ("ego2global_rotation: expected a quaternion", set_key("ego2global_rotation", [0, 0, 0, 0])),
    ("ego2global_rotation: expected a quaternion", set_key("ego2global_rotation", np.eye(3))),
    ("ego_dynamic_state: expected 4 finite numbers", set_key("ego_dynamic_state", [1.0, 2.0, 3.0])),
    ("ego_dynamic_state: expected 4 finite numbers", set_key("ego_dynamic_state", [1.0, [2.0], 3.0, 4.0])),
    ("driving_command: expected 4 finite numbers", set_key("driving_command", 1)),
    ("traffic_lights: expected a list of", set_key("traffic_lights", [("7", "red")])),
    ("traffic_lights: expected a list of", set_key("traffic_lights", ["71"])),
    ("anns: expected a dict, got list []", set_key("anns", [])),
    ("anns.gt_boxes: expected finite numbers of shape (N, 7)", set_annotation("gt_boxes", np.zeros((2, 9)))),
    ("anns.gt_boxes: expected finite numbers of shape (N, 7)", set_annotation("gt_boxes", 7)),
    ("array of shape (2, 7), float64, not finite", set_annotation("gt_boxes", np.full((2, 7), np.inf))),
    ("anns.gt_names: expected names among vehicle", set_annotation("gt_names", ["vehicle", "dragon"])),
    (
        "anns.gt_velocity_3d: expected 2 entries as in gt_boxes, got 1",
        set_annotation("gt_velocity_3d", np.zeros((1, 3))),
    ),
    ("anns.track_tokens: expected 2 entries as in gt_boxes, got 0", set_annotation("track_tokens", [])),
    ("anns.instance_tokens: expected a list of texts", set_annotation("instance_tokens", [1, 2])),
]


@pytest.mark.parametrize("message, damage", BROKEN)
def test_a_broken_frame_is_named(tmp_path: Path, message: str, damage: Callable[[Frame], None]) -> None:
    frames = [make_frame(0), make_frame(1)]
    damage(frames[1])
    with pytest.raises(DataError) as error:
        read_log(write_log(tmp_path / "a.pkl", frames))
    assert str(error.value).startswith(f"{tmp_path / 'a.pkl'}: frame 1: ")
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("key", [key for key in make_frame(0) if key not in ("cams", "lidar_path")])
def test_a_missing_key_is_named(tmp_path: Path, key: str) -> None:
    frame = make_frame(0)
    del frame[key]
    with pytest.raises(DataError, match=f"a.pkl: frame 0: {key}: expected .*, got no such key"):
        read_log(write_log(tmp_path / "a.pkl", [frame]))


@pytest.mark.parametrize("key", list(make_frame(0)["anns"]))
def test_a_missing_annotation_key_is_named(tmp_path: Path, key: str) -> None:
    frame = make_frame(0)
    del frame["anns"][key]
    with pytest.raises(DataError, match=f"a.pkl: frame 0: anns.{key}: expected .*, got no such key"):
        read_log(write_log(tmp_path / "a.pkl", [frame]))


def test_not_a_list_of_dicts(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a.pkl: expected a list of frames, got dict"):
        read_log(write_log(tmp_path / "a.pkl", {"frames": []}))
    with pytest.raises(DataError, match="a.pkl: frame 0: expected a dict, got str 'x'"):
        read_log(write_log(tmp_path / "a.pkl", ["x"]))


def test_a_hostile_log_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafePickleError, match="a.pkl.*pathlib"):
        read_log(write_log(tmp_path / "a.pkl", [Path("x")]))


def test_logs_are_listed_by_name(tmp_path: Path) -> None:
    for name in ("b.pkl", "a.pkl", "notes.txt", "c.pkl.tmp"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.pkl").mkdir()
    assert [path.name for path in list_logs(tmp_path)] == ["a.pkl", "b.pkl"]


def test_no_folder_and_no_logs(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="absent: expected a folder of log pickles, got nothing"):
        list_logs(tmp_path / "absent")
    with pytest.raises(DataError, match="expected log pickles"):
        list_logs(tmp_path)


@pytest.mark.parametrize("data", ["golden/dev", "real/dev"])
def test_logs_of_other_writers_are_valid(data: str) -> None:
    folder = SHARED_DATA / data / "navsim_logs" / "dev"
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent")
    for path in list_logs(folder):
        assert len(read_log(path)) >= 14
