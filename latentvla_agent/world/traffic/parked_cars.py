"""Parked cars: boxes that stand in the parking areas of a town for the whole recording."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, List, Optional, Sequence, Tuple

import numpy as np
import shapely
from shapely import Polygon

from latentvla_agent.world.traffic.config import TrafficConfig, VehicleKind
from latentvla_agent.world.traffic.recording import FloatArray, StateIndex, Track
from latentvla_agent.world.traffic.smoothing import measure_arc

if TYPE_CHECKING:
    from latentvla_agent.data.map_layers import MapLayer
    from latentvla_agent.world.roads.lanes import RoadLane, Roads

POSITION_DECIMALS, ANGLE_DECIMALS = 3, 6


@dataclass(frozen=True)
class ParkingPlan:
    """Metres. `share` of the places is taken."""

    share: float = 0.65
    bay_depth: float = 4.0  # narrower areas are bays along a kerb
    bay_spacing: float = 6.0
    bay_ends: float = 3.0  # from an end to the first car's middle
    lot_spacing: float = 2.8
    lot_inset: float = 3.2  # from a lot's edge to the cars' middle
    lot_margin: float = 1.8
    tolerance: float = 0.15  # that a car may stand over the line
    sway: float = 0.03  # nobody parks exactly
    longest: float = 5.7


def areas_of_map(layer: MapLayer, offset: Tuple[float, float]) -> List[Polygon]:
    """Parking areas in the town frame, of the layer carpark_areas of a map that was laid out with `offset`."""
    shapes = shapely.transform(layer.geometry, lambda xy: xy - np.array(offset)) if len(layer.ids) else []
    return [part for shape in shapes for part in shapely.get_parts(shape).tolist()]


def park_cars(
    areas: Sequence[Polygon],
    roads: Roads,
    num_steps: int,
    config: TrafficConfig,
    rng: np.random.Generator,
    plan: ParkingPlan = ParkingPlan(),
) -> List[Track]:
    """Tracks of parked cars, which never move and have no brake lights lit."""
    kinds = [kind for kind in config.kinds if kind.vehicle_class == "passenger" and kind.length <= plan.longest]
    shares = np.array([kind.share for kind in kinds])
    tracks: List[Track] = []
    for area in areas:
        for place in _list_places(area, roads, plan):
            taken, turned = rng.random() < plan.share, rng.random() < 0.5
            kind = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))]
            x, y, heading = place + rng.normal(0.0, plan.sway, 3)
            state = np.array([x, y, heading + np.pi * (turned and not _is_bay(area, plan)), 0.0])
            if taken and _fits(state, kind, area, plan):
                tracks.append(_make_track(f"parked_{len(tracks)}", kind, state, num_steps))
    return tracks


def _is_bay(area: Polygon, plan: ParkingPlan) -> bool:
    sides = _sides(area)
    return float(np.hypot(*sides[1])) < plan.bay_depth


def _sides(area: Polygon) -> FloatArray:
    """The long and the short side (2, 2) of the rectangle around an area, after its corner in row 2."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(area))[:4]
    first, second = corners[1] - corners[0], corners[3] - corners[0]
    if np.hypot(*first) < np.hypot(*second):
        first, second = second, first
    return np.stack([first, second, corners[0]])


def _list_places(area: Polygon, roads: Roads, plan: ParkingPlan) -> List[FloatArray]:
    """Places (x, y, heading) for cars: along the lane beside a bay, else in two rows across a lot."""
    if _is_bay(area, plan):
        lane = _nearest_lane(area, roads)
        return [] if lane is None else _list_bay(area, lane, plan)
    first, second, corner = _sides(area)
    length, depth = float(np.hypot(*first)), float(np.hypot(*second))
    along, across = first / length, second / depth
    heading = float(np.arctan2(across[1], across[0]))
    places = []
    for side in (plan.lot_inset, depth - plan.lot_inset):
        for at in np.arange(plan.lot_margin, length - plan.lot_margin, plan.lot_spacing):
            places.append(np.array([*(corner + at * along + side * across), heading]))
    return places


def _list_bay(area: Polygon, lane: RoadLane, plan: ParkingPlan) -> List[FloatArray]:
    middle = shapely.get_coordinates(area.centroid)[0]
    arc = measure_arc(lane.line)
    steps = np.diff(lane.line, axis=0)
    headings = np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))
    left = np.column_stack([-np.sin(headings), np.cos(headings)])
    nearest = int(np.argmin(np.hypot(*(lane.line[:-1] - middle).T)))
    depth = float(np.dot(middle - lane.line[nearest], left[nearest]))  # negative: bays are on the right
    spans = shapely.line_locate_point(shapely.LineString(lane.line), shapely.points(shapely.get_coordinates(area)))
    places = []
    for at in np.arange(spans.min() + plan.bay_ends, spans.max() - plan.bay_ends + 0.1, plan.bay_spacing):
        row = min(int(np.searchsorted(arc, at)), len(headings) - 1)
        places.append(np.array([*(lane.line[row] + depth * left[row]), headings[row]]))
    return places


def _nearest_lane(area: Polygon, roads: Roads) -> Optional[RoadLane]:
    middle = shapely.get_coordinates(area.centroid)[0]
    lanes = list(roads.lanes.values())
    distances = [float(np.min(np.hypot(*(lane.line - middle).T))) for lane in lanes]
    return lanes[int(np.argmin(distances))] if lanes else None


def _fits(state: FloatArray, kind: VehicleKind, area: Polygon, plan: ParkingPlan) -> bool:
    return bool(area.buffer(plan.tolerance).contains(_outline(state, kind)))


def _outline(state: FloatArray, kind: VehicleKind) -> Polygon:
    cos, sin = np.cos(state[StateIndex.HEADING]), np.sin(state[StateIndex.HEADING])
    signs = np.array([[1, 1], [1, -1], [-1, -1], [-1, 1]]) * (0.5 * kind.length, 0.5 * kind.width)
    return Polygon(signs @ np.array([[cos, sin], [-sin, cos]]) + state[:2])


def _make_track(key: str, kind: VehicleKind, state: FloatArray, num_steps: int) -> Track:
    rounded = np.round(state, POSITION_DECIMALS)
    rounded[StateIndex.HEADING] = np.round(state[StateIndex.HEADING], ANGLE_DECIMALS)
    states = np.tile(rounded, (num_steps, 1))
    lit = np.zeros(num_steps, dtype=np.bool_)
    return Track(key, kind.name, kind.model, kind.length, kind.width, kind.height, 0, states, lit)
