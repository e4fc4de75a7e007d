"""Reads nuScenes' map expansion (v1.3), one JSON file a location: polygons, lanes, how they go on into each other.

Records are checked as far as they are used. Real maps have polygons without a token, road blocks without a polygon and
links to lanes that are not there: these are left out. What cannot be read is a `DataError` naming file and record.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.data.checks import Check, describe, find_problem, holds_texts, is_finite, is_optional_text, is_text
from latentvla_agent.data.nuscenes.paths import PIECE_CHECKS, trace_path
from latentvla_agent.data.nuscenes.tables import Row, read_json
from latentvla_agent.data.scene import FloatArray
from latentvla_agent.errors import DataError

_TEXT: Check = ("a text", is_text)
_LINK: Check = ("a token, or nothing", lambda value: value == "" or is_optional_text(value))
_LINKS: Check = ("a list of tokens", lambda value: isinstance(value, list) and all(_LINK[1](item) for item in value))
_NUMBER: Check = ("a finite number", lambda value: isinstance(value, (int, float)) and is_finite([value]))
_TEXTS: Check = ("a list of tokens", holds_texts)
_ROWS: Check = (
    "a list of objects",
    lambda value: isinstance(value, list) and all(isinstance(row, dict) for row in value),
)
_AREA = {"polygon_token": _LINK}
_CHECKS: Mapping[str, Dict[str, Check]] = {
    "node": {"token": _TEXT, "x": _NUMBER, "y": _NUMBER},
    "polygon": {"token": _LINK, "exterior_node_tokens": _TEXTS, "holes": _ROWS},
    "drivable_area": {"polygon_tokens": _LINKS},
    "road_segment": {**_AREA, "is_intersection": ("true or false", lambda value: isinstance(value, bool))},
    "road_block": _AREA,
    "lane": {
        "token": _TEXT,
        **_AREA,
        "left_lane_divider_segments": _ROWS,
        "right_lane_divider_segments": _ROWS,
    },
    "lane_connector": {"token": _TEXT, **_AREA},
    "ped_crossing": _AREA,
    "walkway": _AREA,
    "carpark_area": _AREA,
}
_LINK_CHECKS = {"incoming": _LINKS, "outgoing": _LINKS}
MIN_CORNERS = 3
Polygons = List[shapely.Polygon]


@dataclass(frozen=True)
class ExpansionLane:
    """A lane or lane connector: centreline (M, 2), None for a polygon that it lacks, tokens of what it goes on into.

    `left`, `right`: nodes of its dividers. What lies left of a lane and goes the same way has its right divider there.
    """

    token: str
    is_connector: bool
    path: FloatArray
    polygon: Optional[shapely.Polygon]
    outgoing: Tuple[str, ...]
    left: FrozenSet[str] = frozenset()
    right: FrozenSet[str] = frozenset()


@dataclass(frozen=True)
class Expansion:
    """The map of one location, in the coordinates of nuScenes' ego poses [m], without lanes that have no centreline."""

    path: Path
    lanes: Mapping[str, ExpansionLane]
    road_blocks: Polygons
    intersections: Polygons
    drivable_areas: Polygons
    carparks: Polygons
    crosswalks: Polygons
    walkways: Polygons


