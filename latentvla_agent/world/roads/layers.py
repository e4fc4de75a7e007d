"""Roads -> the layers of a nuPlan map: lanes, connectors, groups, intersections, stop polygons, pavements, parking.

Every column that the devkit (nuPlan's map API, NAVSIM v1.1 and v2.2) reads is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Dict, List, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely
from shapely import Polygon

from latentvla_agent.data.map_layers import NO_ID, MapLayer
from latentvla_agent.world.roads.areas import (
    AreaConfig,
    draw_connector_sides,
    draw_junction,
    draw_stop,
    enclose,
    thin_out,
    to_area,
)
from latentvla_agent.world.roads.curves import Line
from latentvla_agent.world.roads.lanes import RoadConnector, RoadLane, Roads
from latentvla_agent.world.roads.middles import draw_edge_borders
from latentvla_agent.world.roads.parking import ParkingConfig, draw_parking

GroupPair = Tuple[str, str]

DIGITS = 3  # after the point: whole millimetres
GAP_M = 0.1  # connectors of one pair of groups that are no farther apart form one area


class StopKind(IntEnum):
    """nuPlan's `stop_polygon_type_fid`."""

    STOP_SIGN = 1
    TRAFFIC_LIGHT = 2
    YIELD = 4


class BorderKind(IntEnum):
    """`boundary_type_fid`: what a lane's border separates."""

    LANES = 0
    ROAD_SIDE = 2
    CONNECTOR = 3


@dataclass(frozen=True)
class MapConfig:
    """Numbers of a map's layout."""

    areas: AreaConfig = AreaConfig()
    parking: ParkingConfig = ParkingConfig()


@dataclass(frozen=True)
class RoadIds:
    """FIDs of a map, by SUMO's keys: lanes and connectors, groups by edge, group connectors by (from edge, to edge)."""

    lane: Dict[str, int]
    connector: Dict[str, int]
    group: Dict[str, int]
    group_connector: Dict[GroupPair, int]


@dataclass
class _Layer:
    """Rows of a layer in the making."""

    ids: List[int] = field(default_factory=list)
    shapes: List[shapely.Geometry] = field(default_factory=list)
    rows: List[Dict[str, Any]] = field(default_factory=list)

    def add(self, fid: int, shape: shapely.Geometry, **columns: Any) -> int:
        self.ids.append(fid)
        self.shapes.append(shape)
        self.rows.append(columns)
        return fid


class _Draft:
    """A map in the making: hands out FIDs, unique over all layers, and collects rows."""

    def __init__(self, roads: Roads, first_id: int, config: MapConfig) -> None:
        self.roads = roads
        self.config = config
        self.edges = roads.edges()
        self.borders = draw_edge_borders(self.edges, config.areas)
        self.layers: Dict[str, _Layer] = {name: _Layer() for name in COLUMNS}
        self._next = first_id
        pairs = [(roads.lanes[c.from_lane].edge, roads.lanes[c.to_lane].edge) for c in roads.connectors.values()]
        self.ids = RoadIds(
            lane={key: self.new_id() for key in roads.lanes},
            connector={key: self.new_id() for key in roads.connectors},
            group={edge: self.new_id() for edge in self.edges},
            group_connector={pair: self.new_id() for pair in dict.fromkeys(pairs)},
        )
        self.intersections = {
            key: self.new_id() for key in dict.fromkeys(c.junction for c in roads.connectors.values())
        }
        self.stops: Dict[str, int] = {}  # by edge
        self.connector_areas: Dict[str, Polygon] = {}

    def new_id(self) -> int:
        self._next += 1
        return self._next - 1


