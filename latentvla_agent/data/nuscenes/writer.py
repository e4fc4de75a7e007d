"""Writes a miniature nuScenes database, in the real schema, of drives of our own: for tests, and for other rigs.

All tables of v1.0 with the fields that nuScenes has; every frame is a key frame, there are no sweeps, and the maps are
not drawn (`map_writer` writes them as geometry). The same bytes for the same drives.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

import numpy as np

from latentvla_agent.data.calibration import CameraCalibration
from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.nuscenes.motion import CAN_FOLDER
from latentvla_agent.data.nuscenes.records import DriveRecord, check_drive
from latentvla_agent.data.nuscenes.sensor_writer import LIDAR_PLACE, LIDAR_YAW, name_file, write_sensors
from latentvla_agent.data.nuscenes.sensors import LIDAR_CHANNEL
from latentvla_agent.data.nuscenes.tables import TABLE_NAMES, Row
from latentvla_agent.data.rotations import FloatArray, quaternion_of_matrix, quaternion_of_yaw
from latentvla_agent.data.scene import BoxIndex, Frame, PoseIndex, to_global_frame
from latentvla_agent.errors import DataError

GRAVITY = 9.81  # what the sensor of acceleration feels in a standing car
_CATEGORIES: Mapping[str, str] = MappingProxyType(
    {
        "vehicle": "vehicle.car",
        "pedestrian": "human.pedestrian.adult",
        "bicycle": "vehicle.bicycle",
        "traffic_cone": "movable_object.trafficcone",
        "barrier": "movable_object.barrier",
        "czone_sign": "movable_object.debris",
        "generic_object": "movable_object.pushable_pullable",
    }
)
_VISIBILITY = ("v0-40", "v40-60", "v60-80", "v80-100")


def write_database(root: Path, version: str, drives: Iterable[DriveRecord], *, with_sensors: bool = True) -> None:
    """Write `<root>/<version>/` and `<root>/samples/`, the tables last and at once; drives may be made one by one.

    Without `with_sensors` no picture and no points are asked for: `write_sensors` has written those of every drive.
    Raises `DataError` where the tables are there already, for a drive without frames, for two of one name or token, and
    for pictures or points that do not fit frames and rig.
    """
    check_unwritten(root, version)
    tables = _Tables()
    for drive in drives:
        check_drive(drive)
        _add_drive(tables, drive)
        if with_sensors:
            write_sensors(root, drive)
        if drive.has_motion:
            messages = [_describe_motion(frame) for frame in drive.frames]
            path = root / CAN_FOLDER / f"{drive.name}_pose.json"
            write_atomically(path, json.dumps(messages, indent=0).encode(), durable=False)
    tables.write(root / version)


def check_unwritten(root: Path, version: str) -> None:
    """Raise `DataError` where the tables of a version are there already."""
    folder = root / version
    if folder.exists():
        raise DataError(f"{folder}: expected no such folder, got one; a database is never written over")


class _Tables:
    """Rows of all tables by token. A row that is there already is not made again."""

    def __init__(self) -> None:
        self.rows: Dict[str, Dict[str, Row]] = {name: {} for name in TABLE_NAMES}
        for number, level in enumerate(_VISIBILITY, start=1):  # the one table whose tokens are numbers
            self.rows["visibility"][str(number)] = {"token": str(number), "level": level, "description": ""}

    def add(self, table: str, *key: object, token: str = "", **values: Any) -> str:
        """Token of the row of this key, made of `values` where there is none yet."""
        token = token or hashlib.md5("|".join(map(str, (table, *key))).encode()).hexdigest()
        self.rows[table].setdefault(token, {"token": token, **values})
        return token

    def chain(self, table: str, tokens: Sequence[str]) -> None:
        """Link rows to a list."""
        for token, before, after in zip(tokens, ["", *tokens], [*tokens[1:], ""]):
            self.rows[table][token].update(prev=before, next=after)

    def write(self, folder: Path) -> None:
        """Write all of them to a new folder, or, killed meanwhile, no folder of that name."""
        unfinished = folder.with_name(f".{folder.name}")
        shutil.rmtree(unfinished, ignore_errors=True)
        for name in TABLE_NAMES:
            rows = list(self.rows[name].values())
            write_atomically(unfinished / f"{name}.json", json.dumps(rows, indent=0).encode(), durable=False)
        os.rename(unfinished, folder)


def _add_log(tables: _Tables, drive: DriveRecord) -> str:
    """Token of the drive's log, which its map names."""
    log = tables.add(
        "log",
        drive.log_name,
        logfile=drive.log_name,
        vehicle="minitown",
        date_captured="2026-01-01",
        location=drive.location,
    )
    city = tables.add("map", drive.location, category="semantic_prior", filename="", log_tokens=[])
    if log not in tables.rows["map"][city]["log_tokens"]:
        tables.rows["map"][city]["log_tokens"].append(log)
    return log


