"""Drivable areas around the ego vehicle: a crop of the city map as polygons, and as flat arrays for the kernels."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, List, Sequence, Set

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.maps import CityMap
from latentvla_agent.scoring.kernels import AreaIndex, Areas, compile_kernel

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


EDGES_PER_SLAB = 4


def index_areas(areas: Areas) -> AreaIndex:
    """Sort the edges of every polygon into slabs."""
    polygon_edges = np.diff(areas.ring_starts[areas.polygon_starts])
    num_slabs = polygon_edges // EDGES_PER_SLAB + 1
    slab_starts = np.concatenate([[0], np.cumsum(num_slabs)]).astype(np.int64)
    heights = areas.bounds[:, 3] - areas.bounds[:, 1]
    scales = np.where(heights > 0.0, num_slabs / np.where(heights > 0.0, heights, 1.0), 0.0)
    edge_starts, edges = _sort_edges(areas, slab_starts, scales)
    return AreaIndex(areas.kinds, areas.on_route, areas.bounds, slab_starts, scales, edge_starts, edges)


@compile_kernel
def find_slab(y: float, low: float, scale: float, count: int) -> int:
    """Slab of a height within a polygon of `count` slabs; never decreases with y, so no edge is missed."""
    return min(max(int((y - low) * scale), 0), count - 1)


@compile_kernel
def _sort_edges(areas: Areas, slab_starts: Any, scales: Any) -> Any:
    """Counting sort: which slabs every edge spans, how many edges every slab gets, then the edges themselves."""
    vertices, bounds, ring_starts = areas.vertices, areas.bounds, areas.ring_starts
    starts = np.zeros(slab_starts[-1] + 1, dtype=np.int64)
    spans = np.full((vertices.shape[0], 2), -1, dtype=np.int64)  # first and last slab; none for a ring's last vertex
    for p in range(scales.shape[0]):
        slabs, low, scale = slab_starts[p + 1] - slab_starts[p], bounds[p, 1], scales[p]
        for ring in range(areas.polygon_starts[p], areas.polygon_starts[p + 1]):
            here = slab_starts[p] + find_slab(vertices[ring_starts[ring], 1], low, scale, slabs)
            for i in range(ring_starts[ring], ring_starts[ring + 1] - 1):
                there = slab_starts[p] + find_slab(vertices[i + 1, 1], low, scale, slabs)
                spans[i, 0], spans[i, 1] = min(here, there), max(here, there)
                for slab in range(spans[i, 0], spans[i, 1] + 1):
                    starts[slab + 1] += 1
                here = there
    starts = np.cumsum(starts)
    filled, edges = starts[:-1].copy(), np.empty((starts[-1], 4))
    for i in range(vertices.shape[0]):
        if spans[i, 0] < 0:
            continue
        for slab in range(spans[i, 0], spans[i, 1] + 1):
            row = filled[slab]
            filled[slab] = row + 1
            edges[row, 0], edges[row, 1] = vertices[i, 0], vertices[i, 1]
            edges[row, 2], edges[row, 3] = vertices[i + 1, 0], vertices[i + 1, 1]
    return starts, edges
