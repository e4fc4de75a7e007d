"""Areas of roads: strips between shared borders, what a turning car sweeps, junctions without their pavements."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Sequence, Tuple

import numpy as np
import shapely
from shapely import Polygon

from latentvla_agent.world.roads.curves import Line, cut, measure_arc, offset_line
from latentvla_agent.world.roads.lanes import RoadConnector, RoadLane, Roads

MILLIMETRE = 1e-3


@dataclass(frozen=True)
class CarConfig:
    """The car that junctions must have room for: the ego vehicle, metres from its rear axle."""

    ahead_m: float = 4.049
    behind_m: float = 1.127
    width_m: float = 2.297


@dataclass(frozen=True)
class AreaConfig:
    """Sizes of areas, metres."""

    car: CarConfig = CarConfig()
    spare_m: float = 0.3  # around what a car sweeps across a junction
    closing_m: float = 0.6  # gaps in a junction's area that are half as wide are closed
    pavement_m: float = 0.1  # a pavement's border that still belongs to the junction
    border_m: float = 0.01  # borders lose vertices that change them by less
    middle_m: float = 0.3  # leftmost borders of two directions that are no farther apart are one
    stop_before_m: float = 1.0  # a stop polygon, from before the end of its lanes
    stop_after_m: float = 0.3  # to behind it


def thin_out(line: Line, config: AreaConfig) -> Line:
    """A border with fewer vertices, on whole millimetres: maps are large otherwise."""
    thin: Line = shapely.get_coordinates(shapely.LineString(line).simplify(config.border_m))
    return np.round(thin, 3)


def draw_borders(lanes: Sequence[RoadLane]) -> List[Line]:
    """The N + 1 borders of N neighbouring lanes, the leftmost first; inner ones are shared by two lanes."""
    first = offset_line(lanes[0].line, 0.5 * lanes[0].width)
    return [first, *(offset_line(lane.line, -0.5 * lane.width) for lane in lanes)]


def enclose(left: Line, right: Line) -> Polygon:
    """The area between two borders of the same direction."""
    return to_area(Polygon(np.vstack([left, right[::-1]])))


def draw_connector_sides(connector: RoadConnector, lanes: Dict[str, RoadLane]) -> Tuple[Line, Line]:
    """Left and right border of a connector, whose width goes over from one lane's to the other's."""
    before, after = lanes[connector.from_lane].width, lanes[connector.to_lane].width
    arc = measure_arc(connector.line)
    half = 0.5 * (before + (after - before) * arc / arc[-1])[:, None]
    left = offset_line(connector.line, 1.0) - connector.line
    return connector.line + half * left, connector.line - half * left


def sweep(line: Line, car: CarConfig, spare: float) -> List[Polygon]:
    """Areas that the car covers between neighbouring vertices when its rear axle follows `line`."""
    corners = place_boxes(line, car, spare)
    pairs = np.concatenate([corners[:-1], corners[1:]], axis=1)
    hulls: List[Polygon] = shapely.convex_hull(shapely.multipoints(pairs)).tolist()
    return hulls


def place_boxes(line: Line, car: CarConfig, spare: float = 0.0) -> np.ndarray:
    """Corners (M, 4, 2) of the car, grown by `spare`, whose rear axle stands on each vertex, along the line."""
    tangents = np.gradient(line, axis=0)
    tangents = (tangents / np.hypot(tangents[:, 0], tangents[:, 1])[:, None])[:, None, :]
    normals = np.stack([-tangents[..., 1], tangents[..., 0]], axis=-1)
    half = 0.5 * car.width_m + spare
    along = np.array([car.ahead_m + spare, car.ahead_m + spare, -car.behind_m - spare, -car.behind_m - spare])
    across = np.array([half, -half, -half, half])
    return line[:, None, :] + along[:, None] * tangents + across[:, None] * normals


def draw_junction(key: str, roads: Roads, sides: Sequence[Polygon], config: AreaConfig) -> Polygon:
    """Area of a junction: SUMO's without the pavements, with the connectors' areas and what a car sweeps on them."""
    parts = list(sides)
    for connector in roads.connectors.values():
        if connector.junction == key:
            parts += sweep(connector.line, config.car, config.spare_m)
    area = roads.junctions.get(key)
    if area is not None:
        pavements = [place for name, place in roads.walkways.items() if name.startswith(f":{key}_w")]
        parts.append(area.difference(shapely.union_all(pavements).buffer(-config.pavement_m)))
    whole = shapely.union_all(parts).buffer(config.closing_m, join_style="mitre").buffer(-config.closing_m)
    return to_area(Polygon(largest(whole).exterior).simplify(config.border_m))


def draw_stop(left: Line, right: Line, config: AreaConfig) -> Polygon:
    """The strip across lanes, from a little before their end to a little behind it."""
    ends = []
    for border in (left, right):
        length = measure_arc(border)[-1]
        tail = cut(border, max(length - config.stop_before_m, 0.0), length)
        ahead = tail[-1] - tail[-2]
        ends.append([tail[0], tail[-1] + config.stop_after_m * ahead / np.hypot(*ahead)])
    return to_area(Polygon([*ends[0], *ends[1][::-1]]).convex_hull)


def to_area(area: shapely.Geometry) -> Polygon:
    """A valid polygon with corners on whole millimetres: the largest part of what comes in."""
    return largest(shapely.set_precision(shapely.make_valid(area), MILLIMETRE))


def largest(geometry: shapely.Geometry) -> Polygon:
    """The largest polygon in a geometry, an empty one if there is none."""
    parts = [geometry]
    while any(part.geom_type not in ("Polygon", "LineString", "Point") for part in parts):
        parts = [piece for part in parts for piece in shapely.get_parts(part).tolist()]
    polygons = [part for part in parts if part.geom_type == "Polygon"]
    return max(polygons, key=lambda part: part.area) if polygons else Polygon()
