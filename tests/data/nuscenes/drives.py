"""Drives of our own making as nuScenes databases, for tests of whatever reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import numpy as np

from latentvla_agent.data.calibration import CameraCalibration, look_along
from latentvla_agent.data.nuscenes.records import DriveRecord
from latentvla_agent.data.nuscenes.writer import write_database
from latentvla_agent.data.scene import Annotations, EgoStatus, Frame, wrap_angle

VERSION = "v1.0-mini"
WIDTH, HEIGHT = 160, 90
SHARED_NUSCENES = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "nuscenes_raw"
YAWS = {
    "CAM_FRONT": 0.0,
    "CAM_FRONT_LEFT": 55.0,
    "CAM_FRONT_RIGHT": -55.0,
    "CAM_BACK": 180.0,
    "CAM_BACK_LEFT": 110.0,
    "CAM_BACK_RIGHT": -110.0,
}


def make_rig(channels: Sequence[str] = tuple(YAWS)) -> Dict[str, CameraCalibration]:
    """Level cameras 1.5 m above the road, a metre ahead of the rear axle."""
    intrinsic = np.array([[120.0, 0.0, 80.0], [0.0, 120.0, 45.0], [0.0, 0.0, 1.0]])
    return {
        channel: CameraCalibration(
            channel,
            look_along(float(np.deg2rad(YAWS[channel])), 0.0),
            np.array([1.0, 0.0, 1.5]),
            intrinsic,
            np.zeros(5),
            WIDTH,
            HEIGHT,
        )
        for channel in channels
    }


def make_frames(
    num_frames: int = 12, *, name: str = "a", speed: float = 8.0, yaw_rate: float = 0.0, boxes: Any = ((20.0, 3.0),)
) -> List[Frame]:
    """A car on a circle, or a line, from (100, 50) on; `boxes` stand at places (x, y) of its first ego frame."""
    frames = []
    for number in range(num_frames):
        pose = place_on_circle(0.5 * number, speed, yaw_rate) + [100.0, 50.0, 0.0]
        offset = np.array(boxes, float).reshape(-1, 2) + [100.0, 50.0] - pose[:2]
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        table = np.zeros((len(offset), 7), np.float32)
        table[:, :2] = offset @ np.array([[cos, -sin], [sin, cos]])
        table[:, 2:] = [0.8, 4.5, 1.9, 1.6, wrap_angle(0.3 - pose[2])]
        tracks = [f"track-{track}" for track in range(len(table))]
        annotations = Annotations(
            table, ["vehicle"] * len(table), np.zeros((len(table), 3), np.float32), tracks, tracks
        )
        status = EgoStatus(pose, np.zeros(2, np.float32), np.zeros(2, np.float32), np.array([0, 1, 0, 0]), True)
        frames.append(Frame(f"{name}-{number:03d}", 10**15 + 500_000 * number, [], [], annotations, status))
    return frames


def place_on_circle(time: float, speed: float, yaw_rate: float) -> Any:
    """Pose (3,) after `time` [s] from the origin."""
    turn = yaw_rate * time
    if abs(yaw_rate) < 1e-9:
        return np.array([speed * time, 0.0, 0.0])
    return np.array([np.sin(turn), 1.0 - np.cos(turn), turn * yaw_rate / speed]) * speed / yaw_rate


def make_drive(name: str = "a", num_frames: int = 12, *, sensors: bool = False, **options: Any) -> DriveRecord:
    """A drive called scene-<name>, maybe with grey pictures of six cameras and a hundred points."""
    frames = make_frames(num_frames, name=name, **options)
    if not sensors:
        return DriveRecord(f"scene-{name}", f"log-{name}", "singapore-onenorth", frames)
    random = np.random.default_rng(0)
    points = np.zeros((6, 100), np.float32)
    points[:3] = random.uniform(-30, 30, (3, 100))
    points[3:5] = random.integers(0, 32, (2, 100))
    rig = make_rig()
    pictures = [{channel: np.full((HEIGHT, WIDTH, 3), 90, np.uint8) for channel in rig} for _ in frames]
    return DriveRecord(
        f"scene-{name}", f"log-{name}", "singapore-onenorth", frames, rig, pictures, [points] * num_frames
    )


def write_drives(root: Path, *drives: DriveRecord) -> Path:
    """A database of these drives (default: one without sensors); returns its root."""
    write_database(root, VERSION, drives or (make_drive(),))
    return root


def edit_table(root: Path, table: str, edit: Callable[[List[Dict[str, Any]]], Optional[Any]]) -> None:
    """Change the rows of a table in place, or replace its content by what `edit` returns."""
    path = root / VERSION / f"{table}.json"
    rows = json.loads(path.read_text())
    changed = edit(rows)
    path.write_text(json.dumps(rows if changed is None else changed))
