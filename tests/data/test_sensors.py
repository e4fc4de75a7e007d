"""Cameras and lidar in an agent's input: just what was asked for, from where the log says."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, List, Sequence, Tuple

import numpy as np
import pytest

import latentvla_agent.data.sensors as sensors_module
from latentvla_agent.data.calibration import camera_rig, describe_cameras, lidar_path
from latentvla_agent.data.scene import SensorConfig
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.sensor_files import write_image, write_lidar
from latentvla_agent.data.sensors import CAMERA_NAMES, SENSOR_NAMES, Camera, Lidar, SensorStore, names_at
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.errors import DataError
from tests.data.log_factory import make_frame, write_log

LOG, SPLIT = "log", "tiny"


def make_data(root: Path, number: int = 14) -> Split:
    """A log of one scene; its pictures and points are plain values that tell frame and camera."""
    rig = camera_rig(16, 9)
    frames = []
    for index in range(number):
        frame = make_frame(index, LOG)
        frame["cams"] = describe_cameras(rig, LOG, frame["token"])
        frame["lidar_path"] = lidar_path(LOG, frame["token"])
        frames.append(frame)
    write_log(root / "navsim_logs" / SPLIT / f"{LOG}.pkl", frames)
    return Split(SPLIT, root / "navsim_logs" / SPLIT, SceneFilter(), "made by a test")


class Painter:
    """Makes the files that are asked for, and remembers what that was."""

    def __init__(self) -> None:
        self.calls: List[Tuple[str, Tuple[str, ...]]] = []

    def prepare(self, folder: Path, log_path: Path, token: str, names: Sequence[str]) -> None:
        """Pictures of one grey, points of one place."""
        self.calls.append((token, tuple(names)))
        index = int(token[-4:])
        for name in names:
            if name == "lidar_pc":
                write_lidar(folder / lidar_path(log_path.stem, token), np.full((6, 5), index, np.float32))
            else:
                grey = np.full((9, 16, 3), 20 * index + CAMERA_NAMES.index(name), np.uint8)
                write_image(folder / log_path.stem / name.upper() / f"{token}.jpg", grey)


def open_scene(root: Path, source: Any = None) -> Any:
    index = index_scenes(make_data(root))
    return SceneLoader(index, None, SensorStore(root / "sensor_blobs", source)).load("log-0003")


def test_what_was_asked_for_is_loaded_and_nothing_else(tmp_path: Path) -> None:
    painter = Painter()
    scene = open_scene(tmp_path, painter)
    found = scene.get_agent_input(SensorConfig(cam_f0=True, cam_l2=[1, 3], lidar_pc=[3]))
    assert painter.calls == [
        ("log-0000", ("cam_f0",)),
        ("log-0001", ("cam_f0", "cam_l2")),
        ("log-0002", ("cam_f0",)),
        ("log-0003", ("cam_f0", "cam_l2", "lidar_pc")),
    ]
    assert len(found.cameras) == len(found.lidars) == len(found.ego_statuses) == 4
    for index, cameras in enumerate(found.cameras):
        assert np.all(cameras.cam_f0.image == 20 * index)
        assert (cameras.cam_l2.image is None) == (index not in (1, 3))
        assert cameras.cam_b0 == Camera()
    assert np.all(found.cameras[3].cam_l2.image == 60 + CAMERA_NAMES.index("cam_l2"))
    assert [lidar.lidar_pc is None for lidar in found.lidars] == [True, True, True, False]
    assert found.lidars[3].lidar_pc.shape == (6, 5) and np.all(found.lidars[3].lidar_pc == 3)
    camera, rig = found.cameras[3].cam_l2, camera_rig(16, 9)["cam_l2"]
    assert np.array_equal(camera.intrinsics, rig.intrinsic) and camera.distortion.shape == (5,)
    assert np.array_equal(camera.sensor2lidar_rotation, rig.sensor2lidar_rotation)
    assert camera.camera_path == "log/CAM_L2/log-0003.jpg"
    again = SceneLoader(index_scenes(make_data(tmp_path)), None, SensorStore(tmp_path / "sensor_blobs"))
    assert again.load("log-0003").get_agent_input(SensorConfig(lidar_pc=[3])).lidars[3].lidar_path.endswith("3.pcd")


def test_without_sensors_nothing_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("read_reduced_image", "read_lidar", "locate"):
        monkeypatch.delattr(sensors_module, name)
    painter = Painter()
    scene = open_scene(tmp_path, painter)
    for found in (scene.get_agent_input(), scene.get_agent_input(SensorConfig.build_no_sensors())):
        assert len(found.cameras) == len(found.lidars) == 4
        assert all(camera == Camera() for cameras in found.cameras for camera in vars(cameras).values())
        assert all(lidar.lidar_pc is None for lidar in found.lidars)
    assert painter.calls == []


def test_missing_files_are_named(tmp_path: Path) -> None:
    scene = open_scene(tmp_path)
    with pytest.raises(DataError, match="sensor_blobs/tiny/log/CAM_R1/log-0002.jpg: expected a picture, got: No such"):
        scene.get_agent_input(SensorConfig(cam_r1=[2]))
    with pytest.raises(DataError, match="sensor_blobs/tiny/log/MergedPointCloud/log-0000.pcd: expected a point cloud"):
        scene.get_agent_input(SensorConfig(lidar_pc=True))
    loader = SceneLoader(index_scenes(make_data(tmp_path)))
    with pytest.raises(DataError, match="frame log-0000: an agent asked for cam_f0, but no sensor files are open"):
        loader.load("log-0003").get_agent_input(SensorConfig(cam_f0=True))


@pytest.mark.parametrize(
    "key, value, reason",
    [
        ("data_path", "../../secret.jpg", "stays in the folder"),
        ("cam_intrinsic", np.eye(2), r"cams.CAM_F0.cam_intrinsic: expected finite numbers of shape \(3, 3\)"),
        ("distortion", None, r"cams.CAM_F0.distortion: expected finite numbers of shape \(5,\)"),
    ],
)
def test_a_log_with_wrong_cameras_is_named(tmp_path: Path, key: str, value: object, reason: str) -> None:
    scene = open_scene(tmp_path)
    cams = {"CAM_F0": {**scene.frames[0].sensors["cams"]["CAM_F0"], key: value}}
    paths = {"cams": cams, "lidar_path": None}
    with pytest.raises(DataError, match=reason):
        scene.sensor_files.load("t", paths, ["cam_f0"])


def test_sensors_that_the_log_lacks_are_empty(tmp_path: Path) -> None:
    painter = Painter()
    scene = open_scene(tmp_path, painter)
    painter.prepare(tmp_path / "sensor_blobs" / SPLIT, Path("log.pkl"), "log-0003", ["cam_f0", "lidar_pc"])
    cams = dict(scene.frames[3].sensors["cams"])
    del cams["CAM_B0"]
    cams["CAM_L0"] = {**cams["CAM_L0"], "data_path": None}
    names = ["cam_f0", "cam_b0", "cam_l0", "lidar_pc"]
    cameras, lidar = scene.sensor_files.load("log-0003", {"cams": cams, "lidar_path": None}, names)
    assert cameras.cam_b0 == cameras.cam_l0 == Camera() and lidar == Lidar()
    assert cameras.cam_f0.image is not None


def test_pictures_are_reduced_as_far_as_an_agent_allows(tmp_path: Path) -> None:
    scene = open_scene(tmp_path, Painter())
    whole = camera_rig(16, 9)["cam_f0"].intrinsic
    for size, shape, scale in (((16, 9), (9, 16), 1), ((5, 3), (5, 8), 2), ((4, 2), (3, 4), 4), ((1, 1), (2, 2), 8)):
        camera = scene.get_agent_input(SensorConfig(cam_f0=[3], picture_size=size)).cameras[3].cam_f0
        assert camera.image.shape[:2] == shape and np.all(camera.image == 60)
        assert np.array_equal(camera.intrinsics, whole / [[scale], [scale], [1.0]])


def test_names_of_a_configuration() -> None:
    assert [field.name for field in fields(SensorConfig)] == [*SENSOR_NAMES, "picture_size"]
    everything = SensorConfig.build_all_sensors()
    assert everything.get_sensors_at_iteration(0) == [*CAMERA_NAMES, "lidar_pc"]
    assert names_at(SensorConfig.build_all_sensors([3]), 2) == []
    assert names_at(SensorConfig(cam_f0=1, cam_l0="0", cam_l1=(0,)), 0) == ["cam_l1"]  # as NAVSIM: True, or a list


def test_files_of_a_synthetic_scene_lie_beside_it(tmp_path: Path) -> None:
    scene = tmp_path / "navhard_two_stage" / "synthetic_scene_pickles" / "x.pkl"
    files = SensorStore(tmp_path / "sensor_blobs").open_synthetic_scene(scene)
    assert files.folder == tmp_path / "navhard_two_stage" / "sensor_blobs"