# Columns of every layer; those of kind `str` are text, of kind `float` numbers, all others foreign keys or integers.
COLUMNS: Dict[str, Dict[str, type]] = {
    "lanes_polygons": {
        "lane_fid": int,
        "lane_group_fid": int,
        "lane_index": int,
        "speed_limit_mps": float,
        "left_boundary_fid": int,
        "right_boundary_fid": int,
    },
    "lane_connectors": {
        "exit_lane_fid": int,
        "entry_lane_fid": int,
        "lane_group_connector_fid": int,
        "intersection_fid": int,
        "speed_limit_mps": float,
        "traffic_light_stop_line_fids": str,
    },
    "gen_lane_connectors_scaled_width_polygons": {
        "lane_connector_fid": int,
        "left_boundary_fid": int,
        "right_boundary_fid": int,
    },
    "lane_groups_polygons": {},
    "lane_group_connectors": {"from_lane_group_fid": int, "to_lane_group_fid": int, "intersection_fid": int},
    "baseline_paths": {"lane_fid": int, "lane_connector_fid": int},
    "boundaries": {"boundary_type_fid": int},
    "stop_polygons": {"stop_polygon_type_fid": int, "intersection_fid": int},
    "intersections": {},
    "carpark_areas": {},
    "crosswalks": {"intersection_fid": int},
    "walkways": {},
    "generic_drivable_areas": {},
}


def lay_out_map(
    roads: Roads, offset: Tuple[float, float], first_id: int, config: MapConfig = MapConfig()
) -> Tuple[Dict[str, MapLayer], RoadIds]:
    """The layers of a nuPlan map, by name, in UTM metres, and the FIDs that its lanes got.

    Args:
        offset: UTM metres of the town frame's origin.
        first_id: FIDs count up from here and are unique over all layers.
    """
    draft = _Draft(roads, first_id, config)
    for edge, lanes in draft.edges.items():
        _add_group(draft, edge, lanes)
    for connector in roads.connectors.values():
        _add_connector(draft, connector)
    _add_group_connectors(draft)
    _add_intersections(draft)
    _add_surroundings(draft)
    layers = {name: _finish(layer, COLUMNS[name], offset) for name, layer in draft.layers.items()}
    return layers, draft.ids


def _add_group(draft: _Draft, edge: str, lanes: Sequence[RoadLane]) -> None:
    borders, sides = draft.borders[edge], (0, len(lanes))
    fids = [
        _add_border(draft, border, BorderKind.ROAD_SIDE if row in sides else BorderKind.LANES)
        for row, border in enumerate(borders)
    ]
    areas = [enclose(left, right) for left, right in zip(borders, borders[1:])]
    whole = to_area(shapely.union_all(areas))  # lanes may end a little before their neighbours
    group = draft.layers["lane_groups_polygons"].add(draft.ids.group[edge], whole)
    for row, lane in enumerate(lanes):
        fid = draft.layers["lanes_polygons"].add(
            draft.ids.lane[lane.key],
            areas[row],
            lane_fid=draft.ids.lane[lane.key],
            lane_group_fid=group,
            lane_index=lane.index,
            speed_limit_mps=lane.speed_limit,
            left_boundary_fid=fids[row],
            right_boundary_fid=fids[row + 1],
        )
        _add_baseline(draft, lane.line, lane_fid=fid)
    _add_stop(draft, edge, borders)


def _add_border(draft: _Draft, line: Line, kind: BorderKind) -> int:
    return draft.layers["boundaries"].add(draft.new_id(), shapely.LineString(line), boundary_type_fid=int(kind))


def _add_baseline(draft: _Draft, line: Line, lane_fid: int = NO_ID, lane_connector_fid: int = NO_ID) -> None:
    draft.layers["baseline_paths"].add(
        draft.new_id(), shapely.LineString(line), lane_fid=lane_fid, lane_connector_fid=lane_connector_fid
    )


def _add_stop(draft: _Draft, edge: str, borders: Sequence[Line]) -> None:
    """A stop polygon where the edge's lanes must stop or yield."""
    lanes = {lane.key for lane in draft.edges[edge]}
    leaving = [connector for connector in draft.roads.connectors.values() if connector.from_lane in lanes]
    if any(connector.signal for connector in leaving):
        kind = StopKind.TRAFFIC_LIGHT
    elif leaving and all(connector.state == "s" for connector in leaving):
        kind = StopKind.STOP_SIGN
    elif leaving and all(connector.state == "m" for connector in leaving):
        kind = StopKind.YIELD
    else:
        return
    draft.stops[edge] = draft.layers["stop_polygons"].add(
        draft.new_id(),
        draw_stop(borders[0], borders[-1], draft.config.areas),
        stop_polygon_type_fid=int(kind),
        intersection_fid=draft.intersections[leaving[0].junction],
    )


