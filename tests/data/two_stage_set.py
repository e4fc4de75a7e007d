"""A miniature two-stage split in NAVSIM's layout, made of the embedded logs: a description first, then its files.

    <root>/navsim_logs/tiny/*.pkl, <root>/maps/, <root>/sensor_blobs/tiny/
    <root>/navhard_two_stage/{synthetic_scene_pickles/*.pkl,sensor_blobs/}
    <root>/config/train_test_split/tiny_two_stage.yaml and scene_filter/tiny_two_stage.yaml, for Hydra's --config-dir

A synthetic scene is four frames of a log, seen by an ego that stands somewhere else; what follows them is the log.
The logs are ours (a car in traffic, one before red lights, one on an empty road).
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence, Tuple

import numpy as np
import yaml

from latentvla_agent.data.logs import LogFrame, read_log
from latentvla_agent.data.maps import MAP_VERSIONS_FILE
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene import BoxIndex, frame_from_log, to_global_frame, to_local_frame
from latentvla_agent.data.sensors import CAMERA_NAMES

SPLIT, LOGS = "tiny_two_stage", "tiny"
HISTORY, FUTURE = 4, 8  # frames, as in NAVSIM's two-stage splits: the window ends 4 s after its current frame
LATER = 10  # frames after the present of a synthetic scene
Offset = Tuple[float, float, float]  # forward, left [m] and heading [rad] by which the ego is moved
Save = Callable[["SyntheticDescription", Path], None]


@dataclass(frozen=True)
class Group:
    """Two scenes of a log, that with this current frame and the one before; and where second stages begin."""

    log: str
    frame: int
    offsets: Tuple[Offset, ...]


GROUPS = (  # most begin where a constant velocity leads, so that their weights differ
    Group("2021.09.09.09.46.00_veh-18_00172_05489", 13, ((-1.3, 0.2, 0.02), (0.4, -0.6, -0.03), (-0.9, 0.9, 0.05))),
    Group("2022.04.17.16.14.00_veh-13_00592_08219", 11, ((-1.2, 0.1, 0.01), (-0.6, -0.4, -0.04))),
    Group("2022.12.24.19.13.00_veh-21_00244_03836", 12, ((-1.8, 0.2, 0.03), (-2.2, -0.5, -0.02))),
)


@dataclass(frozen=True)
class RoadUser:
    """A box in global coordinates: centre (x, y, heading), extent (length, width, height), velocity (x, y)."""

    name: str
    center: Tuple[float, float, float]
    extent: Tuple[float, float, float]
    velocity: Tuple[float, float]
    instance_token: str
    track_token: str


@dataclass(frozen=True)
class LaterFrame:
    """What is known of a moment after the scene's last frame."""

    timestamp: int
    lights: Tuple[Tuple[int, bool], ...]
    users: Tuple[RoadUser, ...]


@dataclass(frozen=True)
class SyntheticDescription:
    """A synthetic scene: `content` is the plain part of its pickle."""

    content: Dict[str, Any]
    later: Tuple[LaterFrame, ...]

    @property
    def token(self) -> str:
        """The 17 characters that name it."""
        token: str = self.content["scene_metadata"]["initial_token"]
        return token


@dataclass(frozen=True)
class TwoStageSet:
    """What was written, and where."""

    root: Path
    descriptions: Tuple[SyntheticDescription, ...]
    mapping: Sequence[Any]

    @property
    def config(self) -> Path:
        """For Hydra's `--config-dir`."""
        return self.root / "config"

    @property
    def split_file(self) -> Path:
        """The YAML of the split."""
        return self.config / "train_test_split" / f"{SPLIT}.yaml"

    @property
    def scenes(self) -> Path:
        """Folder of the synthetic scenes."""
        return self.root / "navhard_two_stage" / "synthetic_scene_pickles"


def write_two_stage_set(root: Path, save: Save, groups: Sequence[Group] = GROUPS) -> TwoStageSet:
    """Write all files below `root`; `save` writes one synthetic scene into a folder."""
    roots = find_roots(environ={})
    descriptions: List[SyntheticDescription] = []
    mapping: List[Any] = []
    for folder in ("sensor_blobs/tiny", "navhard_two_stage/sensor_blobs", f"navsim_logs/{LOGS}"):
        (root / folder).mkdir(parents=True)
    for group in groups:
        source = roots.logs / "embedded" / f"{group.log}.pkl"
        shutil.copy(source, root / "navsim_logs" / LOGS)
        frames = read_log(source)
        pairs = [[_move(frames, group.frame - back, offset) for back in (0, 1)] for offset in group.offsets]
        descriptions += [description for pair in pairs for description in pair]
        tokens = [[description.token for description in pair] for pair in pairs]
        mapping.append([frames[group.frame]["token"], frames[group.frame - 1]["token"], tokens])
    _write_maps(roots.maps, root / "maps")
    written = TwoStageSet(root, tuple(descriptions), mapping)
    written.scenes.mkdir()
    for description in descriptions:
        save(description, written.scenes)
    _write_config(written, [group.log for group in groups])
    return written


