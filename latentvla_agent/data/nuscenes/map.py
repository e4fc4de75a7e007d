"""nuScenes' map expansion as a city map of ours: what scoring a plan, and planning by rules, need of it.

nuPlan's maps alternate lanes and lane connectors, and routes are made of groups of them. So here
- a lane keeps its polygon and centreline; its group is the road block that it lies in, else the lanes beside it that go
  the same way and share a divider with it;
- every way from a lane through connectors to the next lane is one connector. Where a lane goes on into a lane directly,
  its last metre is one;
- intersections are the road segments that are one;
- all drivable area, in tiles, counts as car park: the scorer takes lane groups, intersections and car parks for road;
- there are no speed limits: the scorer's default holds.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence, Set, Tuple

import numpy as np
import numpy.typing as npt
import shapely
from shapely.ops import substring

from latentvla_agent.data.checks import find_path_problem
from latentvla_agent.data.map_layers import LAYER_COLUMNS, NO_ID, OPTIONAL_COLUMNS, MapLayer, empty_layer
from latentvla_agent.data.maps import CityMap
from latentvla_agent.data.nuscenes.expansion import Expansion, ExpansionLane, Polygons, read_expansion
from latentvla_agent.data.scene import FloatArray
from latentvla_agent.errors import DataError

EXPANSION_FOLDER = Path("maps") / "expansion"
TILE_M = 50.0  # a city's drivable area is one polygon of many holes: slow to look up
TILE_OVERLAP_M = 0.01  # or points on the seam would lie in neither
JOINT_M = 1.0  # of a lane that goes on into a lane, at most a quarter of it
MAX_CONNECTORS = 4  # in a row between two lanes
SHARED_NODES = 2  # of the divider between neighbours
HALF_WIDTH_M = (1.25, 2.5)  # of connectors without a polygon, at least and at most


class NuScenesMaps:
    """Maps below a nuScenes root, built on first use; what `Scene.map_source` and the scorer ask for theirs."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._maps: Dict[str, CityMap] = {}

    def path_of(self, location: str) -> Path:
        """Where the map of a location such as singapore-onenorth lies, if there is one."""
        problem = "expected a name, got a path" if "/" in location else find_path_problem(location)
        if problem is not None:
            raise DataError(f"location {location[:64]!r}: {problem}")
        return self.root / EXPANSION_FOLDER / f"{location}.json"

    def has(self, location: str) -> bool:
        """Whether the location has a map."""
        return self.path_of(location).is_file()

    def load(self, location: str) -> CityMap:
        """The map of a location; raises `DataError` where it is missing or broken."""
        if location not in self._maps:
            self._maps[location] = build_city_map(read_expansion(self.path_of(location)))
        return self._maps[location]


@dataclass(frozen=True)
class _Link:
    """A way from a lane to the next one: tokens of both, and of the connectors between."""

    source: str
    connectors: Tuple[str, ...]
    target: str


def build_city_map(expansion: Expansion) -> CityMap:
    """The map of an expansion. Ids are numbers of our own, no two alike in all layers: the scorer takes an area for a
    lane of the same id."""
    builder = _Builder(expansion)
    layers = {name: empty_layer(name) for name in (*LAYER_COLUMNS, *OPTIONAL_COLUMNS)}
    layers.update(builder.build())
    return CityMap(expansion.path, layers)


