"""The one real key frame that we have, as a nuScenes database in a folder of the test's own."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, Dict, List

import numpy as np

from latentvla_agent.data.nuscenes.tables import TABLE_NAMES
from latentvla_agent.data.pickles import read_pickle
from latentvla_agent.data.rotations import invert_transform, quaternion_of_matrix
from tests.data.nuscenes.drives import SHARED_NUSCENES, VERSION

KEYFRAME = SHARED_NUSCENES / "keyframe_scene-0061"
INFO = KEYFRAME / "n015-2018-07-24-11-22-45+0800.pkl"
PREFIX = {"car": "vehicle.car", "pedestrian": "human.pedestrian.adult", "barrier": "movable_object.barrier"}
Row = Dict[str, Any]


def read_keyframe() -> Row:
    """What mmdetection3d says of it: calibration, ego pose, boxes in the lidar's frame."""
    content: Any = read_pickle(INFO)
    frame: Row = content["data_list"][0]
    frame["names"] = {label: name for name, label in content["metainfo"]["categories"].items()}
    return frame


def write_keyframe(root: Path) -> Row:
    """Write the database and copy its files; returns `read_keyframe()`."""
    frame = read_keyframe()
    tables: Dict[str, List[Row]] = {name: [] for name in TABLE_NAMES}
    token, micros = frame["token"], int(round(frame["timestamp"] * 1e6))
    tables["log"] = [{"token": "log", "logfile": "n015", "location": "singapore-onenorth"}]
    ends = {"first_sample_token": token, "last_sample_token": token}
    tables["scene"] = [{"token": "scene", "name": "scene-0061", "log_token": "log", "nbr_samples": 1, **ends}]
    tables["sample"] = [{"token": token, "scene_token": "scene", "timestamp": micros, "prev": "", "next": ""}]
    ego2global, lidar2ego = np.array(frame["ego2global"]), np.array(frame["lidar_points"]["lidar2ego"])
    lidar_file = frame["lidar_points"]["lidar_path"]
    _add_sensor(tables, root, frame, "LIDAR_TOP", lidar_file, lidar2ego, ego2global, [])
    for channel, camera in frame["images"].items():
        # What is not said is where the ego was when the camera looked; lidar2cam tells.
        camera2ego, lidar2camera = np.array(camera["cam2ego"]), np.array(camera["lidar2cam"])
        then = ego2global @ lidar2ego @ invert_transform(lidar2camera) @ invert_transform(camera2ego)
        _add_sensor(tables, root, frame, channel, camera["img_path"], camera2ego, then, camera["cam2img"])
    for number, box in enumerate(frame["instances"]):
        name = frame["names"].get(box["bbox_label_3d"], "other")
        _add_box(tables, token, number, box, name, ego2global @ lidar2ego)
    folder = root / VERSION
    folder.mkdir(parents=True)
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    return frame


def _add_sensor(
    tables: Dict[str, List[Row]],
    root: Path,
    frame: Row,
    channel: str,
    file: str,
    to_ego: Any,
    to_global: Any,
    intrinsic: Any,
) -> None:
    path = root / "samples" / channel / file
    path.parent.mkdir(parents=True)
    shutil.copyfile(KEYFRAME / file, path)
    micros = int(file.split("__")[-1].split(".")[0])
    tables["sensor"].append({"token": channel, "channel": channel, "modality": "camera"})
    mount = {"sensor_token": channel, "camera_intrinsic": intrinsic}
    tables["calibrated_sensor"].append({"token": channel, **mount, **_describe_transform(to_ego)})
    tables["ego_pose"].append({"token": channel, "timestamp": micros, **_describe_transform(to_global)})
    tables["sample_data"].append(
        {
            "token": channel,
            "sample_token": frame["token"],
            "ego_pose_token": channel,
            "calibrated_sensor_token": channel,
            "timestamp": micros,
            "is_key_frame": True,
            "filename": f"samples/{channel}/{file}",
        }
    )


def _describe_transform(transform: Any) -> Row:
    return {
        "translation": transform[:3, 3].tolist(),
        "rotation": quaternion_of_matrix(transform[:3, :3]).tolist(),
    }


def _add_box(tables: Dict[str, List[Row]], sample: str, number: int, box: Row, name: str, to_global: Any) -> None:
    x, y, z, length, width, height, yaw = box["bbox_3d"]
    local = np.eye(4)
    cos, sin = np.cos(yaw), np.sin(yaw)
    local[:2, :2], local[:3, 3] = [[cos, -sin], [sin, cos]], [x, y, z]
    token, category = f"box-{number}", PREFIX.get(name, f"vehicle.{name}")
    if category not in [row["token"] for row in tables["category"]]:
        tables["category"].append({"token": category, "name": category})
    ends = {"first_annotation_token": token, "last_annotation_token": token}
    tables["instance"].append({"token": token, "category_token": category, **ends})
    tables["sample_annotation"].append(
        {
            "token": token,
            "sample_token": sample,
            "instance_token": token,
            "size": [width, length, height],
            "visibility_token": "4",
            "prev": "",
            "next": "",
            **_describe_transform(to_global @ local),
        }
    )
