"""Synthetic scenes of NAVSIM v2.2, the second stage of its two-stage splits: one pickle per scene, read without NAVSIM.

What follows the last frame, lights and road users for the official scorer, stands in the file as objects of nuPlan;
nothing here needs them, so they load as inert records and are left aside.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Dict, List, Mapping, Optional

import numpy as np

from latentvla_agent.data.checks import (
    OBJECT_NAMES,
    Check,
    describe,
    find_path_problem,
    find_problem,
    find_row_problem,
    holds_ids,
    holds_object_names,
    holds_texts,
    holds_traffic_lights,
    is_count,
    is_optional_text,
    is_table,
    is_text,
    is_timestamp,
    is_vector,
)
from latentvla_agent.data.devkit_records import LIGHT_CLASSES, PATH_CLASSES, TRACK_CLASSES, make_stand_ins
from latentvla_agent.data.pickles import Record, load_pickle, read_content
from latentvla_agent.data.scene import Annotations, EgoStatus, Frame, Scene, SceneMetadata
from latentvla_agent.data.sensors import LogSensors
from latentvla_agent.errors import DataError

STAND_INS = make_stand_ins({**TRACK_CLASSES, **LIGHT_CLASSES, **PATH_CLASSES})


@dataclass(frozen=True)
class SyntheticScene(Scene):
    """A scene that was moved away from its log. Its frames end with the present: there is no human future."""

    pose_type: ClassVar[Any] = np.float64


def list_synthetic_scenes(folder: Path) -> List[Path]:
    """All scenes (`*.pkl`) directly in the folder, sorted by name; raises `DataError` where there are none."""
    if not folder.is_dir():
        got = "a file" if folder.exists() else "nothing"
        raise DataError(
            f"{folder}: expected a folder of synthetic scenes, got {got}; name another with --synthetic-scenes"
        )
    paths = sorted((path for path in folder.glob("*.pkl") if path.is_file()), key=lambda path: path.name)
    if not paths:
        raise DataError(f"{folder}: expected pickles of synthetic scenes (*.pkl), got none")
    return paths


def read_synthetic_scene(
    path: Path, maps: Optional[Any] = None, sensor_files: Optional[LogSensors] = None
) -> SyntheticScene:
    """The scene of a file; `maps` is what `Scene.map_api` loads city maps from, `sensor_files` where its pictures lie.

    Raises `DataError` naming file, frame, key, expected and got, or `UnsafePickleError`. Sensor files are not opened,
    and their paths stay in their root.
    """
    content = load_pickle(path, read_content(path), STAND_INS)
    problem = _find_scene_problem(content)
    if problem is not None or not isinstance(content, dict):
        raise DataError(f"{path}: {problem}")
    metadata = {key: content["scene_metadata"][key] for key in _METADATA_CHECKS}
    frames = [_build_frame(frame) for frame in content["frames"]]
    return SyntheticScene(SceneMetadata(**metadata), frames, maps, sensor_files)


def _find_scene_problem(content: object) -> Optional[str]:
    if not isinstance(content, dict):
        return f"expected the dict of a synthetic scene, got {describe(content)}"
    problem = find_problem(content, _SCENE_CHECKS)
    if problem is not None:
        return problem
    metadata, frames = content["scene_metadata"], content["frames"]
    problem = find_problem(metadata, _METADATA_CHECKS, "scene_metadata.")
    if problem is not None:
        return problem
    if len(frames) < metadata["num_history_frames"]:
        return f"frames: expected at least {metadata['num_history_frames']} (num_history_frames), got {len(frames)}"
    for index, frame in enumerate(frames):
        problem = _find_frame_problem(frame)
        if problem is not None:
            return f"frame {index}: {problem}"
    token, current = metadata["initial_token"], frames[metadata["num_history_frames"] - 1]["token"]
    if token != current:
        return f"scene_metadata.initial_token: expected the current frame's {current}, got {token}"
    return None


def _find_frame_problem(frame: object) -> Optional[str]:
    if not isinstance(frame, dict):
        return f"expected a dict, got {describe(frame)}"
    return (
        find_problem(frame, _FRAME_CHECKS)
        or find_problem(frame["ego_status"], _STATUS_CHECKS, "ego_status.")
        or find_row_problem(frame["annotations"], _ANNOTATION_CHECKS, "annotations.")
        or _find_path_problem("lidar_path", frame["lidar_path"])
        or _find_camera_problem(frame["camera_dict"])
    )


def _find_camera_problem(cameras: Mapping[Any, Any]) -> Optional[str]:
    for name, camera in cameras.items():
        if not isinstance(camera, dict):
            return f"camera_dict.{name}: expected a dict, got {describe(camera)}"
        problem = _find_path_problem(f"camera_dict.{name}.data_path", camera.get("data_path"))
        if problem is not None:
            return problem
    return None


def _find_path_problem(key: str, value: Any) -> Optional[str]:
    path = _as_path(value)
    if path is None:
        return None if value is None else f"{key}: expected a path, got {describe(value)}"
    problem = None if path == PurePosixPath() else find_path_problem(path)  # an empty one is none
    return None if problem is None else f"{key}: {problem}"


def _as_path(value: Any) -> Optional[PurePosixPath]:
    """A text, or the parts of a path object, as a path; None for anything else."""
    if isinstance(value, Record) and type(value).__name__ in ("PosixPath", "WindowsPath"):
        parts = value.arguments()
        return PurePosixPath(*parts) if all(isinstance(part, str) for part in parts) else None
    return PurePosixPath(value) if isinstance(value, str) else None


def _build_frame(frame: Dict[str, Any]) -> Frame:
    annotations, status = frame["annotations"], frame["ego_status"]
    cameras = {
        name: {**camera, "data_path": str(_as_path(camera["data_path"]))} if camera.get("data_path") else {}
        for name, camera in frame["camera_dict"].items()
    }
    lidar = _as_path(frame["lidar_path"] or None)
    return Frame(
        token=frame["token"],
        timestamp=int(frame["timestamp"]),
        roadblock_ids=[str(id_) for id_ in frame["roadblock_ids"]],
        traffic_lights=[(str(connector), bool(is_red)) for connector, is_red in frame["traffic_lights"]],
        annotations=Annotations(**{key: annotations[key] for key in _ANNOTATION_CHECKS}),
        ego_status=EgoStatus(**{key: np.asarray(status[key]) for key in _STATUS_CHECKS}, in_global_frame=True),
        sensors={"cams": cameras, "lidar_path": None if lidar is None else str(lidar)},
    )


_SCENE_CHECKS: Dict[str, Check] = {
    "scene_metadata": ("a dict", lambda value: isinstance(value, dict)),
    "frames": ("a list of frames", lambda value: isinstance(value, list)),
}

_METADATA_CHECKS: Dict[str, Check] = {
    "log_name": ("a text", is_text),
    "scene_token": ("a text", is_text),
    "map_name": ("a text", is_text),
    "initial_token": ("a text", is_text),
    "num_history_frames": ("a whole number of at least 1", lambda value: is_count(value) and value > 0),
    "num_future_frames": ("a whole number of at least 0", is_count),
    "corresponding_original_scene": ("a text or None", is_optional_text),
    "corresponding_original_initial_token": ("a text or None", is_optional_text),
}

_FRAME_CHECKS: Dict[str, Check] = {
    "token": ("a text", is_text),
    "timestamp": ("an integer (microseconds)", is_timestamp),
    "roadblock_ids": ("a list of ids", holds_ids),
    "traffic_lights": ("a list of (lane connector id, is red)", holds_traffic_lights),
    "annotations": ("a dict", lambda value: isinstance(value, dict)),
    "ego_status": ("a dict", lambda value: isinstance(value, dict)),
    "lidar_path": ("a path or None", lambda value: True),
    "camera_dict": ("a dict", lambda value: isinstance(value, dict)),
}

_STATUS_CHECKS: Dict[str, Check] = {
    "ego_pose": ("3 finite numbers x, y, heading", is_vector(3)),
    "ego_velocity": ("2 finite numbers", is_vector(2)),
    "ego_acceleration": ("2 finite numbers", is_vector(2)),
    "driving_command": ("4 finite numbers, one-hot", is_vector(4)),
}

_ANNOTATION_CHECKS: Dict[str, Check] = {
    "boxes": ("finite numbers of shape (N, 7)", is_table(7)),
    "names": (f"names among {', '.join(OBJECT_NAMES)}", holds_object_names),
    "velocity_3d": ("finite numbers of shape (N, 3)", is_table(3)),
    "instance_tokens": ("a list of texts", holds_texts),
    "track_tokens": ("a list of texts", holds_texts),
}
