"""A log of one scene with sensor files of the real sizes, for tests of features."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Sequence

import numpy as np

from latentvla_agent.data.calibration import camera_rig, describe_cameras, lidar_path
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.sensor_files import write_image, write_lidar
from latentvla_agent.data.sensors import SENSOR_FOLDER, SensorStore
from latentvla_agent.data.splits import SceneFilter, Split
from tests.data.log_factory import make_frame, write_log

LOG, SPLIT, TOKEN = "log", "tiny", "log-0003"
FULL = (1920, 1080)


def make_picture(seed: int, width: int, height: int) -> Any:
    """(H, W, 3) of smooth colours with some noise, different for every seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [np.sin(rows / (20 + 7 * k + seed) + columns / (33 - 5 * k)) for k in range(3)]
    return np.clip(127 + 90 * np.stack(waves, -1) + rng.normal(0, 6, (height, width, 1)), 0, 255).astype(np.uint8)


def make_points(number: int = 60_000, seed: int = 0) -> Any:
    """(6, N), many in few cells, some on the edges of cells, of the area and of the heights."""
    rng = np.random.default_rng(seed)
    points = np.zeros((6, number), np.float32)
    points[:2] = rng.normal(0, 18, (2, number))
    points[2] = rng.uniform(-1, 3, number)
    grid = number // 4
    points[:2, :grid] = np.round(points[:2, :grid] * 4) / 4
    points[:2, :4] = [[32, -32, 32, 31.999999], [32, -32, -32, 5]]
    points[:2, 4:6] = np.nextafter(np.float32(2.0), np.float32([1.0, 3.0]))
    points[2, :6] = 1.0
    points[2, 6:12] = [0.2, 0.25, 100.0, 99.0, 0.1999999, 0.2000001]
    return points


def write_scene(root: Path, names: Sequence[str], width: int = FULL[0], height: int = FULL[1]) -> None:
    """A log of one scene, with the files of these sensors in its current frame."""
    rig, frames = camera_rig(width, height), []
    for index in range(14):
        frame = make_frame(index, LOG)
        frame["cams"] = describe_cameras(rig, LOG, frame["token"])
        frame["lidar_path"] = lidar_path(LOG, frame["token"])
        frames.append(frame)
    write_log(root / "navsim_logs" / SPLIT / f"{LOG}.pkl", frames)
    folder = root / SENSOR_FOLDER / SPLIT
    for seed, name in enumerate(names):
        if name == "lidar_pc":
            write_lidar(folder / lidar_path(LOG, TOKEN), make_points())
        else:
            write_image(folder / frames[3]["cams"][name.upper()]["data_path"], make_picture(seed, width, height))


def open_scene(root: Path) -> Any:
    """The scene, as our loader gives it."""
    split = Split(SPLIT, root / "navsim_logs" / SPLIT, SceneFilter(), "made by a test")
    return SceneLoader(index_scenes(split), None, SensorStore(root / SENSOR_FOLDER)).load(TOKEN)
