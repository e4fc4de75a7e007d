"""Drives of the embedded world as a miniature nuScenes database: another rig, and traffic on either side of the road.

The world has right-hand traffic alone. A drive on the left is its mirror image: poses, boxes, points and map with y
turned to -y. A picture of it is the mirror image of what a mirrored camera sees in the world as it is. So houses,
weather and lights are those of the right-hand drive, and nothing in it is drawn anew; but neither are there the
drivers, junctions or markings that left-hand countries have beyond that.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.data.calibration import CameraCalibration
from latentvla_agent.data.logs import LogFrame, read_log
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.nuscenes.map import EXPANSION_FOLDER
from latentvla_agent.data.nuscenes.map_writer import write_expansion
from latentvla_agent.data.nuscenes.records import DriveRecord
from latentvla_agent.data.nuscenes.writer import write_database
from latentvla_agent.data.scene import LOG_INTERVAL_S, FloatArray, frame_from_log
from latentvla_agent.data.sensor_files import Image, LidarIndex, PointCloud
from latentvla_agent.errors import DataError
from latentvla_agent.world.nuscenes_rig import Placement, make_rig, mirror_camera
from latentvla_agent.world.rendering.cache import SensorRenderer
from latentvla_agent.world.rendering.renderer import Renderer

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
MAP_RADIUS_M = 200.0  # around the driven path


@dataclass(frozen=True)
class MiniatureConfig:
    """How drives are written. `picture_size` (width, height) [px]; None: without pictures and points."""

    left_hand: bool = False
    picture_size: Optional[Tuple[int, int]] = (800, 450)
    max_frames: Optional[int] = None  # of a drive
    version: str = "v1.0-mini"


class _Pictures(Sequence[Mapping[str, Image]]):
    """Pictures of a drive's raw frames, rendered when asked for."""

    def __init__(
        self, renderer: Renderer, frames: Sequence[LogFrame], rig: Mapping[str, CameraCalibration], mirrored: bool
    ) -> None:
        self._renderer, self._frames, self._mirrored = renderer, frames, mirrored
        self._rig = {channel: mirror_camera(camera) if mirrored else camera for channel, camera in rig.items()}

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> Mapping[str, Image]:  # type: ignore[override]
        frame = self._frames[number]
        pictures = {name: self._renderer.render_camera(frame, camera) for name, camera in self._rig.items()}
        if self._mirrored:
            pictures = {name: np.ascontiguousarray(picture[:, ::-1]) for name, picture in pictures.items()}
        return pictures


class _Points(Sequence[PointCloud]):
    """Points of the roof lidar of a drive's raw frames, scanned when asked for."""

    def __init__(self, renderer: Renderer, frames: Sequence[LogFrame], mirrored: bool) -> None:
        self._renderer, self._frames, self._mirrored = renderer, frames, mirrored

    def __len__(self) -> int:
        return len(self._frames)

    def __getitem__(self, number: int) -> PointCloud:  # type: ignore[override]
        points = self._renderer.scan_lidar(self._frames[number])
        points = points[:, points[LidarIndex.LIDAR] == ROOF_LIDAR]
        if self._mirrored:
            points[LidarIndex.Y] *= -1.0
        return points


def write_miniature(out: Path, maps: Path, logs: Sequence[Path], config: MiniatureConfig) -> int:
    """Write the drives of some logs, with the maps around them; returns how many there are.

    A log with a gap is several drives. Raises `DataError` where `out` holds the version already, for a location that
    nuScenes has no name for, and for logs without drives.
    """
    store = MapStore(maps)
    placements = {
        location: _write_map(out, store, location, paths, config.left_hand)
        for location, paths in _collect_paths(logs).items()
    }
    counter = _Counter(_make_drives(maps, logs, placements, config))
    write_database(out, config.version, counter)
    return counter.count


class _Counter(Iterator[DriveRecord]):
    """Drives, counted as they are taken; raises `DataError` where there is none."""

    def __init__(self, drives: Iterator[DriveRecord]) -> None:
        self.count, self._drives = 0, drives

    def __next__(self) -> DriveRecord:
        drive = next(self._drives, None)
        if drive is None and self.count == 0:
            raise DataError(f"expected logs of at least {MIN_FRAMES} frames in a row, got none")
        if drive is None:
            raise StopIteration
        self.count += 1
        return drive


def _collect_paths(logs: Sequence[Path]) -> Dict[str, List[FloatArray]]:
    """Driven points (F, 2) by location."""
    paths: Dict[str, List[FloatArray]] = {}
    for log in logs:
        frames = read_log(log)
        points = np.array([frame["ego2global_translation"][:2] for frame in frames], np.float64).reshape(-1, 2)
        if len(points):
            location = str(frames[0]["map_location"])
            if location not in LOCATIONS:
                raise DataError(f"{log}: expected a location among {', '.join(LOCATIONS)}, got {location!r}")
            paths.setdefault(location, []).append(points)
    return paths


def _write_map(out: Path, store: MapStore, location: str, paths: Sequence[FloatArray], left_hand: bool) -> Placement:
    """Write what of a map lies around the paths, and say where it lies in the database."""
    area = shapely.union_all([shapely.MultiPoint(path).buffer(MAP_RADIUS_M) for path in paths])
    left, low, right, high = area.bounds
    corner = (left, -high if left_hand else low)
    placement = Placement(left_hand, (float(np.floor(corner[0])), float(np.floor(corner[1]))))
    path = out / EXPANSION_FOLDER / f"{LOCATIONS[location]}.json"
    write_expansion(path, store.load(location), area, placement.place)
    return placement


def _make_drives(
    maps: Path, logs: Sequence[Path], placements: Mapping[str, Placement], config: MiniatureConfig
) -> Iterator[DriveRecord]:
    source = SensorRenderer(maps)
    rig = {} if config.picture_size is None else make_rig(*config.picture_size)
    number = 0
    for log in logs:
        for raw in _split_at_gaps(read_log(log), config.max_frames):
            number += 1
            placement = placements[str(raw[0]["map_location"])]
            sensors: Dict[str, Any] = {}
            if config.picture_size is not None:
                renderer = source.open_log(log).renderer
                sensors = {
                    "pictures": _Pictures(renderer, raw, rig, config.left_hand),
                    "points": _Points(renderer, raw, config.left_hand),
                }
            yield DriveRecord(
                name=f"scene-{number:04d}",
                log_name=str(raw[0]["log_name"]),
                location=LOCATIONS[str(raw[0]["map_location"])],
                frames=[placement.place_frame(frame_from_log(frame)) for frame in raw],
                rig=rig,
                has_motion=True,
                **sensors,
            )


def _split_at_gaps(frames: Sequence[LogFrame], max_frames: Optional[int]) -> List[List[LogFrame]]:
    parts: List[List[LogFrame]] = []
    for frame in frames:
        gap = (frame["timestamp"] - parts[-1][-1]["timestamp"]) * 1e-6 if parts else np.inf
        if gap > MAX_GAP_S:
            parts.append([])
        parts[-1].append(frame)
    return [part[:max_frames] for part in parts if len(part[:max_frames]) >= MIN_FRAMES]