def _add_connector(draft: _Draft, connector: RoadConnector) -> None:
    fid, lanes = draft.ids.connector[connector.key], draft.roads.lanes
    pair = (lanes[connector.from_lane].edge, lanes[connector.to_lane].edge)
    draft.layers["lane_connectors"].add(
        fid,
        shapely.LineString(thin_out(connector.line, draft.config.areas)),
        exit_lane_fid=draft.ids.lane[connector.from_lane],
        entry_lane_fid=draft.ids.lane[connector.to_lane],
        lane_group_connector_fid=draft.ids.group_connector[pair],
        intersection_fid=draft.intersections[connector.junction],
        speed_limit_mps=connector.speed_limit,
        traffic_light_stop_line_fids=str(draft.stops[pair[0]]) if connector.signal else "",
    )
    left, right = (thin_out(side, draft.config.areas) for side in draw_connector_sides(connector, lanes))
    area = enclose(left, right)
    draft.connector_areas[connector.key] = area
    draft.layers["gen_lane_connectors_scaled_width_polygons"].add(
        draft.new_id(),
        area,
        lane_connector_fid=fid,
        left_boundary_fid=_add_border(draft, left, BorderKind.CONNECTOR),
        right_boundary_fid=_add_border(draft, right, BorderKind.CONNECTOR),
    )
    _add_baseline(draft, connector.line, lane_connector_fid=fid)


def _add_group_connectors(draft: _Draft) -> None:
    members: Dict[GroupPair, List[RoadConnector]] = {}
    for connector in draft.roads.connectors.values():
        pair = tuple(draft.roads.lanes[key].edge for key in (connector.from_lane, connector.to_lane))
        members.setdefault((pair[0], pair[1]), []).append(connector)
    for (first, last), connectors in members.items():
        whole = shapely.union_all([draft.connector_areas[c.key] for c in connectors])
        if whole.geom_type != "Polygon":  # lanes that move apart: the area between them belongs to the turn, too
            whole = whole.buffer(GAP_M).buffer(-GAP_M)
        draft.layers["lane_group_connectors"].add(
            draft.ids.group_connector[(first, last)],
            to_area(whole if whole.geom_type == "Polygon" else whole.convex_hull),
            from_lane_group_fid=draft.ids.group[first],
            to_lane_group_fid=draft.ids.group[last],
            intersection_fid=draft.intersections[connectors[0].junction],
        )


def _add_intersections(draft: _Draft) -> None:
    for key, fid in draft.intersections.items():
        sides = [
            draft.connector_areas[connector.key]
            for connector in draft.roads.connectors.values()
            if connector.junction == key
        ]
        draft.layers["intersections"].add(fid, draw_junction(key, draft.roads, sides, draft.config.areas))


def _add_surroundings(draft: _Draft) -> None:
    roads, layers = draft.roads, draft.layers
    for key, area in roads.crossings.items():
        junction = key[1:].rsplit("_", 2)[0]
        layers["crosswalks"].add(
            draft.new_id(), to_area(area), intersection_fid=draft.intersections.get(junction, NO_ID)
        )
    for name, areas in (("walkways", roads.walkways), ("generic_drivable_areas", roads.bicycle_lanes)):
        for area in map(to_area, areas.values()):
            if not area.is_empty:  # SUMO's pavement corners may have no area
                layers[name].add(draft.new_id(), area)
    occupied = [
        shape
        for name in ("lane_groups_polygons", "intersections", "walkways", "generic_drivable_areas")
        for shape in layers[name].shapes
    ]
    for area in draw_parking(roads, occupied, draft.config.parking):
        layers["carpark_areas"].add(draft.new_id(), area)


def _finish(layer: _Layer, kinds: Dict[str, type], offset: Tuple[float, float]) -> MapLayer:
    columns: Dict[str, npt.NDArray[Any]] = {
        name: np.array([row[name] for row in layer.rows], dtype=object if kind is str else kind)
        for name, kind in kinds.items()
    }
    shapes = np.empty(len(layer.shapes), dtype=np.object_)
    if len(layer.shapes):
        shapes[:] = shapely.transform(
            np.array(layer.shapes, dtype=np.object_), lambda xy: np.round(xy + np.array(offset), DIGITS)
        )
    return MapLayer(np.array(layer.ids, dtype=np.int64), shapes, columns)