def _write_maps(source: Path, folder: Path) -> None:
    """The devkit opens all four locations: those that we have no map of get that of another."""
    folder.mkdir()
    shutil.copy(source / MAP_VERSIONS_FILE, folder)
    stand_in, *_ = sorted(source.glob("*/*/map.gpkg"))
    for location, entry in json.loads((source / MAP_VERSIONS_FILE).read_text()).items():
        place = Path(location, entry["version"], "map.gpkg")
        (folder / place).parent.mkdir(parents=True)
        shutil.copy(source / place if (source / place).is_file() else stand_in, folder / place)


def _write_config(written: TwoStageSet, logs: Sequence[str]) -> None:
    split = {"defaults": [{"scene_filter": SPLIT}], "data_split": LOGS, "reactive_all_mapping": written.mapping}
    scene_filter = {
        "_target_": "navsim.common.dataclasses.SceneFilter",
        "_convert_": "all",
        "num_history_frames": HISTORY,
        "num_future_frames": FUTURE,
        "frame_interval": 1,
        "has_route": True,
        "max_scenes": None,
        "include_synthetic_scenes": True,
        "log_names": list(logs),
        "tokens": [token for group in written.mapping for token in group[:2]],
        "reactive_synthetic_initial_tokens": [description.token for description in written.descriptions],
    }
    filter_file = written.split_file.parent / "scene_filter" / written.split_file.name
    filter_file.parent.mkdir(parents=True)
    filter_file.write_text(yaml.safe_dump(scene_filter, sort_keys=False), encoding="utf-8")
    written.split_file.write_text(yaml.safe_dump(split, sort_keys=False), encoding="utf-8")


def _move(frames: Sequence[LogFrame], first_stage: int, offset: Offset) -> SyntheticDescription:
    """The scene that begins where the first-stage scene at this frame ends, with the ego moved."""
    current = first_stage + FUTURE
    history = range(current - HISTORY + 1, current + 1)
    tokens = [_make_token(frames[index]["token"], offset) for index in history]
    metadata = {
        "log_name": frames[current]["log_name"],
        "scene_token": tokens[-1],
        "map_name": frames[current]["map_location"],
        "initial_token": tokens[-1],
        "num_history_frames": HISTORY,
        "num_future_frames": 0,
        "corresponding_original_scene": frames[current]["token"],
        "corresponding_original_initial_token": frames[first_stage]["token"],
    }
    content = {
        "scene_metadata": metadata,
        "frames": [_move_frame(frames[index], token, offset) for index, token in zip(history, tokens)],
    }
    return SyntheticDescription(content, tuple(_look_ahead(frames[current + k]) for k in range(1, LATER + 1)))


def _make_token(token: str, offset: Offset) -> str:
    return hashlib.sha256(f"{token} {offset}".encode()).hexdigest()[:17]


def _move_frame(entry: LogFrame, token: str, offset: Offset) -> Dict[str, Any]:
    frame, shift = frame_from_log(entry), np.array(offset)
    status, annotations = frame.ego_status, frame.annotations
    boxes = annotations.boxes.copy()
    columns = [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING]
    boxes[:, columns] = to_local_frame(boxes[:, columns].astype(np.float64), shift)
    velocity = annotations.velocity_3d.copy()
    velocity[:, :2] = velocity[:, :2] @ _rotation(-offset[2]).T
    return {
        "token": token,
        "timestamp": frame.timestamp,
        "roadblock_ids": list(frame.roadblock_ids),
        "traffic_lights": [(int(connector), is_red) for connector, is_red in frame.traffic_lights],
        "annotations": {
            "boxes": boxes,
            "names": list(annotations.names),
            "velocity_3d": velocity,
            "instance_tokens": list(annotations.instance_tokens),
            "track_tokens": list(annotations.track_tokens),
        },
        "ego_status": {
            "ego_pose": to_global_frame(shift, status.ego_pose),
            "ego_velocity": np.array(status.ego_velocity),
            "ego_acceleration": np.array(status.ego_acceleration),
            "driving_command": np.array(status.driving_command),
            "in_global_frame": True,
        },
        "lidar_path": None,
        "camera_dict": {name: _describe_camera(name, token) for name in CAMERA_NAMES},
    }


def _describe_camera(name: str, token: str) -> Dict[str, Any]:
    return {
        "data_path": f"{token}/{name.upper()}.jpg",
        "sensor2lidar_rotation": np.eye(3),
        "sensor2lidar_translation": np.zeros(3),
        "cam_intrinsic": np.eye(3),
        "distortion": np.zeros(5),
    }


def _look_ahead(entry: LogFrame) -> LaterFrame:
    frame = frame_from_log(entry)
    pose, annotations = frame.ego_status.ego_pose, frame.annotations
    boxes = annotations.boxes.astype(np.float64)
    centers = to_global_frame(boxes[:, [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING]], pose)
    velocities = annotations.velocity_3d[:, :2].astype(np.float64) @ _rotation(pose[2]).T
    users = tuple(
        RoadUser(name, _as_tuple(center), _as_tuple(box[3:6]), _as_tuple(velocity), instance, track)
        for name, center, box, velocity, instance, track in zip(
            annotations.names, centers, boxes, velocities, annotations.instance_tokens, annotations.track_tokens
        )
    )
    return LaterFrame(frame.timestamp, tuple((int(id_), is_red) for id_, is_red in frame.traffic_lights), users)


def _as_tuple(values: Any) -> Any:
    return tuple(float(value) for value in values)


def _rotation(angle: float) -> Any:
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
