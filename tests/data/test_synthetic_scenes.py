"""Synthetic scenes as our types: the same content, nothing executed, every broken file named in one line."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path, PosixPath
from typing import Any, Callable, Dict

import numpy as np
import pytest

from latentvla_agent.data.scene import to_local_frame
from latentvla_agent.data.synthetic_scenes import list_synthetic_scenes, read_synthetic_scene
from latentvla_agent.errors import DataError, UnsafePickleError
from tests.data.test_pickles import Call
from tests.data.two_stage_pickles import names_of, save_with_stand_ins
from tests.data.two_stage_set import SyntheticDescription, TwoStageSet

Content = Dict[str, Any]


@pytest.fixture
def content(two_stage_set: TwoStageSet) -> Content:
    """The plain part of a scene, to be broken."""
    return copy.deepcopy(two_stage_set.descriptions[0].content)


def write(folder: Path, content: object) -> Path:
    path = folder / "scene.pkl"
    path.write_bytes(pickle.dumps(content, pickle.HIGHEST_PROTOCOL))
    return path


def test_every_scene_is_what_was_described(two_stage_set: TwoStageSet) -> None:
    paths = list_synthetic_scenes(two_stage_set.scenes)
    assert [path.stem for path in paths] == sorted(description.token for description in two_stage_set.descriptions)
    for description in two_stage_set.descriptions:
        scene = read_synthetic_scene(two_stage_set.scenes / f"{description.token}.pkl")
        assert vars(scene.scene_metadata) == description.content["scene_metadata"]
        assert len(scene.token) == 17 and scene.current_frame.token == scene.token
        for frame, expected in zip(scene.frames, description.content["frames"]):
            assert_frame(frame, expected)


def assert_frame(frame: Any, expected: Content) -> None:
    assert (frame.token, frame.timestamp) == (expected["token"], expected["timestamp"])
    assert frame.roadblock_ids == expected["roadblock_ids"]
    assert frame.traffic_lights == [(str(id_), is_red) for id_, is_red in expected["traffic_lights"]]
    for key, value in expected["annotations"].items():
        np.testing.assert_array_equal(getattr(frame.annotations, key), value)
    for key, value in expected["ego_status"].items():
        np.testing.assert_array_equal(getattr(frame.ego_status, key), value)
        assert np.asarray(getattr(frame.ego_status, key)).dtype == np.asarray(value).dtype
    assert frame.sensors["lidar_path"] is None
    assert frame.sensors["cams"]["cam_f0"]["data_path"] == expected["camera_dict"]["cam_f0"]["data_path"]


def test_agent_input_has_the_history_seen_from_the_present(two_stage_set: TwoStageSet) -> None:
    scene = read_synthetic_scene(list_synthetic_scenes(two_stage_set.scenes)[0])
    statuses = scene.get_agent_input().ego_statuses
    poses = np.array([status.ego_pose for status in statuses])
    assert poses.dtype == np.float64 and len(poses) == 4 and (poses[-1] == 0.0).all()
    expected = to_local_frame(scene.global_ego_poses(), scene.current_frame.ego_status.ego_pose)
    np.testing.assert_allclose(poses, expected, rtol=0.0, atol=1e-9)
    assert not any(status.in_global_frame for status in statuses)


def test_there_is_no_human_future(two_stage_set: TwoStageSet) -> None:
    scene = read_synthetic_scene(list_synthetic_scenes(two_stage_set.scenes)[0])
    with pytest.raises(DataError, match=f"scene {scene.token}: expected 8 future frames of the human, got 0"):
        scene.get_future_trajectory(8)


def test_the_pickles_ask_for_classes_of_nuplan(two_stage_set: TwoStageSet) -> None:
    names = {name for path in two_stage_set.scenes.iterdir() for name in names_of(path.read_bytes())}
    assert ("nuplan.common.actor_state.agent", "Agent") in names
    assert ("nuplan.common.maps.maps_datatypes", "TrafficLightStatuses") in names


def test_later_frames_are_more_than_the_official_scorer_needs(two_stage_set: TwoStageSet) -> None:
    assert all(len(description.later) >= 8 for description in two_stage_set.descriptions)
    assert sum(len(frame.users) for description in two_stage_set.descriptions for frame in description.later) > 1000


def test_what_follows_is_not_needed_to_plan(tmp_path: Path, content: Content) -> None:
    assert len(read_synthetic_scene(write(tmp_path, content)).frames) == 4


def test_path_objects_are_paths(tmp_path: Path, content: Content) -> None:
    content["frames"][3]["lidar_path"] = PosixPath("a/b.pcd")
    content["frames"][3]["camera_dict"]["cam_f0"] = {"data_path": PosixPath("a/c.jpg")}
    content["frames"][3]["camera_dict"]["cam_l0"] = {}
    content["frames"][2]["lidar_path"] = ""
    scene = read_synthetic_scene(write(tmp_path, content))
    sensors = scene.current_frame.sensors
    assert sensors["lidar_path"] == "a/b.pcd" and scene.frames[2].sensors["lidar_path"] is None
    assert sensors["cams"]["cam_f0"]["data_path"] == "a/c.jpg" and sensors["cams"]["cam_l0"] == {}


@pytest.mark.parametrize("path", ["../up.jpg", "/etc/passwd", "a/../../b", "C:\\x", "a\\..\\b", PosixPath("/etc")])
def test_no_sensor_path_leaves_its_root(tmp_path: Path, content: Content, path: Any) -> None:
    content["frames"][1]["camera_dict"]["cam_f0"]["data_path"] = path
    with pytest.raises(
        DataError, match=r"scene\.pkl: frame 1: camera_dict\.cam_f0\.data_path: expected a path that st"
    ):
        read_synthetic_scene(write(tmp_path, content))
    content["frames"][0]["lidar_path"] = path
    with pytest.raises(DataError, match=r"scene\.pkl: frame 0: lidar_path: expected a path that stays"):
        read_synthetic_scene(write(tmp_path, content))


Break = Callable[[Content], Any]
BREAKS: Dict[str, Break] = {
    "expected the dict of a synthetic scene, got list": lambda content: [content],
    "scene_metadata: expected a dict, got no such key": lambda content: content.pop("scene_metadata") and None,
    "scene_metadata.initial_token: expected a text": lambda content: content["scene_metadata"].update(initial_token=3),
    "scene_metadata.initial_token: expected the current frame's": lambda content: content["scene_metadata"].update(
        initial_token="0" * 17
    ),
    "scene_metadata.num_history_frames: expected a whole": lambda content: content["scene_metadata"].update(
        num_history_frames=0
    ),
    "frames: expected a list": lambda content: content.update(frames=None),
    "frames: expected at least 4 .num_history_frames., got 3": lambda content: content["frames"].pop(),
    "frame 2: expected a dict": lambda content: content["frames"].__setitem__(2, []),
    "frame 2: timestamp: expected": lambda content: content["frames"][2].update(timestamp=1.5),
    "frame 0: ego_status.ego_pose: expected 3 finite": lambda content: content["frames"][0]["ego_status"].update(
        ego_pose=np.array([0.0, np.nan, 0.0])
    ),
    "frame 0: ego_status.driving_command: expected": lambda content: content["frames"][0]["ego_status"].pop(
        "driving_command"
    ),
    "frame 3: annotations.names: expected names": lambda content: content["frames"][3]["annotations"].update(
        names=["elephant"]
    ),
    "frame 3: annotations.track_tokens: expected .* entries": lambda content: content["frames"][3][
        "annotations"
    ].update(track_tokens=["one"]),
    "frame 1: lidar_path: expected a path": lambda content: content["frames"][1].update(lidar_path=3),
    "frame 1: camera_dict.cam_f0: expected a dict": lambda content: content["frames"][1]["camera_dict"].update(
        cam_f0="x"
    ),
}


@pytest.mark.parametrize("message", BREAKS)
def test_a_broken_scene_is_named(tmp_path: Path, content: Content, message: str) -> None:
    broken = BREAKS[message](content)
    path = write(tmp_path, broken if isinstance(broken, list) else content)
    with pytest.raises(DataError, match=f"scene.pkl: {message}") as error:
        read_synthetic_scene(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("junk", [b"", b"no pickle", pickle.dumps({"frames": []})[:-3]])
def test_a_file_that_is_no_pickle(tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "scene.pkl").write_bytes(junk)
    with pytest.raises(DataError, match=r"scene\.pkl: not a readable pickle"):
        read_synthetic_scene(tmp_path / "scene.pkl")


def test_nothing_is_executed(tmp_path: Path, content: Content) -> None:
    content["extended_detections_tracks"] = Call(os.mkdir, str(tmp_path / "made"))
    with pytest.raises(UnsafePickleError, match=r"mkdir; nothing was executed"):
        read_synthetic_scene(write(tmp_path, content))
    assert not (tmp_path / "made").exists()


def test_folders_without_scenes_are_named(tmp_path: Path, two_stage_set: TwoStageSet) -> None:
    with pytest.raises(DataError, match="absent: expected a folder of synthetic scenes, got nothing; .*--synthetic-sc"):
        list_synthetic_scenes(tmp_path / "absent")
    with pytest.raises(DataError, match="expected pickles of synthetic scenes"):
        list_synthetic_scenes(tmp_path)
    description = two_stage_set.descriptions[0]
    save_with_stand_ins(SyntheticDescription(description.content, ()), tmp_path)
    assert read_synthetic_scene(list_synthetic_scenes(tmp_path)[0]).token == description.token
