"""City maps: lanes, lane connectors and the groups of them that routes are made of.

Vocabulary: nuPlan's lane group is a *roadblock*, its lane group connector a *roadblock connector*; a route is a list of
their ids. An id is the FID of the row, as text. Both kinds, and lanes and lane connectors, are looked up by id alone
where the devkit does so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Callable, Dict, List, Mapping, Optional, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.map_layers import LAYER_COLUMNS, NO_ID, MapLayer, read_layer, read_projection
from latentvla_agent.errors import DataError

MAP_VERSIONS_FILE = "nuplan-maps-v1.0.json"


@dataclass(frozen=True, eq=False)
class Lane:
    """A lane or lane connector. Its baseline is read when asked for, as in the devkit: most lanes around a scene only
    count as areas, and one of them without a baseline must not cost the scene."""

    id: str
    roadblock_id: str
    is_connector: bool
    polygon: shapely.Geometry
    read_baseline: Callable[[], shapely.LineString]
    speed_limit: Optional[float]
    outgoing_ids: Tuple[str, ...]

    @cached_property
    def states(self) -> npt.NDArray[np.float64]:
        """Vertices (M, 3) of the baseline with the heading to the next vertex; raises `DataError` as `length` does."""
        return discretise_line(self._baseline)

    @cached_property
    def length(self) -> float:
        """Length [m] of the baseline; raises `DataError` where the map does not hold just one, with a length."""
        return float(self._baseline.length)

    @cached_property
    def _baseline(self) -> shapely.LineString:
        return self.read_baseline()


class Roadblock:
    """A lane group, or a lane group connector; `polygon` and `lanes` are read when asked for."""

    def __init__(self, city_map: CityMap, id_: str, is_connector: bool):
        self._map = city_map
        self.id = id_
        self.is_connector = is_connector

    @cached_property
    def polygon(self) -> shapely.Geometry:
        """Area of the roadblock; raises `DataError` where the map refers to a roadblock that it does not hold."""
        layer_name = "lane_group_connectors" if self.is_connector else "lane_groups_polygons"
        layer = self._map.layer(layer_name)
        row = layer.row_of_id.get(int(self.id))
        if row is None:
            raise DataError(f"{self._map.path}: layer {layer_name} has no id {self.id}")
        return layer.geometry[row]

    @cached_property
    def lanes(self) -> List[Lane]:
        """The lanes of the group, or the lane connectors, in file order."""
        column = "lane_group_connector_fid" if self.is_connector else "lane_group_fid"
        layer = self._map.layer("lane_connectors" if self.is_connector else "lanes_polygons")
        return [self._map.lane(row, self.is_connector) for row in layer.rows_where(column, int(self.id))]

    def neighbours(self, forward: bool) -> List[Roadblock]:
        """Roadblocks that follow (or precede) in driving direction; groups and connectors alternate."""
        layer = self._map.layer("lane_group_connectors")
        sources, targets = layer.columns["from_lane_group_fid"], layer.columns["to_lane_group_fid"]
        if not self.is_connector:
            column = "from_lane_group_fid" if forward else "to_lane_group_fid"
            return [self._map.roadblock_at(row, True) for row in layer.rows_where(column, int(self.id))]
        row = layer.row_of_id[int(self.id)]
        group = int((targets if forward else sources)[row])
        return [self._map.make_roadblock(str(group), False)] if group != NO_ID else []


class CityMap:
    """The map of one location. Layers are read on first use; objects are built on first use and shared.

    `layers`: all of them, of a map that is no GeoPackage; `path` then is what error messages name.
    """

    def __init__(self, path: Path, layers: Optional[Mapping[str, MapLayer]] = None):
        self.path = path
        self._projection = read_projection(path) if layers is None else ""
        self._layers: Dict[str, MapLayer] = dict(layers or {})
        self._lanes: Dict[Tuple[int, bool], Lane] = {}
        self._roadblocks: Dict[Tuple[str, bool], Roadblock] = {}

    def layer(self, name: str) -> MapLayer:
        """The layer of that name (see `map_layers`); one of `OPTIONAL_COLUMNS` alone may be empty for want of it."""
        if name not in self._layers:
            self._layers[name] = read_layer(self.path, name, self._projection)
        return self._layers[name]

    def read_all_layers(self) -> None:
        """Read every layer that the score needs now, so that a missing one is found before anything runs."""
        for name in LAYER_COLUMNS:
            self.layer(name)

    def make_roadblock(self, id_: str, is_connector: bool) -> Roadblock:
        """The roadblock of that id and kind, whether or not the map holds it."""
        key = (id_, is_connector)
        if key not in self._roadblocks:
            self._roadblocks[key] = Roadblock(self, id_, is_connector)
        return self._roadblocks[key]

    def roadblock_at(self, row: int, is_connector: bool) -> Roadblock:
        """The roadblock in that row of its layer."""
        layer = self.layer("lane_group_connectors" if is_connector else "lane_groups_polygons")
        return self.make_roadblock(str(layer.ids[row]), is_connector)

    def find_roadblock(self, id_: str) -> Roadblock:
        """The lane group of that id, else the lane group connector; raises `DataError` where the map has neither."""
        is_number = id_.isascii() and id_.isdigit() and len(id_) < 20
        for is_connector, name in ((False, "lane_groups_polygons"), (True, "lane_group_connectors")):
            if is_number and int(id_) in self.layer(name).row_of_id:
                return self.make_roadblock(id_, is_connector)
        raise DataError(f"{self.path}: no lane group and no lane group connector has the id {id_!r} of the route")

    def roadblocks_near(self, x: float, y: float, radius: float) -> List[Roadblock]:
        """Lane groups, then connectors, that intersect the square of half side `radius` around (x, y)."""
        area = shapely.box(x - radius, y - radius, x + radius, y + radius)
        return [
            self.roadblock_at(int(row), is_connector)
            for is_connector, name in ((False, "lane_groups_polygons"), (True, "lane_group_connectors"))
            for row in self.layer(name).rows_in(area)
        ]

    def nearest_roadblocks(self, x: float, y: float) -> List[Roadblock]:
        """The lane group and the lane group connector nearest to (x, y)."""
        point = shapely.Point(x, y)
        found = []
        for is_connector, name in ((False, "lane_groups_polygons"), (True, "lane_group_connectors")):
            row = self.layer(name).nearest_row(point)
            if row >= 0:
                found.append(self.roadblock_at(row, is_connector))
        return found

    def areas_near(self, layer: str, x: float, y: float, radius: float) -> List[Tuple[str, shapely.Geometry]]:
        """(id, polygon) of `layer` (intersections, carpark_areas) within the square around (x, y)."""
        source = self.layer(layer)
        rows = source.rows_in(shapely.box(x - radius, y - radius, x + radius, y + radius))
        return [(str(source.ids[row]), source.geometry[row]) for row in rows]

    def lane(self, row: int, is_connector: bool) -> Lane:
        """The lane (connector) in that row of its layer."""
        key = (row, is_connector)
        if key not in self._lanes:
            self._lanes[key] = self._build_connector(row) if is_connector else self._build_lane(row)
        return self._lanes[key]

    def _build_lane(self, row: int) -> Lane:
        layer, connectors = self.layer("lanes_polygons"), self.layer("lane_connectors")
        fid = int(layer.ids[row])
        outgoing = tuple(str(connectors.ids[r]) for r in connectors.rows_where("exit_lane_fid", fid))
        baseline = partial(self._read_baseline, "lane_fid", fid)
        group, limit = str(layer.columns["lane_group_fid"][row]), _speed_limit(layer, row)
        return Lane(str(fid), group, False, layer.geometry[row], baseline, limit, outgoing)

    def _build_connector(self, row: int) -> Lane:
        layer, areas = self.layer("lane_connectors"), self.layer("gen_lane_connectors_scaled_width_polygons")
        fid = int(layer.ids[row])
        rows = areas.rows_where("lane_connector_fid", fid)
        if len(rows) != 1:
            raise DataError(f"{self.path}: expected one polygon of lane connector {fid}, got {len(rows)}")
        baseline = partial(self._read_baseline, "lane_connector_fid", fid)
        group, limit = str(layer.columns["lane_group_connector_fid"][row]), _speed_limit(layer, row)
        outgoing = (str(layer.columns["entry_lane_fid"][row]),)
        return Lane(str(fid), group, True, areas.geometry[rows[0]], baseline, limit, outgoing)

    def _read_baseline(self, column: str, fid: int) -> shapely.LineString:
        layer = self.layer("baseline_paths")
        rows = layer.rows_where(column, fid)
        if len(rows) != 1 or not layer.geometry[rows[0]].length > 0.0:
            raise DataError(f"{self.path}: expected one baseline with {column} {fid} and a length, got {len(rows)}")
        return layer.geometry[rows[0]]


def _speed_limit(layer: MapLayer, row: int) -> Optional[float]:
    value = layer.columns["speed_limit_mps"][row]
    return None if value is None or np.isnan(float(value)) else float(value)


def discretise_line(line: shapely.LineString) -> npt.NDArray[np.float64]:
    """Vertices (M, 3) of a line with the heading to the next vertex; the last repeats the heading before it."""
    points = shapely.get_coordinates(line)
    steps = np.diff(points, axis=0)
    headings = np.arctan2(steps[:, 1], steps[:, 0])
    return np.column_stack([points, np.append(headings, headings[-1])])


class MapStore:
    """City maps below a nuPlan maps root, loaded on first use; only the location that is used must exist."""

    def __init__(self, root: Path):
        self.root = root
        self._maps: Dict[str, CityMap] = {}

    def load(self, location: str) -> CityMap:
        """The map of `location`, such as `us-ma-boston`; raises `DataError` where it is unknown or missing."""
        if location not in self._maps:
            self._maps[location] = CityMap(self.path_of(location))
        return self._maps[location]

    def path_of(self, location: str) -> Path:
        """Path of a location's GeoPackage, from the versions file of the root."""
        version = self._versions.get(location)
        if version is None:
            known = ", ".join(sorted(self._versions))
            raise DataError(f"{self.root / MAP_VERSIONS_FILE}: unknown map location {location!r}, known: {known}")
        path = self.root / location / version / "map.gpkg"
        if self.root.resolve() not in path.resolve().parents:
            raise DataError(f"{self.root / MAP_VERSIONS_FILE}: {location} {version!r} points out of the maps folder")
        if not path.is_file():
            raise DataError(f"{path}: map file not found")
        return path

    @cached_property
    def _versions(self) -> Dict[str, str]:
        return read_map_versions(self.root)


def read_map_versions(root: Path) -> Dict[str, str]:
    """The version of every location that a maps root knows, whether or not its map is there.

    Raises `DataError` where there is no table of them, or a broken one.
    """
    path = root / MAP_VERSIONS_FILE
    if not path.is_file():
        raise DataError(f"{path}: not found; is {root} a nuPlan maps folder?")
    try:
        table = json.loads(path.read_text())
        return {location: str(entry["version"]) for location, entry in table.items()}
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise DataError(f"{path}: expected {{location: {{version: …}}}}, got something else ({error})") from error
