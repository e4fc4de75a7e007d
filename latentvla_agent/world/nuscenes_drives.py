"""The drives of a miniature nuScenes database, with pictures and points that are rendered when asked for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from latentvla_agent.data.calibration import CameraCalibration
from latentvla_agent.data.logs import LogFrame, read_log
from latentvla_agent.data.nuscenes.records import DriveRecord
from latentvla_agent.data.nuscenes.sensor_writer import write_sensors
from latentvla_agent.data.scene import LOG_INTERVAL_S, frame_from_log
from latentvla_agent.data.sensor_files import Image, LidarIndex, PointCloud
from latentvla_agent.errors import DataError
from latentvla_agent.world.nuscenes_rig import Placement, make_rig, mirror_camera
from latentvla_agent.world.rendering.cache import OpenLog, SensorRenderer

LOCATIONS: Mapping[str, str] = MappingProxyType(  # nuScenes' own, whose devkit knows no others
    {
        "us-ma-boston": "boston-seaport",
        "sg-one-north": "singapore-onenorth",
        "us-nv-las-vegas-strip": "singapore-hollandvillage",
        "us-pa-pittsburgh-hazelwood": "singapore-queenstown",
    }
)
ROOF_LIDAR = 0
MAX_GAP_S = 1.2 * LOG_INTERVAL_S  # between two frames of a drive
MIN_FRAMES = 2


@dataclass(frozen=True)
class MiniatureConfig:
    """How drives are written. `picture_size` (width, height) [px]; None: without pictures and points."""

    left_hand: bool = False
    picture_size: Optional[Tuple[int, int]] = (800, 450)
    max_frames: Optional[int] = None  # of a drive
    version: str = "v1.0-mini"


@dataclass(frozen=True)
class Drive:
    """Frames `start` to `end` of a log, and the name of the scene that they become."""

    name: str
    log: Path
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


def list_drives(logs: Sequence[Path], max_frames: Optional[int]) -> List[Drive]:
    """The drives of some logs; a log with a gap is several. Raises `DataError` where there is none."""
    drives: List[Drive] = []
    for log in logs:
        for start, end in _split_at_gaps(read_log(log), max_frames):
            drives.append(Drive(f"scene-{len(drives) + 1:04d}", log, start, end))
    if not drives:
        raise DataError(f"expected logs of at least {MIN_FRAMES} frames in a row, got none")
    return drives


def _split_at_gaps(frames: Sequence[LogFrame], max_frames: Optional[int]) -> List[Tuple[int, int]]:
    times = np.array([frame["timestamp"] for frame in frames], np.int64)
    gaps = (np.flatnonzero(np.diff(times) * 1e-6 > MAX_GAP_S) + 1).tolist()
    parts = zip([0, *gaps], [*gaps, len(frames)])
    shortened = [(start, end if max_frames is None else min(end, start + max_frames)) for start, end in parts]
    return [(start, end) for start, end in shortened if end - start >= MIN_FRAMES]


class DriveMaker:
    """Makes the records of drives; a street is built when something is rendered in it."""

    def __init__(self, maps: Path, config: MiniatureConfig) -> None:
        self._source, self._config = SensorRenderer(maps), config
        self._rig = {} if config.picture_size is None else make_rig(*config.picture_size)

    def make(self, drive: Drive, placements: Mapping[str, Placement]) -> DriveRecord:
        """The record of a drive, where its location's placement puts it (default: at the origin)."""
        log, mirrored = self._source.open_log(drive.log), self._config.left_hand
        raw = log.frames[drive.start : drive.end]
        placement = placements.get(str(raw[0]["map_location"]), Placement(mirrored))
        sensors: Dict[str, Any] = {}
        if self._rig:
            sensors = {"pictures": _Pictures(log, raw, self._rig, mirrored), "points": _Points(log, raw, mirrored)}
        return DriveRecord(
            name=drive.name,
            log_name=str(raw[0]["log_name"]),
            location=LOCATIONS[str(raw[0]["map_location"])],
            frames=[placement.place_frame(frame_from_log(frame)) for frame in raw],
            rig=self._rig,
            has_motion=True,
            **sensors,
        )


class DriveSensors:
    """Writes the sensor files of drives, apart from those that are there; one instance per worker process."""

    def __init__(self, out: Path, maps: Path, config: MiniatureConfig) -> None:
        self._out, self._maker = out, DriveMaker(maps, config)

    def __call__(self, drive: Drive) -> bool:
        """Make sure that the files are there; raises `DataError` as `write_sensors` does."""
        write_sensors(self._out, self._maker.make(drive, {}), keep=True)
        return True


class _Pictures(Sequence[Mapping[str, Image]]):
    """Pictures of a drive's raw frames."""

    def __init__(
        self, log: OpenLog, frames: Sequence[LogFrame], rig: Mapping[str, CameraCalibration], mirrored: bool
    ) -> None:
        self._log, self._frames, self._mirrored = log, frames, mirrored
        self._rig = {channel: mirror_camera(camera) if mirrored else camera for channel, camera in rig.items()}

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Mapping[str, Image]:  # type: ignore[override]
        return _FramePictures(self._log, self._frames[number], self._rig, self._mirrored)


class _FramePictures(Mapping[str, Image]):
    """Pictures of one raw frame by channel, each rendered when asked for."""

    def __init__(self, log: OpenLog, frame: LogFrame, rig: Mapping[str, CameraCalibration], mirrored: bool) -> None:
        self._log, self._frame, self._rig, self._mirrored = log, frame, rig, mirrored

    def __iter__(self) -> Iterator[str]:
        return iter(self._rig)

    def __len__(self) -> int:
        return len(self._rig)

    def __getitem__(self, channel: str) -> Image:
        picture = self._log.renderer.render_camera(self._frame, self._rig[channel])
        return np.ascontiguousarray(picture[:, ::-1]) if self._mirrored else picture


class _Points(Sequence[PointCloud]):
    """Points of the roof lidar of a drive's raw frames, scanned when asked for."""

    def __init__(self, log: OpenLog, frames: Sequence[LogFrame], mirrored: bool) -> None:
        self._log, self._frames, self._mirrored = log, frames, mirrored

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> PointCloud:  # type: ignore[override]
        points = self._log.renderer.scan_lidar(self._frames[number])
        points = points[:, points[LidarIndex.LIDAR] == ROOF_LIDAR]
        if self._mirrored:
            points[LidarIndex.Y] *= -1.0
        return points