def _add_drive(tables: _Tables, drive: DriveRecord) -> None:
    tokens = [frame.token for frame in drive.frames]
    known = [token for token in tokens if token in tables.rows["sample"]]
    if known or len(set(tokens)) < len(tokens) or drive.name in [row["name"] for row in tables.rows["scene"].values()]:
        raise DataError(f"drive {drive.name}: expected a name and tokens of its own, got one that is there already")
    scene = tables.add(
        "scene",
        drive.name,
        log_token=_add_log(tables, drive),
        nbr_samples=len(tokens),
        first_sample_token=tokens[0],
        last_sample_token=tokens[-1],
        name=drive.name,
        description="",
    )
    for frame in drive.frames:
        tables.add("sample", token=frame.token, timestamp=frame.timestamp, prev="", next="", scene_token=scene)
    tables.chain("sample", tokens)
    _add_sensor_data(tables, drive)
    _add_annotations(tables, drive)


def _add_sensor_data(tables: _Tables, drive: DriveRecord) -> None:
    found: Dict[str, List[str]] = {}
    for number, frame in enumerate(drive.frames):
        for channel in (LIDAR_CHANNEL, *(drive.pictures[number] if drive.pictures else {})):
            found.setdefault(channel, []).append(_add_data(tables, drive, frame, channel))
    for tokens in found.values():
        tables.chain("sample_data", tokens)


def _add_data(tables: _Tables, drive: DriveRecord, frame: Frame, channel: str) -> str:
    """A row of `sample_data` with the sensor, its calibration and the ego pose that it names."""
    camera = drive.rig.get(channel)
    modality = "lidar" if camera is None else "camera"
    pose = frame.ego_status.ego_pose
    return tables.add(
        "sample_data",
        frame.token,
        channel,
        sample_token=frame.token,
        ego_pose_token=tables.add(
            "ego_pose",
            frame.token,
            channel,
            timestamp=frame.timestamp,
            rotation=quaternion_of_yaw(float(pose[PoseIndex.HEADING])).tolist(),
            translation=[float(pose[PoseIndex.X]), float(pose[PoseIndex.Y]), 0.0],
        ),
        calibrated_sensor_token=tables.add(
            "calibrated_sensor",
            drive.name,
            channel,
            sensor_token=tables.add("sensor", channel, channel=channel, modality=modality),
            **_describe_mount(camera),
        ),
        timestamp=frame.timestamp,
        fileformat="pcd" if camera is None else "jpg",
        is_key_frame=True,
        height=0 if camera is None else camera.height,
        width=0 if camera is None else camera.width,
        filename=name_file(drive, frame, channel),
        prev="",
        next="",
    )


def _describe_mount(camera: Optional[CameraCalibration]) -> Row:
    """Of a camera, or of the lidar: None."""
    if camera is None:
        rotation, translation, intrinsic = quaternion_of_yaw(LIDAR_YAW), np.array(LIDAR_PLACE), []
    else:
        rotation, translation = quaternion_of_matrix(camera.sensor2lidar_rotation), camera.sensor2lidar_translation
        intrinsic = np.asarray(camera.intrinsic).tolist()
    return {"translation": translation.tolist(), "rotation": rotation.tolist(), "camera_intrinsic": intrinsic}


def _describe_motion(frame: Frame) -> Row:
    """A message of the CAN bus at the moment of a frame."""
    status = frame.ego_status
    pose = status.ego_pose.astype(float)
    return {
        "utime": frame.timestamp,
        "pos": [pose[PoseIndex.X], pose[PoseIndex.Y], 0.0],
        "orientation": quaternion_of_yaw(float(pose[PoseIndex.HEADING])).tolist(),
        "vel": [*status.ego_velocity.astype(float), 0.0],
        "accel": [*status.ego_acceleration.astype(float), GRAVITY],
    }


def _add_annotations(tables: _Tables, drive: DriveRecord) -> None:
    found: Dict[str, List[str]] = {}
    for frame in drive.frames:
        annotations, pose = frame.annotations, frame.ego_status.ego_pose
        for box, name, track in zip(annotations.boxes, annotations.names, annotations.track_tokens):
            category = tables.add("category", _CATEGORIES[name], name=_CATEGORIES[name], description="")
            instance = tables.add("instance", drive.name, track, category_token=category, nbr_annotations=0)
            token = tables.add(
                "sample_annotation",
                frame.token,
                track,
                sample_token=frame.token,
                instance_token=instance,
                visibility_token="4",
                attribute_tokens=[],
                **_describe_box(box.astype(np.float64), pose),
                prev="",
                next="",
                num_lidar_pts=1,
                num_radar_pts=0,
            )
            found.setdefault(instance, []).append(token)
    for instance, tokens in found.items():
        tables.chain("sample_annotation", tokens)
        ends = {"first_annotation_token": tokens[0], "last_annotation_token": tokens[-1]}
        tables.rows["instance"][instance].update(nbr_annotations=len(tokens), **ends)


def _describe_box(box: FloatArray, ego_pose: FloatArray) -> Row:
    pose = to_global_frame(box[[BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING]], ego_pose)
    x, y, heading = (float(pose[column]) for column in PoseIndex)
    size = [float(box[column]) for column in (BoxIndex.WIDTH, BoxIndex.LENGTH, BoxIndex.HEIGHT)]
    return {
        "translation": [x, y, float(box[BoxIndex.Z])],
        "size": size,
        "rotation": quaternion_of_yaw(heading).tolist(),
    }