class _Builder:
    def __init__(self, expansion: Expansion) -> None:
        self._expansion = expansion
        self._all = expansion.lanes
        self._lanes = {token: lane for token, lane in self._all.items() if not lane.is_connector and lane.polygon}
        self._links = [link for token in self._lanes for link in _find_links(token, self._all, self._lanes)]
        self._groups = _group_lanes(self._lanes, expansion.road_blocks)
        self._ends = {link.source for link in self._links if not link.connectors}  # of these the end is a connector
        self._ids = ids = itertools.count(1)
        self._lane_ids = {token: next(ids) for token in self._lanes}
        self._link_ids = [next(ids) for _ in self._links]
        self._group_ids = {group: next(ids) for group in dict.fromkeys(self._groups.values())}
        pairs = dict.fromkeys((self._groups[link.source], self._groups[link.target]) for link in self._links)
        self._pair_ids = {pair: next(ids) for pair in pairs}

    def build(self) -> Dict[str, MapLayer]:
        expansion = self._expansion
        paths = [_cut_end(lane.path)[0] if token in self._ends else lane.path for token, lane in self._lanes.items()]
        courses = [self._course(link) for link in self._links]
        areas = [self._area(link, course) for link, course in zip(self._links, courses)]
        return {
            **self._lane_layers(),
            **self._connector_layers(courses, areas),
            "baseline_paths": self._baselines(paths, courses),
            "intersections": self._number(expansion.intersections),
            "carpark_areas": self._number([*cut_tiles(expansion.drivable_areas), *expansion.carparks]),
            "crosswalks": self._number(expansion.crosswalks),
            "walkways": self._number(expansion.walkways),
        }

    def _number(self, polygons: Polygons) -> MapLayer:
        """A layer of areas that nothing refers to."""
        return _layer([next(self._ids) for _ in polygons], polygons, {})

    def _lane_layers(self) -> Dict[str, MapLayer]:
        groups: Dict[str, Polygons] = {}
        for token, lane in self._lanes.items():
            groups.setdefault(self._groups[token], []).append(lane.polygon)
        columns = {
            "lane_group_fid": np.array([self._group_ids[self._groups[token]] for token in self._lanes], np.int64),
            "speed_limit_mps": np.full(len(self._lanes), np.nan),
        }
        lanes = _layer(list(self._lane_ids.values()), [lane.polygon for lane in self._lanes.values()], columns)
        polygons = [shapely.union_all(parts) for parts in groups.values()]
        return {
            "lanes_polygons": lanes,
            "lane_groups_polygons": _layer([self._group_ids[group] for group in groups], polygons, {}),
        }

    def _connector_layers(self, courses: Sequence[FloatArray], areas: Polygons) -> Dict[str, MapLayer]:
        pairs = [(self._groups[link.source], self._groups[link.target]) for link in self._links]
        merged: Dict[Tuple[str, str], Polygons] = {}
        for pair, area in zip(pairs, areas):
            merged.setdefault(pair, []).append(area)
        columns = {
            "exit_lane_fid": np.array([self._lane_ids[link.source] for link in self._links], np.int64),
            "entry_lane_fid": np.array([self._lane_ids[link.target] for link in self._links], np.int64),
            "lane_group_connector_fid": np.array([self._pair_ids[pair] for pair in pairs], np.int64),
            "speed_limit_mps": np.full(len(self._links), np.nan),
        }
        ends = {
            "from_lane_group_fid": np.array([self._group_ids[source] for source, _ in merged], np.int64),
            "to_lane_group_fid": np.array([self._group_ids[target] for _, target in merged], np.int64),
        }
        unions = [shapely.union_all(parts) for parts in merged.values()]
        owners = {"lane_connector_fid": np.array(self._link_ids, np.int64)}
        return {
            "lane_connectors": _layer(self._link_ids, [shapely.LineString(course) for course in courses], columns),
            "gen_lane_connectors_scaled_width_polygons": _layer(self._link_ids, areas, owners),
            "lane_group_connectors": _layer([self._pair_ids[pair] for pair in merged], unions, ends),
        }

    def _baselines(self, paths: Sequence[FloatArray], courses: Sequence[FloatArray]) -> MapLayer:
        no_lanes, no_links = np.full(len(paths), NO_ID), np.full(len(courses), NO_ID)
        columns = {
            "lane_fid": np.concatenate([np.array(list(self._lane_ids.values()), np.int64), no_links]),
            "lane_connector_fid": np.concatenate([no_lanes, np.array(self._link_ids, np.int64)]),
        }
        lines = [shapely.LineString(points) for points in (*paths, *courses)]
        return _layer(list(range(1, len(lines) + 1)), lines, columns)

    def _course(self, link: _Link) -> FloatArray:
        if not link.connectors:
            return _cut_end(self._lanes[link.source].path)[1]
        parts = [self._all[token].path for token in link.connectors]
        return np.concatenate([parts[0], *(part[1:] for part in parts[1:])])

    def _area(self, link: _Link, course: FloatArray) -> shapely.Geometry:
        """Polygons of the connectors, where they have them; else what a lane's half width sweeps along the course."""
        known = [self._all[token].polygon for token in link.connectors]
        if known and all(polygon is not None for polygon in known):
            return shapely.union_all(known)
        ends = [self._lanes[token] for token in (link.source, link.target)]
        widths = [lane.polygon.area / shapely.LineString(lane.path).length / 2.0 for lane in ends if lane.polygon]
        return shapely.LineString(course).buffer(float(np.clip(np.mean(widths), *HALF_WIDTH_M)), cap_style="flat")


