"""Miniature nuScenes databases of the embedded world: another rig, on either side of the road."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Dict, Iterator, Sequence

import numpy as np
import pytest

from latentvla_agent.data.calibration import camera_rig, project_points
from latentvla_agent.data.logs import read_log
from latentvla_agent.data.nuscenes.database import NuScenesConfig, NuScenesDatabase
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.data.scene import BoxIndex, frame_from_log
from latentvla_agent.data.sensors import SensorConfig
from latentvla_agent.evaluation.nuscenes_setup import SCORING, NuScenesSetup
from latentvla_agent.evaluation.workers import Outcome
from latentvla_agent.scoring.metric_cache import build_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.world.nuscenes import MiniatureConfig, write_miniature
from latentvla_agent.world.nuscenes_drives import Drive, DriveSensors, list_drives
from latentvla_agent.world.nuscenes_rig import FULL_SIZE, Placement, make_rig, mirror_camera
from tests.evaluation.commands import call, list_files, run, start
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


def test_a_drive_ends_at_a_gap() -> None:
    log = embedded_logs()[0]
    (whole,) = list_drives([log], None)
    assert (whole.name, len(whole)) == ("scene-0001", len(read_log(log)))
    assert [(drive.name, len(drive)) for drive in list_drives(embedded_logs()[:2], 5)] == [
        ("scene-0001", 5),
        ("scene-0002", 5),
    ]


def read_files(root: Path) -> Dict[str, bytes]:
    """All files of a database but the lock of the command, hidden ones too."""
    return {str(path.relative_to(root)): path.read_bytes() for path in list_files(root) if path.name != ".lock"}


def test_an_interrupted_call_goes_on(tmp_path: Path) -> None:
    pytest.importorskip("embreex")
    config, logs = MiniatureConfig(True, SIZE, max_frames=2), embedded_logs()[:1]
    write = partial(write_miniature, maps=MAPS, logs=logs, config=config)

    def render_half(drives: Sequence[Drive]) -> None:
        DriveSensors(tmp_path / "half", MAPS, config)(replace(drives[0], end=drives[0].start + 1))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "half", render=render_half)
    pictures = sorted((tmp_path / "half").rglob("*.jpg"))
    assert len(pictures) == 6 and not (tmp_path / "half" / "v1.0-mini").exists()
    pictures[0].with_name(f".{pictures[0].name}.x1").write_bytes(b"half a picture")
    times = [path.stat().st_mtime_ns for path in pictures]
    assert write(tmp_path / "half") == write(tmp_path / "whole") == 1
    assert [path.stat().st_mtime_ns for path in pictures] == times
    assert read_files(tmp_path / "half") == read_files(tmp_path / "whole")


def test_only_the_same_command_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    out = tmp_path / "db"
    command = ("world", "nuscenes", "--split", "embedded", "--no-sensors", "--max-drives", 1, "--max-frames", 5)
    with monkeypatch.context() as patch:
        patch.setattr("latentvla_agent.world.nuscenes.write_database", interrupt)
        assert call(*command, "--out", out).status == 130
    assert (out / ".unfinished").is_file() and list(out.rglob("*.bin"))
    for option, value, what in (
        ("--traffic", "left", "traffic"),
        ("--max-frames", 6, "max-frames"),
        ("--max-drives", 2, "logs"),
        ("--version", "v1.0-trainval", "version"),
        ("--sensors", "--size=80x45", "size"),
    ):
        assert f"belongs to a run with another {what};" in call(*command, option, value, "--out", out).error
    assert call(*command, "--out", out).status == 0 == call(*command, "--out", tmp_path / "whole").status
    assert read_files(out) == read_files(tmp_path / "whole")
    (out / ".unfinished").touch()  # killed when all was done
    assert "expected a new or empty folder" in call(*command, "--out", out).error


def test_the_drive_that_fails_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(chunks: Sequence[Sequence[Drive]], *_: object) -> Iterator[Outcome[Drive]]:
        yield Outcome(chunks[0][0])
        yield Outcome(chunks[1][0], error="OSError: no space left")

    monkeypatch.setattr("latentvla_agent.cli.world_nuscenes.run_in_workers", fail)
    options = ("--split", "embedded", "--max-frames", 3, "--size", "80x45", "--out", tmp_path / "db")
    answer = call("world", "nuscenes", *options)
    assert "drive scene-0002" in answer.error and answer.error.endswith("OSError: no space left")
    assert not (tmp_path / "db" / "v1.0-mini").exists() and (tmp_path / "db" / ".unfinished").exists()


@pytest.mark.slow
def test_workers_and_kills_change_nothing(tmp_path: Path) -> None:
    pytest.importorskip("embreex")
    command = ("world", "nuscenes", "--split", "embedded", "--max-drives", 2, "--max-frames", 2, "--out")
    one, two, killed = (tmp_path / name for name in ("one", "two", "killed"))
    small = ("--size", f"{SIZE[0]}x{SIZE[1]}")
    assert run(*command, one, *small, "--workers", 1).status == 0
    assert run(*command, two, *small, "--workers", 2).status == 0
    process = start(*command, killed, *small, "--workers", 1)
    while not list(killed.rglob("*.jpg")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    assert (killed / ".unfinished").is_file() and not (killed / "v1.0-mini").exists()
    for option, value in (("size", "160x90"), ("traffic", "left"), ("max-frames", 3), ("max-drives", 1)):
        answer = call(*command, killed, *small, f"--{option}", value)
        assert f"another {'logs' if option == 'max-drives' else option};" in answer.error
    kept = {path: path.stat().st_mtime_ns for path in killed.rglob("*.jpg") if not path.name.startswith(".")}
    assert kept and run(*command, killed, *small).status == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == kept
    assert read_files(one) == read_files(two) == read_files(killed) and len(read_files(one)) > 28
    assert "expected a new or empty folder" in call(*command, killed, *small).error
