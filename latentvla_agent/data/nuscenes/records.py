"""A drive of our own, as it is written to a nuScenes database."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Mapping, Sequence

from latentvla_agent.data.calibration import CameraCalibration
from latentvla_agent.data.checks import find_path_problem
from latentvla_agent.data.nuscenes.sensors import CAMERA_OF_CHANNEL
from latentvla_agent.data.scene import Frame
from latentvla_agent.data.sensor_files import Image, PointCloud
from latentvla_agent.errors import DataError


@dataclass(frozen=True, eq=False)
class DriveRecord:
    """A drive: frames in time order, and of each frame maybe pictures (by channel, such as CAM_FRONT) and points.

    `rig`: the cameras by channel, in the ego frame. `points` (6, N) are those of `sensor_files.LidarIndex`, in the ego
    frame; a frame without gets an empty file. Each picture and cloud is asked for once, or not at all where its file is
    kept: they may be made on demand. The frames' tokens become those of the samples. `has_motion`: the frames know
    velocity and acceleration better than their poses tell, and these are written as messages of the CAN bus.
    """

    name: str
    log_name: str
    location: str
    frames: Sequence[Frame]
    rig: Mapping[str, CameraCalibration] = field(default_factory=dict)
    pictures: Sequence[Mapping[str, Image]] = field(default_factory=list)
    points: Sequence[PointCloud] = field(default_factory=list)
    has_motion: bool = False


def check_drive(drive: DriveRecord) -> None:
    """Raise `DataError` for a drive without frames, and for boxes or numbers of pictures that do not fit it."""
    unknown = sorted(set(drive.rig) - set(CAMERA_OF_CHANNEL))
    if unknown:
        raise DataError(f"drive {drive.name}: expected cameras among {', '.join(CAMERA_OF_CHANNEL)}, got {unknown}")
    problem = "expected a name, got a path" if "/" in drive.name else find_path_problem(drive.name)
    if problem is not None:
        raise DataError(f"drive {drive.name[:64]!r}: {problem}")
    if not drive.frames:
        raise DataError(f"drive {drive.name}: expected frames, got none")
    for what, given in (("pictures", drive.pictures), ("points", drive.points)):
        if len(given) not in (0, len(drive.frames)):
            raise DataError(f"drive {drive.name}: expected {what} of {len(drive.frames)} frames, got of {len(given)}")
    for frame in drive.frames:
        tracks = frame.annotations.track_tokens
        if len(set(tracks)) < len(tracks):
            raise DataError(f"drive {drive.name}: frame {frame.token}: expected one box of each track, got two of one")


def check_picture(drive: DriveRecord, channel: str, picture: Image) -> None:
    """Raise `DataError` for a picture that does not fit the rig."""
    camera = drive.rig.get(channel)
    if camera is None or picture.shape != (camera.height, camera.width, 3):
        expected = "a camera of the rig" if camera is None else f"{camera.height} x {camera.width} x 3"
        raise DataError(f"drive {drive.name}: {channel}: expected {expected}, got {picture.shape}")
