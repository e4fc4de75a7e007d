"""What a city map holds around a drive, in the street's own frame: metres from an origin in the map frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Collection, List, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.data.maps import CityMap, Lane
from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.areas import subtract, unite
from latentvla_agent.world.meshes.mesh import FloatArray

DRIVABLE_LAYERS = ("lane_groups_polygons", "intersections", "carpark_areas", "generic_drivable_areas")
GAP = 0.05  # metres between areas that count as touching
SLIVER = 0.45  # half the width in metres of a road that is none
MIN_AREA = 0.05  # square metres of what is worth drawing


@dataclass(frozen=True, eq=False)
class Strip:
    """A lane or a lane connector: its middle `line` (M, 2), `width` in metres, and the ids of its group and itself;
    `source_id` is the lane that a connector leaves."""

    id: str
    group: str
    line: FloatArray
    width: float
    source_id: str = ""


@dataclass(frozen=True, eq=False)
class StreetArea:
    """`region`: all that is within the radius; areas as one (multi)polygon each, `crosswalks` and `stops` one by one.

    `drivable` is the map's, where nothing solid stands; `road` is what looks like it: without the slivers by which
    intersections reach into walkways, which belong to `walkways` here. `signalised`: connectors with a traffic light.
    """

    origin: FloatArray
    region: shapely.Geometry
    drivable: shapely.Geometry
    road: shapely.Geometry
    junctions: shapely.Geometry
    carparks: shapely.Geometry
    walkways: shapely.Geometry
    crosswalks: Tuple[shapely.Geometry, ...]
    stops: Tuple[shapely.Geometry, ...]
    lanes: Tuple[Strip, ...]
    connectors: Tuple[Strip, ...]
    signalised: Tuple[Strip, ...]


def read_area(city_map: CityMap, path: FloatArray, radius: float, signalised: Collection[str]) -> StreetArea:
    """Read what lies within `radius` of the drive's `path` (K, 2) in the map frame; raises `DataError` where the path
    is not that."""
    points = np.asarray(path, np.float64)
    if points.ndim != 2 or points.shape[1] != 2 or len(points) == 0 or not np.isfinite(points).all():
        raise DataError(f"path of a street: expected finite points (K, 2), got an array of shape {points.shape}")
    origin = np.round(points.mean(axis=0))
    spine = shapely.LineString(points) if len(points) > 1 else shapely.Point(points[0])
    around = shapely.buffer(shapely.simplify(spine, 1.0), radius, quad_segs=4)
    lit = frozenset(signalised)
    reader = _Reader(city_map, around, origin)
    connectors = reader.read_strips(is_connector=True)
    drivable = reader.read_union(DRIVABLE_LAYERS)
    road, walkways = _trim_road(drivable, reader.read_union(("walkways",)))
    return StreetArea(
        origin=origin,
        region=reader.move(around),
        drivable=drivable,
        road=road,
        junctions=reader.read_union(("intersections",)),
        carparks=reader.read_union(("carpark_areas",)),
        walkways=walkways,
        crosswalks=reader.read_polygons("crosswalks"),
        stops=reader.read_polygons("stop_polygons"),
        lanes=reader.read_strips(is_connector=False),
        connectors=connectors,
        signalised=tuple(strip for strip in connectors if strip.id in lit),
    )


def _trim_road(drivable: shapely.Geometry, walkways: shapely.Geometry) -> Tuple[shapely.Geometry, shapely.Geometry]:
    """Road and walkways, where slivers of the drivable area between walkways are walkway."""
    broad = shapely.buffer(shapely.buffer(drivable, -SLIVER, join_style="mitre"), SLIVER + GAP, join_style="mitre")
    slivers = [part for part in list_polygons(subtract(drivable, broad)) if part.distance(walkways) < GAP]
    if not slivers:
        return drivable, walkways
    between = shapely.buffer(unite(slivers), 2.0 * GAP, join_style="mitre")
    return subtract(drivable, between), unite([walkways, between])


class _Reader:
    """Reads layers around a place and moves them to the street's frame."""

    def __init__(self, city_map: CityMap, around: shapely.Geometry, origin: FloatArray):
        self._map = city_map
        self._around = around
        self._origin = origin

    def move(self, geometry: shapely.Geometry) -> shapely.Geometry:
        """The geometry relative to the origin."""
        return shapely.transform(geometry, lambda xy: xy - self._origin)

    def read_polygons(self, name: str) -> Tuple[shapely.Geometry, ...]:
        """Polygons of a layer, those worth drawing; none where the map lacks an optional layer."""
        layer = self._map.layer(name)
        found = [self.move(layer.geometry[row]) for row in layer.rows_in(self._around)]
        return tuple(shapely.make_valid(polygon) for polygon in found if polygon.area > MIN_AREA)

    def read_union(self, names: Sequence[str]) -> shapely.Geometry:
        """One area of all polygons of some layers, hairline gaps between them closed."""
        polygons = [polygon for name in names for polygon in self.read_polygons(name)]
        grown = unite([shapely.buffer(polygon, GAP, join_style="mitre") for polygon in polygons])
        return shapely.simplify(shapely.buffer(grown, -GAP, join_style="mitre"), 0.5 * GAP)

    def read_strips(self, is_connector: bool) -> Tuple[Strip, ...]:
        """Lanes, or lane connectors."""
        layer = self._map.layer("lane_connectors" if is_connector else "lanes_polygons")
        rows = [int(row) for row in layer.rows_in(self._around)]
        sources = layer.columns["exit_lane_fid"] if is_connector else layer.ids
        return tuple(self._make_strip(self._map.lane(row, is_connector), str(sources[row])) for row in rows)

    def _make_strip(self, lane: Lane, source_id: str) -> Strip:
        width = float(lane.polygon.area) / lane.length
        return Strip(lane.id, lane.roadblock_id, lane.states[:, :2] - self._origin, width, source_id)


def list_polygons(area: shapely.Geometry) -> List[shapely.Polygon]:
    """The polygons of an area, without points, lines and slivers, in a fixed order."""
    parts = shapely.get_parts(shapely.get_parts(area))
    polygons = [part for part in parts if part.geom_type == "Polygon" and part.area > MIN_AREA]
    return sorted(polygons, key=lambda polygon: polygon.bounds)
