"""Writes the sensor files of a drive of our own as nuScenes has them: pictures and lidar sweeps, without the tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from latentvla_agent.data.files import is_leftover
from latentvla_agent.data.nuscenes.map import EXPANSION_FOLDER
from latentvla_agent.data.nuscenes.motion import CAN_FOLDER
from latentvla_agent.data.nuscenes.records import DriveRecord, check_drive, check_picture
from latentvla_agent.data.nuscenes.sensors import LIDAR_CHANNEL, write_sweep
from latentvla_agent.data.rotations import make_transform, quaternion_of_yaw
from latentvla_agent.data.scene import Frame
from latentvla_agent.data.sensor_files import LidarIndex, write_image

LIDAR_PLACE = (0.94, 0.0, 1.84)  # m in the ego frame, as on nuScenes' cars
LIDAR_YAW = -np.pi / 2  # its x axis points to the right
SAMPLES_FOLDER = "samples"


def name_file(drive: DriveRecord, frame: Frame, channel: str) -> str:
    """Path of a sensor file below the root of the database."""
    suffix = "pcd.bin" if channel == LIDAR_CHANNEL else "jpg"
    return f"{SAMPLES_FOLDER}/{channel}/{drive.name}__{channel}__{frame.timestamp}.{suffix}"


def write_sensors(root: Path, drive: DriveRecord, keep: bool = False) -> None:
    """Write the sensor files of a drive, each whole or not at all. `keep`: what is there stays, and is not asked for.

    Raises `DataError` for a drive that `check_drive` refuses, and for pictures or points that do not fit its rig.
    """
    check_drive(drive)
    lidar2ego = make_transform(quaternion_of_yaw(LIDAR_YAW), LIDAR_PLACE)
    for number, frame in enumerate(drive.frames):
        path = root / name_file(drive, frame, LIDAR_CHANNEL)
        if not (keep and path.is_file()):
            points = drive.points[number] if drive.points else np.zeros((len(LidarIndex), 0), np.float32)
            write_sweep(path, points, lidar2ego)
        pictures = drive.pictures[number] if drive.pictures else {}
        for channel in pictures:
            path = root / name_file(drive, frame, channel)
            if not (keep and path.is_file()):
                picture = pictures[channel]
                check_picture(drive, channel, picture)
                write_image(path, picture)


def remove_leftovers(root: Path) -> None:
    """Remove what killed processes left of files that they were writing; nobody may be writing there."""
    for folder in (SAMPLES_FOLDER, EXPANSION_FOLDER, CAN_FOLDER):
        for path in sorted((root / folder).rglob(".*")):
            if is_leftover(path, (".jpg", ".bin", ".json")):
                path.unlink()
