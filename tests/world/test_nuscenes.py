"""Miniature nuScenes databases of the embedded world: another rig, on either side of the road."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from latentvla_agent.data.calibration import camera_rig, project_points
from latentvla_agent.data.logs import read_log
from latentvla_agent.data.nuscenes.database import NuScenesConfig, NuScenesDatabase
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.data.scene import BoxIndex, frame_from_log
from latentvla_agent.data.sensors import SensorConfig
from latentvla_agent.evaluation.nuscenes_setup import SCORING, NuScenesSetup
from latentvla_agent.scoring.metric_cache import build_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.world.nuscenes import MiniatureConfig, write_miniature
from latentvla_agent.world.nuscenes_rig import FULL_SIZE, Placement, make_rig, mirror_camera
from tests.evaluation.commands import call
from tests.evaluation.nuscenes_databases import MAPS, embedded_logs, write_mini

SIZE = (80, 45)
LONG = NuScenesConfig(num_future_frames=10)


def test_the_rig_is_another_than_navsims() -> None:
    own, theirs = make_rig(*FULL_SIZE), camera_rig()
    assert len(own) == 6 and len(theirs) == 8
    heights = [camera.sensor2lidar_translation[2] for camera in own.values()]
    assert max(heights) < min(camera.sensor2lidar_translation[2] for camera in theirs.values())
    half = make_rig(FULL_SIZE[0] // 2, FULL_SIZE[1] // 2)
    for channel, camera in own.items():
        np.testing.assert_allclose(half[channel].intrinsic[:2] * 2.0, camera.intrinsic[:2])
        forward = camera.sensor2lidar_rotation[:, 2]
        assert ("LEFT" in channel) == (forward[1] > 0.1) and ("RIGHT" in channel) == (forward[1] < -0.1)
        assert np.linalg.det(camera.sensor2lidar_rotation) == pytest.approx(1.0)


def test_a_mirrored_camera_sees_the_mirror_image() -> None:
    points = np.random.default_rng(0).uniform(-30, 30, (200, 3))
    for camera in make_rig(*SIZE).values():
        there = mirror_camera(camera)
        assert np.linalg.det(there.sensor2lidar_rotation) == pytest.approx(1.0)
        seen, depth = project_points(points * [1.0, -1.0, 1.0], camera)
        mirrored, same_depth = project_points(points, there)
        np.testing.assert_allclose(same_depth, depth, atol=1e-9)
        np.testing.assert_allclose(mirrored[:, 0], camera.width - seen[:, 0], atol=1e-6)
        np.testing.assert_allclose(mirrored[:, 1], seen[:, 1], atol=1e-6)


def test_frames_are_mirrored_as_a_whole() -> None:
    frame = frame_from_log(read_log(embedded_logs()[0])[3])
    there = Placement(True, (100.0, 50.0)).place_frame(frame)
    x, y, heading = frame.ego_status.ego_pose
    np.testing.assert_allclose(there.ego_status.ego_pose, [x - 100.0, -y - 50.0, -heading])
    sides = np.ones(len(BoxIndex), np.float32)
    sides[[BoxIndex.Y, BoxIndex.HEADING]] = -1.0
    np.testing.assert_array_equal(there.annotations.boxes, frame.annotations.boxes * sides)
    assert there.ego_status.ego_velocity[0] == frame.ego_status.ego_velocity[0]


@pytest.mark.parametrize("left_hand", [False, True])
def test_drives_come_back(tmp_path: Path, left_hand: bool) -> None:
    root = write_mini(tmp_path, left_hand)
    log = read_log(embedded_logs()[0])
    database = NuScenesDatabase(root, "v1.0-mini", LONG, NuScenesMaps(root))
    tokens = database.sample_tokens()
    assert tokens == [frame["token"] for frame in log[: len(tokens)]]
    scene, original = database.load(tokens[4]), frame_from_log(log[4])
    side = -1.0 if left_hand else 1.0
    np.testing.assert_allclose(
        scene.current_frame.annotations.boxes[:, 1], side * original.annotations.boxes[:, 1], atol=1e-3
    )
    np.testing.assert_allclose(
        scene.current_frame.ego_status.ego_velocity, original.ego_status.ego_velocity * [1, side]
    )
    assert scene.motion_source == "can_bus" and scene.current_frame.roadblock_ids


def test_both_sides_of_the_road_get_the_same_scores(tmp_path: Path) -> None:
    """A mirrored drive in a mirrored map, with mirrored plans: what the score takes for right and left must agree."""
    found = []
    for left_hand in (False, True):
        root = write_mini(tmp_path / str(left_hand), left_hand)
        database = NuScenesSetup(root, "v1.0-mini").open(with_maps=True)
        scores = []
        for token in database.sample_tokens()[3:7:3]:
            scene = database.load(token)
            cache = build_metric_cache(scene, scene.map_api, SCORING)
            human = scene.get_future_trajectory(8).poses
            plans = np.stack([human, human * [0.5, 1.0, 1.0], human + [0.0, -4.0 if left_hand else 4.0, 0.0]])
            made = Scorer("pdms-nuscenes", SCORING).score(cache, plans)
            scores.append(np.column_stack([made.score, *made.sub_scores.values()]))
        found.append(np.concatenate(scores))
    np.testing.assert_allclose(found[0], found[1], atol=0.02)
    assert found[0][::3, 0].min() > 0.5 and len(np.unique(found[0][:, 0].round(3))) > 1


def test_pictures_and_points_are_rendered(tmp_path: Path) -> None:
    pytest.importorskip("embreex")
    loaded = []
    for left_hand in (False, True):
        root = tmp_path / str(left_hand)
        write_miniature(root, MAPS, embedded_logs()[:1], MiniatureConfig(left_hand, SIZE, max_frames=2))
        database = NuScenesDatabase(root, "v1.0-mini")
        scene = database.load(database.sample_tokens()[1])
        loaded.append(scene.get_agent_input(SensorConfig.build_all_sensors([3])))
    right, left = loaded
    for name, mirrored in (("cam_f0", "cam_f0"), ("cam_l0", "cam_r0"), ("cam_l1", "cam_r1"), ("cam_b0", "cam_b0")):
        one, other = getattr(right.cameras[3], name).image, getattr(left.cameras[3], mirrored).image
        assert one.shape == (SIZE[1], SIZE[0], 3) and one.std() > 10.0
        # Not to the pixel: the principal point is not in the middle, and noise and JPEG differ.
        shift = round(2.0 * right.cameras[3].cam_f0.intrinsics[0, 2] - SIZE[0])
        difference = np.abs(one[:, shift:].astype(float) - other[:, ::-1][:, : SIZE[0] - shift].astype(float))
        assert np.median(difference) < 12.0, name
    assert right.cameras[3].cam_l2.image is None
    cloud, mirror = right.lidars[3].lidar_pc, left.lidars[3].lidar_pc
    assert cloud is not None and mirror is not None and cloud.shape == mirror.shape and cloud.shape[1] > 1000
    np.testing.assert_allclose(mirror[1], -cloud[1], atol=1e-3)


def test_the_command_writes_a_database(tmp_path: Path) -> None:
    out = tmp_path / "db"
    options = ("--split", "embedded", "--no-sensors", "--max-drives", 2, "--max-frames", 5, "--traffic", "left")
    answer = call("world", "nuscenes", "--out", out, *options)
    assert answer.status == 0 and f"2 drives of 2 logs, left-hand traffic -> {out}" in answer.out
    assert len(json.loads((out / "v1.0-mini" / "sample.json").read_text())) == 10
    assert list((out / "maps" / "expansion").glob("*.json"))
    assert "expected a new or empty folder" in call("world", "nuscenes", "--out", out, *options).error
    assert "--traffic: expected one of right, left" in call("world", "nuscenes", "--out", out, "--traffic", "up").error