def read_expansion(path: Path) -> Expansion:
    """Read `<root>/maps/expansion/<location>.json`."""
    reader = _Reader(path)
    return Expansion(
        path,
        reader.read_lanes(),
        road_blocks=reader.read_areas("road_block"),
        intersections=reader.read_areas("road_segment", lambda row: row["is_intersection"]),
        drivable_areas=reader.read_areas("drivable_area"),
        carparks=reader.read_areas("carpark_area"),
        crosswalks=reader.read_areas("ped_crossing"),
        walkways=reader.read_areas("walkway"),
    )


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path, self._content = path, read_json(path)
        if not isinstance(self._content, dict):
            raise DataError(f"{path}: expected an object of tables, got {describe(self._content)}")
        self._nodes = {row["token"]: (row["x"], row["y"]) for row in self._rows("node")}
        self._rings = {row["token"]: row for row in self._rows("polygon") if row["token"]}

    def _rows(self, table: str) -> Iterator[Row]:
        rows = self._content.get(table)
        if not isinstance(rows, list):
            raise DataError(f"{self._path}: {table}: expected a list of records, got {describe(rows)}")
        for number, row in enumerate(rows):
            problem = find_problem(row, _CHECKS[table]) if isinstance(row, dict) else "expected an object"
            if problem is not None:
                raise DataError(f"{self._path}: {table}: record {number}: {problem}")
            yield row

    def _mapping(self, table: str) -> Dict[str, Any]:
        found = self._content.get(table)
        if not isinstance(found, dict):
            raise DataError(f"{self._path}: {table}: expected an object by token, got {describe(found)}")
        return found

    def read_areas(self, table: str, keep: Any = lambda row: True) -> Polygons:
        """Polygons of a table's records, without those that have none."""
        found: Polygons = []
        for row in self._rows(table):
            tokens = row["polygon_tokens"] if "polygon_tokens" in row else [row["polygon_token"]]
            polygons = [self._polygon(token) for token in tokens if token and keep(row)]
            found += [polygon for polygon in polygons if polygon is not None]
        return found

    def _polygon(self, token: str) -> Optional[shapely.Polygon]:
        """The polygon of that token; None for one that encloses nothing. Rings that cross themselves are mended."""
        row = self._rings.get(token)
        if row is None:
            raise DataError(f"{self._path}: polygon: expected a record of token {token[:64]!r}, got none")
        place = f"polygon {token[:64]}"
        exterior = self._points(place, row["exterior_node_tokens"])
        holes = [self._points(place, hole.get("node_tokens")) for hole in row["holes"]]
        if len(exterior) < MIN_CORNERS:
            return None
        polygon = shapely.Polygon(exterior, [hole for hole in holes if len(hole) >= MIN_CORNERS])
        mended = polygon if polygon.is_valid else shapely.make_valid(polygon)
        parts = [part for part in shapely.get_parts(mended).tolist() if part.geom_type == "Polygon" and part.area > 0]
        return max(parts, key=lambda part: float(part.area)) if parts else None

    def _points(self, place: str, tokens: Any) -> FloatArray:
        if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
            raise DataError(f"{self._path}: {place}: expected a list of tokens of nodes, got {describe(tokens)}")
        missing = [token for token in tokens if token not in self._nodes]
        if missing:
            raise DataError(f"{self._path}: {place}: expected a node of token {missing[0][:64]!r}, got none")
        return np.array([self._nodes[token] for token in tokens], np.float64).reshape(-1, 2)

    def read_lanes(self) -> Dict[str, ExpansionLane]:
        """Lanes and lane connectors by token."""
        paths, links = self._mapping("arcline_path_3"), self._mapping("connectivity")
        lanes: Dict[str, ExpansionLane] = {}
        for table in ("lane", "lane_connector"):
            for row in self._rows(table):
                token = row["token"]
                path = self._trace(token, paths.get(token, []))
                if len(path) < 2:
                    continue
                lanes[token] = ExpansionLane(
                    token,
                    table == "lane_connector",
                    path,
                    self._polygon(row["polygon_token"]) if row["polygon_token"] else None,
                    self._outgoing(token, links.get(token)),
                    left=_divider_nodes(row.get("left_lane_divider_segments", [])),
                    right=_divider_nodes(row.get("right_lane_divider_segments", [])),
                )
        return lanes

    def _trace(self, token: str, pieces: Any) -> FloatArray:
        place = f"{self._path}: arcline_path_3: {token[:64]}"
        if not isinstance(pieces, list):
            raise DataError(f"{place}: expected a list of pieces, got {describe(pieces)}")
        for number, piece in enumerate(pieces):
            problem = find_problem(piece, PIECE_CHECKS) if isinstance(piece, dict) else "expected an object"
            if problem is not None:
                raise DataError(f"{place}: piece {number}: {problem}")
        return trace_path(pieces)

    def _outgoing(self, token: str, links: Any) -> Tuple[str, ...]:
        if links is None:
            return ()
        problem = find_problem(links, _LINK_CHECKS) if isinstance(links, dict) else "expected an object"
        if problem is not None:
            raise DataError(f"{self._path}: connectivity: {token[:64]}: {problem}")
        return tuple(link for link in links["outgoing"] if link)


def _divider_nodes(segments: Sequence[Row]) -> FrozenSet[str]:
    return frozenset(str(segment["node_token"]) for segment in segments if segment.get("node_token"))
