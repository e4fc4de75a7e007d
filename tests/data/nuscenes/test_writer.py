"""What is written as nuScenes is read back as it was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from latentvla_agent.data.files import hash_file, hash_folder
from latentvla_agent.data.nuscenes.database import NuScenesDatabase
from latentvla_agent.data.nuscenes.records import DriveRecord
from latentvla_agent.data.nuscenes.sensor_writer import remove_leftovers, write_sensors
from latentvla_agent.data.nuscenes.writer import write_database
from latentvla_agent.data.scene import Annotations, BoxIndex
from latentvla_agent.data.sensors import SensorConfig
from latentvla_agent.errors import DataError
from tests.data.nuscenes.drives import HEIGHT, VERSION, WIDTH, make_drive, make_rig, write_drives


def test_poses_and_boxes_come_back(tmp_path: Path) -> None:
    drive = make_drive(num_frames=8, yaw_rate=0.2)
    database = NuScenesDatabase(write_drives(tmp_path, drive), VERSION)
    scene = database.load("a-003")
    for read, written in zip(scene.frames, drive.frames):
        np.testing.assert_allclose(read.ego_status.ego_pose, written.ego_status.ego_pose, atol=1e-9)
        np.testing.assert_allclose(read.annotations.boxes, written.annotations.boxes, atol=1e-4)
        assert (read.token, read.timestamp) == (written.token, written.timestamp)
        assert read.annotations.names == ["vehicle"]
    assert len({frame.annotations.track_tokens[0] for frame in scene.frames}) == 1


def test_pictures_points_and_calibration_come_back(tmp_path: Path) -> None:
    drive = make_drive(sensors=True)
    scene = NuScenesDatabase(write_drives(tmp_path, drive), VERSION).load("a-004")
    found = scene.get_agent_input(SensorConfig.build_all_sensors([3]))
    camera, written = found.cameras[3].cam_l1, drive.rig["CAM_BACK_LEFT"]
    assert camera.image is not None and camera.image.shape == (HEIGHT, WIDTH, 3)
    assert np.abs(camera.image.astype(int) - 90).max() <= 2
    np.testing.assert_allclose(camera.sensor2lidar_rotation, written.sensor2lidar_rotation, atol=1e-9)
    np.testing.assert_allclose(camera.sensor2lidar_translation, written.sensor2lidar_translation, atol=1e-9)
    assert np.array_equal(camera.intrinsics, written.intrinsic)
    points = found.lidars[3].lidar_pc
    assert points is not None and points.dtype == np.float32
    np.testing.assert_allclose(points, drive.points[4], atol=1e-4)
    assert found.lidars[0].lidar_pc is None and found.cameras[0].cam_f0.image is None


def test_tables_have_the_fields_of_nuscenes(tmp_path: Path) -> None:
    root = write_drives(tmp_path, make_drive(num_frames=3, sensors=True))
    fields = {
        path.stem: set(json.loads(path.read_text())[0])
        for path in (root / VERSION).glob("*.json")
        if path.stat().st_size > 3
    }
    assert fields["sample_data"] == set(
        "token sample_token ego_pose_token calibrated_sensor_token timestamp fileformat is_key_frame height width "
        "filename prev next".split()
    )
    assert fields["sample_annotation"] == set(
        "token sample_token instance_token visibility_token attribute_tokens translation size rotation prev next "
        "num_lidar_pts num_radar_pts".split()
    )
    assert fields["instance"] == set(
        "token category_token nbr_annotations first_annotation_token last_annotation_token".split()
    )
    assert fields["scene"] == set(
        "token log_token nbr_samples first_sample_token last_sample_token name description".split()
    )
    assert fields["log"] == set("token logfile vehicle date_captured location".split())
    assert fields["map"] == set("token category filename log_tokens".split())
    assert len(list((root / VERSION).iterdir())) == 13


def test_sizes_are_width_length_height(tmp_path: Path) -> None:
    root = write_drives(tmp_path, make_drive(num_frames=2))
    row = json.loads((root / VERSION / "sample_annotation.json").read_text())[0]
    np.testing.assert_allclose(row["size"], [1.9, 4.5, 1.6], rtol=1e-6)


def test_the_same_drives_give_the_same_bytes(tmp_path: Path) -> None:
    digests = []
    for name in ("first", "second"):
        root = write_drives(tmp_path / name, make_drive("a", 3, sensors=True), make_drive("b", 2))
        digests.append([hash_folder(root, suffix) for suffix in (".json", ".jpg", ".bin")])
    assert digests[0] == digests[1]


def test_a_database_is_never_written_over(tmp_path: Path) -> None:
    write_drives(tmp_path)
    with pytest.raises(DataError, match="never written over"):
        write_drives(tmp_path)


def hash_files(root: Path) -> Dict[str, str]:
    """Of all files below a folder, hidden ones too."""
    return {str(path.relative_to(root)): hash_file(path) for path in root.rglob("*") if path.is_file()}


def test_sensors_and_tables_can_be_written_apart(tmp_path: Path) -> None:
    drive = make_drive(num_frames=3, sensors=True)
    whole, parts = write_drives(tmp_path / "whole", drive), tmp_path / "parts"
    write_sensors(parts, drive)
    assert not (parts / VERSION).exists()
    write_database(parts, VERSION, [drive], with_sensors=False)
    assert hash_files(parts) == hash_files(whole)


def test_sensor_files_are_kept_or_written_anew(tmp_path: Path) -> None:
    drive = make_drive(num_frames=2, sensors=True)
    write_sensors(tmp_path, drive)
    before, picture = hash_files(tmp_path), next(tmp_path.rglob("*.jpg"))
    sweep = next(tmp_path.rglob("*.bin"))
    picture.write_bytes(b"mine")
    sweep.unlink()
    write_sensors(tmp_path, drive, keep=True)
    assert picture.read_bytes() == b"mine" and sweep.is_file()
    write_sensors(tmp_path, drive)
    assert hash_files(tmp_path) == before


def test_leftovers_of_killed_writers_are_removed(tmp_path: Path) -> None:
    write_sensors(tmp_path, make_drive(num_frames=2, sensors=True))
    before = hash_files(tmp_path)
    for name in (".a.jpg.x1", ".a.pcd.bin.x2"):
        (tmp_path / "samples" / "CAM_BACK" / name).write_bytes(b"half")
    (tmp_path / "can_bus").mkdir()
    (tmp_path / "can_bus" / ".a_pose.json.x3").write_bytes(b"half")
    assert hash_files(tmp_path) != before
    remove_leftovers(tmp_path)
    assert hash_files(tmp_path) == before


def test_tables_come_all_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Path, target: Path) -> None:
        raise KeyboardInterrupt

    drive = make_drive(num_frames=2)
    with monkeypatch.context() as patch:
        patch.setattr("latentvla_agent.data.nuscenes.writer.os.rename", fail)
        with pytest.raises(KeyboardInterrupt):
            write_drives(tmp_path / "killed", drive)
    assert not (tmp_path / "killed" / VERSION).exists()
    resumed, whole = (write_drives(tmp_path / name, drive) for name in ("killed", "whole"))
    assert sorted(path.name for path in resumed.iterdir()) == sorted(path.name for path in whole.iterdir())
    assert hash_folder(resumed, ".json") == hash_folder(whole, ".json")


def spoil(drive: DriveRecord, what: str) -> DriveRecord:
    frame = drive.frames[0]
    boxes = np.ones((2, len(BoxIndex)), np.float32)
    twins = Annotations(boxes, ["vehicle"] * 2, np.zeros((2, 3), np.float32), ["x", "y"], ["x", "x"])
    changes: Dict[str, Dict[str, Any]] = {
        "expected frames": {"frames": []},
        "expected a name": {"name": "../x"},
        "expected cameras among": {"rig": {"CAM_F0": make_rig()["CAM_FRONT"]}},
        "expected pictures of 2 frames": {"pictures": [{}]},
        "expected a camera of the rig": {"pictures": [{"CAM_FRONT": np.zeros((2, 2, 3), np.uint8)}] * 2, "rig": {}},
        "expected 90 x 160 x 3": {"pictures": [{"CAM_FRONT": np.zeros((2, 2, 3), np.uint8)}] * 2},
        "expected one box of each track": {"frames": [replace(frame, annotations=twins)]},
        "tokens of its own": {"frames": [frame, frame]},
    }
    changed: Dict[str, Any] = {"rig": make_rig(), **changes[what]}
    return replace(drive, **changed)


@pytest.mark.parametrize(
    "what",
    [
        "expected frames",
        "expected a name",
        "expected cameras among",
        "expected pictures of 2 frames",
        "expected a camera of the rig",
        "expected 90 x 160 x 3",
        "expected one box of each track",
        "tokens of its own",
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, what: str) -> None:
    with pytest.raises(DataError, match=what):
        write_drives(tmp_path, spoil(make_drive(num_frames=2), what))
    assert not (tmp_path / VERSION).exists()
