"""Reads a split of the embedded world with NAVSIM's own loader; run as a script by an interpreter that has the devkit.

    python read_with_devkit.py ROOT SPLIT [--frames all|history] [--scenes N] [--pictures FOLDER]

Every scene is loaded with all sensors, as a scene and as an agent's input, and looked at; what was found is printed as
one line of JSON. With `--pictures` NAVSIM's own plots of the first scene's current frame are drawn too.
"""

from __future__ import annotations

import argparse
import importlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np

CAMERAS = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")
PLOTS = ("plot_cameras_frame_with_annotations", "plot_cameras_frame_with_lidar", "plot_bev_frame")
LIDAR_ROWS = 6  # x, y, z, intensity, ring, lidar
BOX_RADIUS_M, BOX_MARGIN_M = 40.0, 0.1


def open_loader(root: Path, split: str, frames: str) -> Tuple[Any, Any]:
    """NAVSIM's loader of a split with all sensors, in all 14 frames of a scene or in the four that an agent sees,
    and the split's filter."""
    dataclasses: Any = importlib.import_module("navsim.common.dataclasses")
    loader: Any = importlib.import_module("navsim.common.dataloader").SceneLoader
    config = importlib.import_module("yaml").safe_load((root / "train_test_split" / f"{split}.yaml").read_text())
    values = {key: value for key, value in config["scene_filter"].items() if not key.startswith("_")}
    scene_filter = dataclasses.SceneFilter(**values)
    include: Any = True if frames == "all" else list(range(scene_filter.num_history_frames))
    sensors = dataclasses.SensorConfig.build_all_sensors(include)
    places = [root / folder / config["data_split"] for folder in ("navsim_logs", "sensor_blobs")]
    return loader(*places, scene_filter, sensor_config=sensors), scene_filter


class Reader:
    """Looks at scenes, and counts what it saw."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self.counts: Counter[str] = Counter()
        self.sizes: Counter[str] = Counter()

    def read(self, token: str, num_frames: int) -> None:
        """Load one scene and its agent input; the first `num_frames` frames must have all sensors."""
        scene = self._loader.get_scene_from_token(token)
        history = scene.scene_metadata.num_history_frames
        assert scene.scene_metadata.initial_token == token == scene.frames[history - 1].token
        assert len(scene.frames) == history + scene.scene_metadata.num_future_frames == 14
        for frame in scene.frames[:num_frames]:
            self._check_sensors(frame.cameras, frame.lidar.lidar_pc)
            self._count_boxes(frame)
        agent_input = self._loader.get_agent_input_from_token(token)
        assert len(agent_input.cameras) == len(agent_input.lidars) == len(agent_input.ego_statuses) == history
        for frame, cameras, lidar in zip(scene.frames, agent_input.cameras, agent_input.lidars):
            assert np.array_equal(frame.lidar.lidar_pc, lidar.lidar_pc)
            for name in CAMERAS:
                assert np.array_equal(getattr(frame.cameras, name).image, getattr(cameras, name).image), name
        self.counts["scenes"] += 1

    def _check_sensors(self, cameras: Any, points: Any) -> None:
        for name in CAMERAS:
            camera = getattr(cameras, name)
            width, height = 2 * camera.intrinsics[0, 2], camera.intrinsics[1, 2] * 1080 / 560
            assert camera.image.dtype == np.uint8 and camera.image.shape == (round(height), round(width), 3), name
            assert camera.image.std() > 1.0, f"{name}: a picture of one colour"
            assert camera.sensor2lidar_translation.shape == (3,) and camera.distortion.shape == (5,)
            turn = camera.sensor2lidar_rotation
            assert np.allclose(turn @ turn.T, np.eye(3)) and np.isclose(np.linalg.det(turn), 1.0), name
            self.sizes[f"{camera.image.shape[1]}x{camera.image.shape[0]}"] += 1
        assert points.dtype == np.float32 and len(points) == LIDAR_ROWS and np.isfinite(points).all()
        self.counts.update(frames=1, pictures=len(CAMERAS), clouds=1, points=points.shape[1])

    def _count_boxes(self, frame: Any) -> None:
        """Near boxes, and how many of them hold points; hidden ones hold none."""
        places = frame.lidar.lidar_pc[:3].T.astype(np.float64)
        for box in frame.annotations.boxes.astype(np.float64):
            if np.hypot(box[0], box[1]) > BOX_RADIUS_M:
                continue
            offset, cos, sin = places - box[:3], np.cos(box[6]), np.sin(box[6])
            along, across = offset[:, 0] * cos + offset[:, 1] * sin, offset[:, 1] * cos - offset[:, 0] * sin
            inside = np.abs(np.column_stack([along, across, offset[:, 2]])) <= 0.5 * box[3:6] + BOX_MARGIN_M
            self.counts.update(near_boxes=1, near_boxes_with_points=int(inside.all(axis=1).any()))


def draw(scene: Any, folder: Path, label: str) -> List[str]:
    """NAVSIM's own plots of the current frame; returns the files' names."""
    importlib.import_module("matplotlib").use("Agg")
    plots: Any = importlib.import_module("navsim.visualization.plots")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{label}-{name}.png" for name in PLOTS]
    for name, path in zip(PLOTS, paths):
        figure, _ = getattr(plots, name)(scene, scene.scene_metadata.num_history_frames - 1)
        figure.savefig(path)
    return [path.name for path in paths]


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=Path)
    parser.add_argument("split")
    parser.add_argument("--frames", choices=("all", "history"), default="all")
    parser.add_argument("--scenes", type=int, help="only so many")
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()
    loader, scene_filter = open_loader(args.root, args.split, args.frames)
    reader, start, failed = Reader(loader), time.monotonic(), {}
    tokens = sorted(loader.tokens, key=scene_filter.tokens.index)[: args.scenes]  # the split's order
    for token in tokens:
        try:
            reader.read(token, 14 if args.frames == "all" else 4)
        except (AssertionError, OSError) as error:
            failed[token] = f"{type(error).__name__}: {error}"
    asked = len(scene_filter.tokens[: args.scenes])  # the loader drops silently what it has no window for
    found: Dict[str, Any] = {"of": asked, **reader.counts, "sizes": reader.sizes, "failed": failed}
    found["seconds"] = round(time.monotonic() - start, 1)
    if args.pictures:
        found["plots"] = draw(loader.get_scene_from_token(tokens[0]), args.pictures, tokens[0])
    print(json.dumps(found))


if __name__ == "__main__":
    main()
