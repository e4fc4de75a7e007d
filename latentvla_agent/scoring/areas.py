"""Drivable areas around the ego vehicle: a crop of the city map as polygons, and as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import List, Sequence, Set

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.maps import CityMap
from latentvla_agent.scoring.kernels import Areas

TREE_CAPACITY = 10  # the devkit's; with it a spatial index returns equals in the same order


class AreaKind(IntEnum):
    """What a polygon is. An intersection whose polygon is invalid is two things: the surface that can be driven on,
    and the interior in which the ego counts as being at an intersection (see `split_intersections`)."""

    LANE_GROUP = 0
    LANE = 1
    LANE_CONNECTOR = 2
    INTERSECTION = 3
    CARPARK = 4
    INTERSECTION_SURFACE = 5
    INTERSECTION_INTERIOR = 6


@dataclass(frozen=True)
class AreaPolygons:
    """Polygons of the crop with the id and kind of each, in the devkit's order (ties are broken by it)."""

    ids: Sequence[str]
    kinds: Sequence[AreaKind]
    polygons: npt.NDArray[np.object_]


def crop_areas(city_map: CityMap, x: float, y: float, radius: float) -> AreaPolygons:
    """Everything within the square of half side `radius` that can be driven on, with the lanes of its roadblocks.

    Lane group connectors count only through their lane connectors and the intersection; generic drivable areas do not
    count at all (pdm-behaviour: the devkit never loads them).
    """
    ids: List[str] = []
    kinds: List[AreaKind] = []
    polygons: List[shapely.Geometry] = []

    def add(id_: str, kind: AreaKind, polygon: shapely.Geometry) -> None:
        ids.append(id_)
        kinds.append(kind)
        polygons.append(polygon)

    roadblocks = city_map.roadblocks_near(x, y, radius)
    for roadblock in roadblocks:
        if not roadblock.is_connector:
            add(roadblock.id, AreaKind.LANE_GROUP, roadblock.polygon)
    for roadblock in roadblocks:
        for lane in roadblock.lanes:
            add(lane.id, AreaKind.LANE_CONNECTOR if lane.is_connector else AreaKind.LANE, lane.polygon)
    for layer, kind in (("intersections", AreaKind.INTERSECTION), ("carpark_areas", AreaKind.CARPARK)):
        for id_, polygon in city_map.areas_near(layer, x, y, radius):
            add(id_, kind, polygon)
    return AreaPolygons(ids, kinds, np.array(polygons, dtype=np.object_))


def split_intersections(areas: AreaPolygons) -> AreaPolygons:
    """The areas with the interiors of invalid intersections behind them.

    The devkit asks in two ways whether a point is in an intersection, and where parts or holes of one overlap the
    answers differ: for the drivable area parity counts, for being at an intersection any part does, and no hole.
    """
    is_intersection = np.array(areas.kinds, dtype=np.int64) == AreaKind.INTERSECTION
    invalid = np.flatnonzero(is_intersection & ~shapely.is_valid(areas.polygons)).tolist()
    if len(invalid) == 0:
        return areas
    ids, kinds, polygons = [*areas.ids], [*areas.kinds], [*areas.polygons]
    for row in invalid:
        kinds[row] = AreaKind.INTERSECTION_SURFACE
        interiors = _find_interiors(areas.polygons[row])
        ids += [ids[row]] * len(interiors)
        kinds += [AreaKind.INTERSECTION_INTERIOR] * len(interiors)
        polygons += interiors
    return AreaPolygons(ids, kinds, np.array(polygons, dtype=np.object_))


def _find_interiors(polygon: shapely.Geometry) -> List[shapely.Geometry]:
    """Polygons in one of which a point is, by parity, where it is in a part of `polygon` and in no hole of that part.

    A ring that crosses itself counts by parity in the devkit as well: a part without holes stays as it is.
    """
    interiors = []
    for part in shapely.get_parts(polygon):
        if not shapely.is_valid(part) and len(part.interiors) > 0:
            shell, *holes = (shapely.make_valid(shapely.Polygon(ring)) for ring in (part.exterior, *part.interiors))
            part = shapely.difference(shell, shapely.union_all(holes))
        interiors.append(part)
    return interiors


def flatten_areas(areas: AreaPolygons, route_lane_ids: Set[str]) -> Areas:
    """Flat arrays of `areas`; `on_route` marks lanes and lane connectors whose id is among `route_lane_ids`."""
    areas = split_intersections(areas)
    parts, part_polygon = shapely.get_parts(areas.polygons, return_index=True)
    rings, ring_part = shapely.get_rings(parts, return_index=True)
    vertices, vertex_ring = shapely.get_coordinates(rings, return_index=True)
    count = len(areas.ids)
    ring_polygon = part_polygon[ring_part] if len(rings) else np.empty(0, dtype=np.int64)
    lane_kinds = (AreaKind.LANE, AreaKind.LANE_CONNECTOR)
    on_route = [kind in lane_kinds and id_ in route_lane_ids for id_, kind in zip(areas.ids, areas.kinds)]
    return Areas(
        kinds=np.array(areas.kinds, dtype=np.int64),
        on_route=np.array(on_route, dtype=bool),
        bounds=shapely.bounds(areas.polygons).reshape(-1, 4),
        polygon_starts=np.searchsorted(ring_polygon, np.arange(count + 1)).astype(np.int64),
        ring_starts=np.searchsorted(vertex_ring, np.arange(len(rings) + 1)).astype(np.int64),
        vertices=np.ascontiguousarray(vertices, dtype=np.float64),
    )
