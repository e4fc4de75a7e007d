"""Writes a city map of ours as nuScenes' map expansion (v1.3): what `expansion` and nuScenes' devkit read.

Dividers, stop lines and traffic lights are not written; there is nothing of them that a score needs.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Callable, Dict, List, Sequence

import numpy as np
import shapely

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.maps import CityMap, Lane
from latentvla_agent.data.nuscenes.paths import make_pieces
from latentvla_agent.data.nuscenes.tables import Row
from latentvla_agent.data.scene import FloatArray, PoseIndex

MAP_VERSION = "1.3"
DECIMALS = 4  # of metres
MARGIN_M = 20.0  # of the canvas beyond what is drawn
_TABLES = (
    *("polygon", "line", "node", "drivable_area", "road_segment", "road_block", "lane", "lane_connector"),
    *("ped_crossing", "walkway", "stop_line", "carpark_area", "road_divider", "lane_divider", "traffic_light"),
)
Place = Callable[[FloatArray], FloatArray]  # points (N, 2) of the map to those of the database


def write_expansion(path: Path, city_map: CityMap, area: shapely.Geometry, place: Place) -> None:
    """Write what a map holds within `area`, in the map's coordinates, where `place` puts it; whole or not at all."""
    writer = _Writer(city_map, area, place)
    write_atomically(path, json.dumps(writer.build()).encode(), durable=False)


class _Writer:
    def __init__(self, city_map: CityMap, area: shapely.Geometry, place: Place) -> None:
        self._map, self._area, self._place = city_map, area, place
        self._tables: Dict[str, Dict[str, Row]] = {name: {} for name in _TABLES}
        self._name = str(city_map.path)

    def build(self) -> Dict[str, Any]:
        lanes = [self._map.lane(row, False) for row in self._rows("lanes_polygons")]
        connectors = [self._map.lane(row, True) for row in self._rows("lane_connectors")]
        for lane in (*lanes, *connectors):
            self._add_lane(lane)
        self._add_areas()
        corners = np.array([[row["x"], row["y"]] for row in self._tables["node"].values()]).reshape(-1, 2)
        return {
            **{name: list(rows.values()) for name, rows in self._tables.items()},
            "arcline_path_3": {
                self._token("lane", lane.id): make_pieces(self._place(lane.states[:, : PoseIndex.HEADING]))
                for lane in (*lanes, *connectors)
            },
            "connectivity": self._link(lanes, connectors),
            "canvas_edge": (corners.max(axis=0) + MARGIN_M).tolist() if len(corners) else [0.0, 0.0],
            "version": MAP_VERSION,
        }

    def _rows(self, layer: str) -> List[int]:
        return [int(row) for row in self._map.layer(layer).rows_in(self._area)]

    def _token(self, *key: object) -> str:
        return hashlib.md5("|".join(map(str, (self._name, *key))).encode()).hexdigest()

    def _add(self, table: str, *key: object, **values: Any) -> str:
        token = self._token(table, *key)
        self._tables[table][token] = {"token": token, **values}
        return token

    def _nodes(self, points: FloatArray) -> List[str]:
        placed = np.round(self._place(np.asarray(points, np.float64)), DECIMALS) + 0.0
        return [self._add("node", x, y, x=x, y=y) for x, y in placed.tolist()]

    def _polygon(self, polygon: shapely.Polygon) -> str:
        rings = [np.asarray(ring.coords)[:-1, :2] for ring in (polygon.exterior, *polygon.interiors)]
        exterior, *holes = (self._nodes(ring) for ring in rings)
        inner = [{"node_tokens": hole} for hole in holes]
        return self._add("polygon", exterior, exterior_node_tokens=exterior, holes=inner)

    def _polygons(self, geometry: shapely.Geometry) -> List[str]:
        parts = [part for part in shapely.get_parts(geometry).tolist() if part.geom_type == "Polygon"]
        return [self._polygon(part) for part in parts if part.area > 0]

    def _add_lane(self, lane: Lane) -> None:
        table = "lane_connector" if lane.is_connector else "lane"
        token = self._token("lane", lane.id)
        largest = max(shapely.get_parts(lane.polygon).tolist(), key=lambda part: float(part.area))
        row: Row = {"token": token, "polygon_token": self._polygon(largest)}
        if not lane.is_connector:
            row.update(lane_type="CAR", left_lane_divider_segments=[], right_lane_divider_segments=[])
            row.update(zip(("from_edge_line_token", "to_edge_line_token"), self._edges(lane)))
        self._tables[table][token] = row

    def _edges(self, lane: Lane) -> List[str]:
        """Lines across both ends of a lane."""
        half = float(lane.polygon.area / lane.length / 2.0)
        lines = []
        for x, y, heading in lane.states[[0, -1]]:
            across = half * np.array([-np.sin(heading), np.cos(heading)])
            nodes = self._nodes(np.array([[x, y] + across, [x, y] - across]))
            lines.append(self._add("line", *nodes, node_tokens=nodes))
        return lines

    def _link(self, lanes: Sequence[Lane], connectors: Sequence[Lane]) -> Dict[str, Dict[str, List[str]]]:
        """What goes on into what, of what was written."""
        links: Dict[str, Dict[str, List[str]]] = {
            self._token("lane", lane.id): {"incoming": [], "outgoing": []} for lane in (*lanes, *connectors)
        }
        for lane in (*lanes, *connectors):
            token = self._token("lane", lane.id)
            for following in (self._token("lane", id_) for id_ in lane.outgoing_ids):
                if following in links:
                    links[token]["outgoing"].append(following)
                    links[following]["incoming"].append(token)
        return links

    def _add_areas(self) -> None:
        groups, junctions, carparks = (
            self._map.layer(name).geometry[self._rows(name)].tolist()
            for name in ("lane_groups_polygons", "intersections", "carpark_areas")
        )
        drivable = self._polygons(shapely.union_all([*groups, *junctions, *carparks]))
        area = self._add("drivable_area", polygon_tokens=drivable)
        for geometry in junctions:
            for token in self._polygons(geometry):
                self._add("road_segment", token, polygon_token=token, is_intersection=True, drivable_area_token=area)
        for geometry in groups:
            for token in self._polygons(geometry):
                segment = self._add(
                    "road_segment", token, polygon_token=token, is_intersection=False, drivable_area_token=area
                )
                ends = {"from_edge_line_token": "", "to_edge_line_token": ""}
                self._add("road_block", token, polygon_token=token, **ends, road_segment_token=segment)
        for geometry in carparks:
            for token in self._polygons(geometry):
                self._add("carpark_area", token, polygon_token=token, orientation=0.0, road_block_token="")
        for layer, table in (("crosswalks", "ped_crossing"), ("walkways", "walkway")):
            for geometry in self._map.layer(layer).geometry[self._rows(layer)].tolist():
                for token in self._polygons(geometry):
                    extra = {"road_segment_token": ""} if table == "ped_crossing" else {}
                    self._add(table, token, polygon_token=token, **extra)
