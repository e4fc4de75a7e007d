"""nuScenes as scenes of ours: frames, motion, command, sensors, and what came afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, List

import numpy as np
import pytest

from latentvla_agent.data.calibration import CameraCalibration, is_in_picture, project_points
from latentvla_agent.data.nuscenes.boxes import name_category
from latentvla_agent.data.nuscenes.database import NuScenesConfig, NuScenesDatabase
from latentvla_agent.data.nuscenes.motion import choose_command, estimate_motion
from latentvla_agent.data.nuscenes.sensors import CAMERA_OF_CHANNEL
from latentvla_agent.data.rotations import heading_of_quaternion, matrix_of_quaternion, quaternion_of_matrix
from latentvla_agent.data.scene import AgentBoxIndex, BoxIndex
from latentvla_agent.data.sensors import CAMERA_NAMES, SensorConfig
from latentvla_agent.errors import ConfigError, DataError
from tests.data.nuscenes.drives import VERSION, edit_table, make_drive, place_on_circle, write_drives
from tests.data.nuscenes.keyframe import INFO, write_keyframe

ALL_SENSORS = SensorConfig.build_all_sensors([3])
needs_keyframe = pytest.mark.skipif(not INFO.exists(), reason=f"no real key frame at {INFO}")


def open_drive(root: Path, config: NuScenesConfig = NuScenesConfig(), **options: Any) -> NuScenesDatabase:
    return NuScenesDatabase(write_drives(root, make_drive(**options)), VERSION, config)


def test_the_input_is_that_of_navsim(tmp_path: Path) -> None:
    scene = open_drive(tmp_path, speed=6.0).load("a-005")
    found = scene.get_agent_input()
    poses = np.array([status.ego_pose for status in found.ego_statuses])
    np.testing.assert_allclose(poses, [[-9, 0, 0], [-6, 0, 0], [-3, 0, 0], [0, 0, 0]], atol=1e-5)
    np.testing.assert_allclose(found.ego_statuses[-1].ego_velocity, [6.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(found.ego_statuses[-1].ego_acceleration, 0.0, atol=1e-4)
    assert found.ego_statuses[-1].driving_command.tolist() == [0, 1, 0, 0]
    np.testing.assert_allclose(scene.get_future_trajectory().poses[:, 0], 3.0 * np.arange(1, 7), atol=1e-9)
    metadata = scene.scene_metadata
    assert (metadata.log_name, metadata.map_name, scene.token) == ("log-a", "singapore-onenorth", "a-005")
    assert (scene.num_padded, scene.motion_source) == (0, "poses") and "2 m to a side" in scene.command_source


def test_motion_is_that_of_the_past(tmp_path: Path) -> None:
    speed, yaw_rate = 8.0, 0.3
    times = np.array([0.0, 0.45, 1.0, 1.5])
    poses = np.array([place_on_circle(time, speed, yaw_rate) for time in times])
    motion, sources = estimate_motion(poses, times)
    np.testing.assert_allclose(motion[2:, 0], speed, atol=0.1)
    np.testing.assert_allclose(motion[2:, 1], 0.0, atol=0.15)
    np.testing.assert_allclose(motion[2:, 3], speed * yaw_rate, atol=0.1)
    assert sources == ["next_pose", "poses", "poses", "poses"]
    np.testing.assert_array_equal(estimate_motion(poses[:3], times[:3])[0][1:], motion[1:3])  # no look ahead


def test_motion_of_a_braking_car_is_exact() -> None:
    times = np.array([0.0, 0.5, 0.95, 1.5])
    poses = np.column_stack([10.0 * times - times**2, np.zeros((4, 2))])
    motion, _ = estimate_motion(poses, times)
    np.testing.assert_allclose(motion[2:, 0], 10.0 - 2.0 * times[2:])
    np.testing.assert_allclose(motion[2:, 2], -2.0)
    assert not estimate_motion(poses[:1], times[:1])[0].any()


def write_can_bus(root: Path, messages: object) -> None:
    (root / "can_bus").mkdir()
    (root / "can_bus" / "scene-a_pose.json").write_text(json.dumps(messages))


def test_the_can_bus_is_preferred_where_it_has_spoken(tmp_path: Path) -> None:
    database = open_drive(tmp_path)
    start = database.load("a-000").current_frame.timestamp
    ages = {0: 10_000, 500_000: 10_000, 1_000_000: 300_000}  # of the last message before a frame
    messages = [
        {"utime": start + at - age, "vel": [at * 1e-6 + 1.0, 0, 0], "accel": [0.5, -0.25, 9.8]}
        for at, age in ages.items()
    ]
    messages.append({"utime": start + 600_000, "vel": [99.0, 0, 0], "accel": [0, 0, 0]})  # after the second frame
    write_can_bus(tmp_path, messages[::-1])
    fresh = NuScenesDatabase(tmp_path, VERSION)
    statuses = [fresh.load(f"a-00{number}").current_frame.ego_status for number in range(3)]
    np.testing.assert_allclose([status.ego_velocity[0] for status in statuses], [1.0, 1.5, 8.0], atol=1e-5)
    np.testing.assert_allclose(statuses[1].ego_acceleration, [0.5, -0.25])
    assert [fresh.load(f"a-00{number}").motion_source for number in range(3)] == ["can_bus", "can_bus", "poses"]
    without = NuScenesDatabase(tmp_path, VERSION, NuScenesConfig(use_can_bus=False))
    assert without.load("a-001").motion_source == "poses"


def test_names_of_scenes_lead_nowhere(tmp_path: Path) -> None:
    open_drive(tmp_path)
    edit_table(tmp_path, "scene", lambda rows: rows[0].update(name="../../x"))
    with pytest.raises(DataError, match="expected a path that stays in the folder"):
        NuScenesDatabase(tmp_path, VERSION).load("a-000")


@pytest.mark.parametrize("messages", [[], {}, [{"utime": 1.5, "vel": [0, 0, 0], "accel": [0, 0, 0]}], [{"utime": 1}]])
def test_a_broken_can_bus_is_named(tmp_path: Path, messages: object) -> None:
    database = open_drive(tmp_path)
    write_can_bus(tmp_path, messages)
    with pytest.raises(DataError, match="scene-a_pose.json"):
        database.load("a-000")


@pytest.mark.parametrize(
    ("side", "expected"),
    [([2.0], [1, 0, 0, 0]), ([-2.0], [0, 0, 1, 0]), ([3.0, 1.99], [0, 1, 0, 0]), ([], [0, 0, 0, 1])],
)
def test_the_command_is_where_the_human_ends_up(side: List[float], expected: List[int]) -> None:
    future = np.array([[5.0, y, 0.0] for y in side]).reshape(-1, 3)
    assert choose_command(future, 2.0).tolist() == expected


def test_commands_of_a_turning_drive(tmp_path: Path) -> None:
    database = open_drive(tmp_path, yaw_rate=0.3)
    assert database.load("a-002").current_frame.ego_status.driving_command.tolist() == [1, 0, 0, 0]
    assert database.load("a-011").current_frame.ego_status.driving_command.tolist() == [0, 0, 0, 1]


def test_the_command_looks_three_seconds_ahead_however_long_the_scene(tmp_path: Path) -> None:
    """1.6 m to the left after 3 s, 2.8 m after 4 s."""
    database = open_drive(tmp_path, NuScenesConfig(num_future_frames=8), speed=5.0, yaw_rate=0.07)
    scene = database.load("a-002")
    poses = scene.get_future_trajectory().poses
    assert poses[5, 1] < 2.0 < poses[7, 1]
    assert scene.current_frame.ego_status.driving_command.tolist() == [0, 1, 0, 0]


def test_the_first_samples_get_a_history(tmp_path: Path) -> None:
    scene = open_drive(tmp_path, speed=6.0).load("a-001")
    poses = np.array([status.ego_pose for status in scene.get_agent_input().ego_statuses])
    np.testing.assert_allclose(poses, [[-9, 0, 0], [-6, 0, 0], [-3, 0, 0], [0, 0, 0]], atol=1e-5)
    assert scene.num_padded == 2 and np.diff([frame.timestamp for frame in scene.frames]).tolist() == [500_000] * 9


def test_what_came_afterwards_ends_with_the_drive(tmp_path: Path) -> None:
    database = open_drive(tmp_path, speed=6.0, boxes=[(20.0, 3.0), (0.0, -5.0)])
    truth = database.load_truth("a-007")
    assert truth.valid.tolist() == [True] * 4 + [False] * 2 and truth.log_name == "log-a"
    np.testing.assert_allclose(truth.poses[:4, 0], [3, 6, 9, 12], atol=1e-9)
    assert np.isnan(truth.poses[4:]).all() and len(truth.boxes) == len(truth.categories) == 4
    for boxes in truth.boxes:  # they stand: in the frame of the sample they don't move
        np.testing.assert_allclose(boxes[0], [-1.0, 3.0, 0.3, 4.5, 1.9], atol=1e-4)
        assert boxes[1, AgentBoxIndex.Y] == pytest.approx(-5.0, abs=1e-4)
    assert truth.categories[0] == ["vehicle.car"] * 2
    assert database.load("a-007").scene_metadata.num_future_frames == 4


def test_frames_that_scenes_share_are_read_only(tmp_path: Path) -> None:
    frame = open_drive(tmp_path).load("a-005").current_frame
    status = frame.ego_status
    arrays = (status.ego_pose, status.ego_velocity, status.driving_command, frame.annotations.boxes)
    assert not any(array.flags.writeable for array in arrays)


def test_absent_cameras_are_empty(tmp_path: Path) -> None:
    open_drive(tmp_path, num_frames=6, sensors=True)
    edit_table(tmp_path, "sample_data", lambda rows: [row for row in rows if "/CAM_BACK/" not in row["filename"]])
    found = NuScenesDatabase(tmp_path, VERSION).load("a-003").get_agent_input(ALL_SENSORS).cameras[3]
    missing = [name for name in CAMERA_NAMES if getattr(found, name).image is None]
    assert missing == ["cam_l2", "cam_r2", "cam_b0"]


def test_pictures_are_of_the_moment_of_the_lidar(tmp_path: Path) -> None:
    """A camera that looked 50 ms before the lidar was half a metre further back."""
    open_drive(tmp_path, num_frames=6, sensors=True, speed=10.0)

    def move_back(rows: Any) -> None:
        tokens = {
            row["ego_pose_token"]
            for row in json.loads((tmp_path / VERSION / "sample_data.json").read_text())
            if "/CAM_FRONT/" in row["filename"]
        }
        for row in rows:
            if row["token"] in tokens:
                row["translation"][0] -= 0.5

    edit_table(tmp_path, "ego_pose", move_back)
    cameras = NuScenesDatabase(tmp_path, VERSION).load("a-003").get_agent_input(ALL_SENSORS).cameras[3]
    places = np.array([cameras.cam_f0.sensor2lidar_translation, cameras.cam_b0.sensor2lidar_translation], float)
    np.testing.assert_allclose(places, [[0.5, 0.0, 1.5], [1.0, 0.0, 1.5]], atol=1e-9)


def test_points_lie_where_they_should_in_the_picture(tmp_path: Path) -> None:
    """A point 11 m ahead, 1 m to the left and 2 m high, by hand."""
    found = open_drive(tmp_path, num_frames=6, sensors=True).load("a-003").get_agent_input(ALL_SENSORS)
    camera = as_calibration(found.cameras[3].cam_f0)
    pixels, depth = project_points(np.array([[11.0, 1.0, 2.0]]), camera)
    np.testing.assert_allclose(pixels[0], [80.0 - 120.0 * 1.0 / 10.0, 45.0 - 120.0 * 0.5 / 10.0], atol=1e-6)
    assert depth[0] == pytest.approx(10.0)


@pytest.mark.parametrize("content", [b"123", np.full(5, np.nan, "<f4").tobytes(), None])
def test_broken_points_are_named(tmp_path: Path, content: Any) -> None:
    database = open_drive(tmp_path, num_frames=6, sensors=True)
    path = tmp_path / database.load("a-003").current_frame.sensors["lidar_path"]
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(DataError, match=path.name):
        database.load("a-003").get_agent_input(ALL_SENSORS)


def test_a_camera_without_intrinsics_and_a_sample_without_lidar_are_named(tmp_path: Path) -> None:
    open_drive(tmp_path, num_frames=6, sensors=True)
    edit_table(tmp_path, "calibrated_sensor", lambda rows: [row.update(camera_intrinsic=[]) for row in rows] and None)
    with pytest.raises(DataError, match="camera_intrinsic: expected 3 x 3"):
        NuScenesDatabase(tmp_path, VERSION).load("a-003")
    edit_table(tmp_path, "sample_data", lambda rows: [row for row in rows if "LIDAR" not in row["filename"]])
    with pytest.raises(DataError, match="expected a key frame of LIDAR_TOP"):
        NuScenesDatabase(tmp_path, VERSION).load("a-003")


def test_samples_are_listed_by_drive(tmp_path: Path) -> None:
    database = NuScenesDatabase(write_drives(tmp_path, make_drive("b", 2), make_drive("a", 2)), VERSION)
    assert database.sample_tokens() == ["a-000", "a-001", "b-000", "b-001"]
    assert database.sample_tokens(["scene-b"]) == ["b-000", "b-001"]
    with pytest.raises(DataError, match="did you mean 'scene-b'"):
        database.sample_tokens(["scene-bb"])
    with pytest.raises(DataError, match="'nowhere'"):
        database.load("nowhere")


def test_configs_are_checked() -> None:
    with pytest.raises(ConfigError):
        NuScenesConfig(num_history_frames=0)


@pytest.mark.parametrize(
    ("category", "name"),
    [
        ("vehicle.bus.rigid", "vehicle"),
        ("vehicle.motorcycle", "bicycle"),
        ("human.pedestrian.police_officer", "pedestrian"),
        ("static_object.bicycle_rack", "generic_object"),
    ],
)
def test_categories_get_names_of_navsim(category: str, name: str) -> None:
    assert name_category(category) == name


def test_quaternions_go_forth_and_back() -> None:
    for quaternion in np.random.default_rng(0).normal(size=(50, 4)):
        rotation = matrix_of_quaternion(quaternion)
        np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-12)
        back = quaternion_of_matrix(rotation)
        np.testing.assert_allclose(matrix_of_quaternion(back), rotation, atol=1e-12)
        turned = np.arctan2(*rotation[1::-1, 0])
        assert turned == pytest.approx(heading_of_quaternion(quaternion)) == pytest.approx(heading_of_quaternion(back))


def test_features_of_an_agent_are_built_as_ever(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from latentvla_agent.features.cameras import CameraFeatures, CameraFeaturesConfig

    features = CameraFeatures(CameraFeaturesConfig(cameras=("cam_f0", "cam_l1", "cam_l2"), width=80, height=45))
    scene = open_drive(tmp_path, num_frames=6, sensors=True, speed=6.0).load("a-003")
    found = features.compute_features(scene.get_agent_input(features.sensor_config))
    assert found["camera_present"].tolist() == [True, True, False]
    np.testing.assert_allclose(found["ego_status"].numpy(), [6, 0, 0, 0, 0, 1, 0, 0], atol=1e-4)
    u, v, depth = found["projections"][0].numpy() @ [11.0, 1.0, 2.0, 1.0]
    np.testing.assert_allclose([u / depth, v / depth, depth], [68.0 / 160, 39.0 / 90, 10.0], rtol=1e-5)


def as_calibration(camera: Any) -> CameraCalibration:
    height, width = camera.image.shape[:2]
    parts = (camera.sensor2lidar_rotation, camera.sensor2lidar_translation, camera.intrinsics, camera.distortion)
    return CameraCalibration("camera", *parts, width, height)


@needs_keyframe
def test_the_real_key_frame_fits_its_annotations(tmp_path: Path) -> None:
    """Boxes hold the points that nuScenes counted in them, and lie in the pictures where mmdetection3d says."""
    info = write_keyframe(tmp_path)
    scene = NuScenesDatabase(tmp_path, VERSION).load(info["token"])
    found = scene.get_agent_input(ALL_SENSORS)
    points, boxes = found.lidars[3].lidar_pc, scene.current_frame.annotations.boxes.astype(float)
    assert points is not None and points.shape == (6, 34688) and len(boxes) == 69
    ground = points[2][np.hypot(points[0], points[1]) < 8.0]
    assert abs(np.median(ground[ground < 0.5])) < 0.15  # z = 0 is the road
    expected = [instance["num_lidar_pts"] for instance in info["instances"]]
    np.testing.assert_allclose([count_inside(points[:3].T, box) for box in boxes], expected, rtol=0.05, atol=3)
    for channel, instances in info["cam_instances"].items():
        camera = getattr(found.cameras[3], CAMERA_OF_CHANNEL[channel])
        assert camera.image.shape == (900, 1600, 3)
        pixels, depth = project_points(boxes[:, : BoxIndex.LENGTH], as_calibration(camera))
        for instance in instances:
            assert (
                np.nanmin(np.abs(pixels - instance["center_2d"]).max(axis=1) + np.abs(depth - instance["depth"])) < 1.0
            )
    front = as_calibration(found.cameras[3].cam_f0)
    assert 2000 < is_in_picture(project_points(points[:3].T, front)[0], front).sum() < 6000


def count_inside(points: Any, box: Any) -> int:
    offset = points - box[: BoxIndex.LENGTH]
    cos, sin = np.cos(box[BoxIndex.HEADING]), np.sin(box[BoxIndex.HEADING])
    local = np.column_stack(
        [cos * offset[:, 0] + sin * offset[:, 1], cos * offset[:, 1] - sin * offset[:, 0], offset[:, 2]]
    )
    return int(np.all(np.abs(local) <= box[BoxIndex.LENGTH : BoxIndex.HEADING] / 2.0, axis=1).sum())