def _layer(
    ids: Sequence[int], geometry: Sequence[shapely.Geometry], columns: Mapping[str, npt.NDArray[Any]]
) -> MapLayer:
    shapes = np.empty(len(geometry), np.object_)
    shapes[:] = geometry
    return MapLayer(np.array(ids, np.int64), shapes, dict(columns))


def _find_links(start: str, lanes: Mapping[str, ExpansionLane], ends: Mapping[str, ExpansionLane]) -> List[_Link]:
    """Ways from a lane to the next ones, each pair of lanes and each first connector once."""
    found: Dict[Tuple[str, ...], _Link] = {}
    open_ways: List[Tuple[str, ...]] = [()]
    while open_ways:
        way = open_ways.pop(0)
        for token in lanes[way[-1] if way else start].outgoing:
            if token in ends:
                found.setdefault((*way[:1], token), _Link(start, way, token))
            elif token in lanes and lanes[token].is_connector and token not in way and len(way) < MAX_CONNECTORS:
                open_ways.append((*way, token))
    return list(found.values())


def _cut_end(path: FloatArray) -> Tuple[FloatArray, FloatArray]:
    """A centreline up to its last metre, and the rest."""
    line = shapely.LineString(path)
    cut = line.length - min(JOINT_M, line.length / 4.0)
    head, tail = (
        np.asarray(shapely.get_coordinates(substring(line, *ends))) for ends in ((0.0, cut), (cut, line.length))
    )
    return head, tail


def _group_lanes(lanes: Mapping[str, ExpansionLane], road_blocks: Polygons) -> Dict[str, str]:
    """The group of each lane, named after one of its lanes: those of a road block, or joined by dividers."""
    parent = {token: token for token in lanes}

    def find(token: str) -> str:
        while parent[token] != token:
            token = parent[token]
        return token

    def join(first: str, second: str) -> None:
        parent[find(second)] = find(first)

    blocks = shapely.STRtree(road_blocks)
    first_in: Dict[int, str] = {}
    for token, lane in lanes.items():
        for row in blocks.query(shapely.point_on_surface(lane.polygon), predicate="within")[:1]:
            join(first_in.setdefault(int(row), token), token)
    by_node: Dict[str, Set[str]] = {}
    for token, lane in lanes.items():
        for node in lane.right:
            by_node.setdefault(node, set()).add(token)
    for token, lane in lanes.items():
        beside = {other for node in lane.left for other in by_node.get(node, ())} - {token}
        for other in sorted(beside):
            if len(lane.left & lanes[other].right) >= SHARED_NODES:
                join(token, other)
    return {token: find(token) for token in lanes}


def cut_tiles(polygons: Polygons) -> Polygons:
    """Areas in tiles that overlap by next to nothing."""
    tiles: Polygons = []
    for polygon in polygons:
        left, low, right, high = polygon.bounds
        for x in np.arange(np.floor(left / TILE_M), np.floor(right / TILE_M) + 1) * TILE_M:
            column = shapely.clip_by_rect(polygon, x, low, x + TILE_M + TILE_OVERLAP_M, high)
            for y in np.arange(np.floor(low / TILE_M), np.floor(high / TILE_M) + 1) * TILE_M:
                tile = shapely.clip_by_rect(column, x, y, x + TILE_M + TILE_OVERLAP_M, y + TILE_M + TILE_OVERLAP_M)
                parts = shapely.get_parts(tile).tolist()
                tiles += [part for part in parts if part.geom_type == "Polygon" and part.area > 0]
    return tiles
