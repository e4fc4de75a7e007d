"""Log frames of a hand-made drive."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import List

import numpy as np
import pytest

from latentvla_agent.data.calibration import rig_of_frame
from latentvla_agent.data.log_writer import write_log
from latentvla_agent.data.logs import LogFrame, read_log
from latentvla_agent.data.scene import frame_from_log
from latentvla_agent.errors import DataError
from latentvla_agent.world.drives import DriveSpec, make_frames
from tests.world.traffic.traffic_towns import make_corner, make_drive

OFFSET = (300_000.0, 120_000.0)
SPEC = DriveSpec("minitown-val-000", "minitown-val-000-ego_0", "sg-one-north", 7, weather="rain")


def make(steps: range = range(0, 200, 5), spec: DriveSpec = SPEC) -> List[LogFrame]:
    roads, ids = make_corner()
    return make_frames(make_drive(), "ego_0", steps, roads, ids, OFFSET, spec)


def test_frames_are_a_log(tmp_path: Path) -> None:
    frames = make()
    write_log(tmp_path / "a.pkl", frames)
    read = read_log(tmp_path / "a.pkl")
    assert len(read) == 40 and len({frame["token"] for frame in read}) == 40
    assert all(len(frame["token"]) == 16 and int(frame["token"], 16) >= 0 for frame in read)
    assert {b["timestamp"] - a["timestamp"] for a, b in zip(read, read[1:])} == {500_000}
    assert [frame["sample_next"] for frame in read[:-1]] == [frame["token"] for frame in read[1:]]
    assert read[0]["sample_prev"] is None and read[-1]["sample_next"] is None
    assert sorted(read[0]["cams"]) == sorted(f"CAM_{name}" for name in ("F0", "L0", "L1", "L2", "R0", "R1", "R2", "B0"))
    assert read[0]["cams"]["CAM_F0"]["data_path"] == f"{SPEC.log_name}/CAM_F0/{read[0]['token']}.jpg"


def test_ego_pose_is_the_rear_axle() -> None:
    frame = frame_from_log(make()[0])
    expected = np.array([OFFSET[0] + 20.0 - 1.461, OFFSET[1], 0.0])
    np.testing.assert_allclose(frame.ego_status.ego_pose, expected, atol=1e-9)
    np.testing.assert_allclose(frame.ego_status.ego_velocity, [8.0, 0.0], atol=1e-5)


def test_objects_in_the_ego_frame() -> None:
    frame = make()[0]
    anns, world = frame["anns"], frame["world"]
    assert world["models"] == ["sedan", "van"]  # neither the ego, nor what is beyond 100 m
    np.testing.assert_allclose(anns["gt_boxes"][0], [-12.0 + 1.461, 0.0, 0.8885, 5.176, 2.297, 1.777, 0.0], atol=1e-3)
    np.testing.assert_allclose(anns["gt_boxes"][1, :2], [70.0 + 1.461, -6.0], atol=1e-3)
    np.testing.assert_allclose(anns["gt_velocity_3d"], [[8.0, 0.0, 0.0], [0.0, 0.0, 0.0]], atol=1e-3)
    assert anns["gt_names"].tolist() == ["vehicle", "vehicle"]  # an array: NAVSIM's drawing picks by a mask
    assert anns["gt_boxes"].dtype == np.float32 and not np.signbit(anns["gt_velocity_3d"]).any()
    later = make()[20]
    assert later["anns"]["track_tokens"][0] == anns["track_tokens"][0]
    assert later["anns"]["instance_tokens"][0] != anns["instance_tokens"][0]
    turned = frame_from_log(make()[-1])  # northbound: what is parked in the west is on the left
    assert turned.ego_status.ego_pose[2] == pytest.approx(np.pi / 2, abs=1e-6)
    boxes = turned.annotations.boxes
    assert boxes[1, 1] > 15.0 and boxes[1, 6] == pytest.approx(-np.pi / 2, abs=1e-5)


def test_lights_events_and_weather() -> None:
    frame = make()[2]
    assert frame["traffic_lights"] == [("11", True)]
    assert frame["world"]["phases"] == [["11", "r"]] and frame["world"]["weather"] == "rain"
    assert frame["world"]["events"] == ["lead_brakes"] and make()[0]["world"]["events"] == []
    assert frame["driving_command"].tolist() == [0, 1, 0, 0]
    assert make()[17]["driving_command"].tolist() == [1, 0, 0, 0]


def test_frames_depend_on_the_town_alone() -> None:
    assert pickle.dumps(make()) == pickle.dumps(make())
    other = make(spec=DriveSpec("minitown-val-001", "x", "sg-one-north", 7))
    assert not {frame["token"] for frame in other} & {frame["token"] for frame in make()}


def test_step_without_the_ego_is_refused() -> None:
    with pytest.raises(DataError, match="expected a step in 0…199, got 200"):
        make(range(0, 201, 5))


def test_the_intrinsics_tell_the_size_of_the_pictures() -> None:
    for size in ((480, 270), (1920, 1080)):
        spec = DriveSpec("minitown-val-000", "minitown-val-000-ego_0", "sg-one-north", 7, picture_size=size)
        cameras = rig_of_frame(make(spec=spec)[0]["cams"])
        assert {(camera.width, camera.height) for camera in cameras.values()} == {size}
