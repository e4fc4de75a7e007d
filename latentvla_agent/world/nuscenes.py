"""Drives of the embedded world as a miniature nuScenes database: another rig, and traffic on either side of the road.

The world has right-hand traffic alone. A drive on the left is its mirror image: poses, boxes, points and map with y
turned to -y. A picture of it is the mirror image of what a mirrored camera sees in the world as it is. So houses,
weather and lights are those of the right-hand drive, and nothing in it is drawn anew; but neither are there the
drivers, junctions or markings that left-hand countries have beyond that.
"""

from __future__ import annotations

from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence

import numpy as np
import shapely

from latentvla_agent.data.logs import read_log
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.nuscenes.map import EXPANSION_FOLDER
from latentvla_agent.data.nuscenes.map_writer import write_expansion
from latentvla_agent.data.nuscenes.sensor_writer import remove_leftovers
from latentvla_agent.data.nuscenes.writer import check_unwritten, write_database
from latentvla_agent.data.scene import FloatArray
from latentvla_agent.errors import DataError
from latentvla_agent.world.nuscenes_drives import (
    LOCATIONS,
    Drive,
    DriveMaker,
    DriveSensors,
    MiniatureConfig,
    list_drives,
)
from latentvla_agent.world.nuscenes_rig import Placement

MAP_RADIUS_M = 200.0  # around the driven path
Render = Callable[[Sequence[Drive]], None]  # sees to it that the sensor files of drives are there


def write_miniature(
    out: Path, maps: Path, logs: Sequence[Path], config: MiniatureConfig, render: Optional[Render] = None
) -> int:
    """Write the drives of some logs, with the maps around them; returns how many there are.

    `render` writes the sensor files with `DriveSensors`, wherever it likes; default: here, one after the other. Those
    that are there are kept, so that a call that was killed goes on; the caller answers for their being of the same
    drives. The tables come last. A log with a gap is several drives. Raises `DataError` where `out` holds the version
    already, for a location that nuScenes has no name for, and for logs without drives.
    """
    check_unwritten(out, config.version)
    drives, paths, store = list_drives(logs, config.max_frames), _collect_paths(logs), MapStore(maps)
    remove_leftovers(out)
    placements = {location: _write_map(out, store, location, paths[location], config.left_hand) for location in paths}
    if render is None:
        write_sensors = DriveSensors(out, maps, config)
        for drive in drives:
            write_sensors(drive)
    else:
        render(drives)
    maker = DriveMaker(maps, config)
    records = (maker.make(drive, placements) for drive in drives)
    write_database(out, config.version, records, with_sensors=False)
    return len(drives)


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
