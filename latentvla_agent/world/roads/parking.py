"""Parking beside roads: bays along kerbs and lots behind them, few, because all of them count as drivable area."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import List, Optional, Sequence

import numpy as np
import shapely
from shapely import Polygon

from latentvla_agent.world.roads.areas import enclose
from latentvla_agent.world.roads.curves import Line, cut, measure_arc, offset_line
from latentvla_agent.world.roads.lanes import RoadLane, Roads


@dataclass(frozen=True)
class ParkingConfig:
    """Sizes and shares of parking."""

    bay_share: float = 0.35  # of the kerbs without a pavement
    bay_depth_m: float = 2.4
    bay_length_m: float = 6.0
    bay_count: int = 6  # at most, in a row
    lot_share: float = 0.08  # of all kerbs
    lot_size_m: float = 18.0
    lot_gap_m: float = 6.0  # between the road and its lot
    ends_m: float = 25.0  # nothing so near to a junction
    clearance_m: float = 1.0  # a kerb with a pavement so near has no bay
    touch_m: float = 0.05  # overlap that doesn't count


def draw_parking(roads: Roads, occupied: Sequence[Polygon], config: ParkingConfig) -> List[Polygon]:
    """Parking areas beside the rightmost lanes that keep clear of `occupied`; the same for the same roads."""
    rng = np.random.Generator(np.random.PCG64(_digest(roads)))
    taken = list(occupied)
    pavements = shapely.STRtree(list(roads.walkways.values()) + list(roads.bicycle_lanes.values()))
    areas: List[Polygon] = []
    for lanes in roads.edges().values():
        bay, lot, place = rng.random(3)
        kerb = offset_line(lanes[-1].line, -0.5 * lanes[-1].width)
        walled = len(pavements.query(shapely.LineString(kerb).buffer(config.clearance_m), predicate="intersects")) > 0
        area = None
        if bay < config.bay_share and not walled:
            area = _draw_bay(kerb, place, config)
        elif lot < config.lot_share:
            area = _draw_lot(lanes[-1], place, config)
        if area is not None and _is_free(area, taken, config):
            areas.append(area)
            taken.append(area)
    return areas


def _digest(roads: Roads) -> int:
    lines = [lane.line for lane in roads.lanes.values()]
    return zlib.crc32(np.round(np.vstack(lines), 3).tobytes())


def _draw_bay(kerb: Line, place: float, config: ParkingConfig) -> Optional[Polygon]:
    room = measure_arc(kerb)[-1] - 2.0 * config.ends_m
    count = min(int(room / config.bay_length_m), config.bay_count)
    if count < 1:
        return None
    start = config.ends_m + place * (room - count * config.bay_length_m)
    front = cut(kerb, start, start + count * config.bay_length_m)
    return enclose(front, offset_line(front, -config.bay_depth_m))


def _draw_lot(lane: RoadLane, place: float, config: ParkingConfig) -> Optional[Polygon]:
    length = measure_arc(lane.line)[-1]
    if length < 2.0 * config.ends_m + config.lot_size_m:
        return None
    start = config.ends_m + place * (length - 2.0 * config.ends_m - config.lot_size_m)
    chord = cut(lane.line, start, start + config.lot_size_m)[[0, -1]]
    near, far = 0.5 * lane.width + config.lot_gap_m, 0.5 * lane.width + config.lot_gap_m + config.lot_size_m
    return enclose(offset_line(chord, -near), offset_line(chord, -far))


def _is_free(area: Polygon, taken: Sequence[Polygon], config: ParkingConfig) -> bool:
    """Whether `area` overlaps nothing; bays touch their lane."""
    core = area.buffer(-config.touch_m)
    return not bool(np.any(shapely.intersects(np.array(taken, dtype=object), core)))
