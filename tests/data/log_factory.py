"""Writes tiny logs in the OpenScene format, for tests of whatever reads them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence

import numpy as np

SHARED_DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def make_frame(index: int, log_name: str = "log", *, token: Optional[str] = None, boxes: int = 2) -> Dict[str, Any]:
    """One frame of a car that drives 5 m/s along x, with `boxes` parked vehicles to its left."""
    poses = np.zeros((boxes, 7), dtype=np.float32)
    poses[:, 0] = 10.0 + 6.0 * np.arange(boxes)
    poses[:, 1] = 4.0
    poses[:, 3:6] = [4.5, 2.0, 1.6]
    return {
        "token": token or f"{log_name}-{index:04d}",
        "timestamp": 1_600_000_000_000_000 + 500_000 * index,
        "log_name": log_name,
        "scene_token": f"{log_name}-scene",
        "map_location": "sg-one-north",
        "roadblock_ids": ["11", "12"],
        "ego2global_translation": np.array([1000.0 + 2.5 * index, 2000.0, 0.0]),
        "ego2global_rotation": np.array([1.0, 0.0, 0.0, 0.0]),
        "ego_dynamic_state": [5.0, 0.0, 0.0, 0.0],
        "driving_command": np.array([0, 1, 0, 0]),
        "traffic_lights": [("77", True)],
        "lidar_path": f"{log_name}/MergedPointCloud/{index}.pcd",
        "cams": {"CAM_F0": {"data_path": f"{log_name}/CAM_F0/{index}.jpg", "cam_intrinsic": np.eye(3)}},
        "anns": {
            "gt_boxes": poses,
            "gt_names": np.array(["vehicle"] * boxes, dtype="<U14"),
            "gt_velocity_3d": np.zeros((boxes, 3), dtype=np.float32),
            "instance_tokens": [f"instance-{number}" for number in range(boxes)],
            "track_tokens": [f"track-{number}" for number in range(boxes)],
        },
    }


def make_log(
    path: Path,
    n_frames: int = 20,
    *,
    tokens: Optional[Sequence[str]] = None,
    no_route: Sequence[int] = (),
    boxes: int = 2,
) -> List[Dict[str, Any]]:
    """Write a log named after the file; frames in `no_route` have no route. Returns the frames."""
    frames = [
        make_frame(index, path.stem, token=tokens[index] if tokens else None, boxes=boxes) for index in range(n_frames)
    ]
    for index in no_route:
        frames[index]["roadblock_ids"] = []
    write_log(path, frames)
    return frames


def write_log(path: Path, frames: object, protocol: int = 4) -> Path:
    """Pickle whatever is given, making the folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(frames, protocol))
    return path
