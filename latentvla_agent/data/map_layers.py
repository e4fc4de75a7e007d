"""Layers of a nuPlan map file (GeoPackage), projected to UTM metres and indexed by FID, by column and by place."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any, Dict, List, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyogrio
import pyogrio.raw
import shapely
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import Transformer
from pyproj.exceptions import CRSError

from latentvla_agent.errors import DataError

IdArray = npt.NDArray[np.int64]
NO_ID = -1  # a null foreign key

# What the score needs; a map without one of them is an error. No other columns of these layers are read.
LAYER_COLUMNS: Mapping[str, Sequence[str]] = {
    "lanes_polygons": ("lane_group_fid", "speed_limit_mps"),
    "lane_connectors": ("exit_lane_fid", "entry_lane_fid", "lane_group_connector_fid", "speed_limit_mps"),
    "gen_lane_connectors_scaled_width_polygons": ("lane_connector_fid",),
    "lane_groups_polygons": (),
    "lane_group_connectors": ("from_lane_group_fid", "to_lane_group_fid"),
    "baseline_paths": ("lane_fid", "lane_connector_fid"),
    "intersections": (),
    "carpark_areas": (),
}
# What pictures and bird's-eye views show beyond that. A layer that a map lacks is empty, a column is left out.
OPTIONAL_COLUMNS: Mapping[str, Sequence[str]] = {
    "lanes_polygons": ("lane_index",),
    "boundaries": ("boundary_type_fid",),
    "stop_polygons": ("stop_polygon_type_fid",),
    "crosswalks": (),
    "walkways": (),
    "generic_drivable_areas": (),
}


def _to_ids(values: npt.NDArray[Any]) -> IdArray:
    """Foreign keys as int64: integers, floats with NaN for null, or text, depending on who wrote the map."""
    if values.dtype.kind in "iu":
        return values.astype(np.int64)
    numbers = np.array([np.nan if v is None or v == "" else v for v in values.tolist()], dtype=np.float64)
    return np.where(np.isnan(numbers), NO_ID, numbers).astype(np.int64)


class MapLayer:
    """One layer: `ids` (R,) FIDs, `geometry` (R,) in UTM metres and columns (see `LAYER_COLUMNS`), in file order."""

    def __init__(self, ids: IdArray, geometry: npt.NDArray[np.object_], columns: Dict[str, npt.NDArray[Any]]):
        self.ids = ids
        self.geometry = geometry
        self.columns = columns

    @cached_property
    def row_of_id(self) -> Dict[int, int]:
        """Row of a FID."""
        return {int(fid): row for row, fid in enumerate(self.ids)}

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.geometry)

    @cached_property
    def _rows_of_value(self) -> Dict[str, Dict[int, List[int]]]:
        groups: Dict[str, Dict[int, List[int]]] = {}
        for column, values in self.columns.items():
            if values.dtype.kind == "i":
                group = groups.setdefault(column, {})
                for row, value in enumerate(values.tolist()):
                    group.setdefault(value, []).append(row)
        return groups

    def rows_where(self, column: str, value: int) -> Sequence[int]:
        """Rows, in file order, whose foreign key `column` is `value`."""
        return self._rows_of_value[column].get(value, ())

    def rows_in(self, area: shapely.Geometry) -> npt.NDArray[np.int64]:
        """Rows, in file order, whose geometry intersects `area` (touching counts)."""
        rows: npt.NDArray[np.int64] = np.sort(self._tree.query(area, predicate="intersects")).astype(np.int64)
        return rows

    def nearest_row(self, point: shapely.Point) -> int:
        """Row of the geometry nearest to `point`, the first of equals; -1 in an empty layer."""
        if len(self.ids) == 0:
            return -1
        return int(np.argmin(shapely.distance(self.geometry, point)))


def empty_layer(name: str) -> MapLayer:
    """A layer without rows, with the columns that it must have."""
    columns: Dict[str, npt.NDArray[Any]] = {
        column: np.empty(0, dtype=np.float64 if column == "speed_limit_mps" else np.int64)
        for column in LAYER_COLUMNS.get(name, ())
    }
    return MapLayer(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.object_), columns)


def read_projection(path: Path) -> str:
    """The map's UTM zone, such as `EPSG:32611`, from its table `meta`; raises `DataError` where it has none."""
    _, _, _, fields = _read(path, "meta", columns=("key", "value"))
    table = dict(zip(fields[0].tolist(), fields[1].tolist())) if len(fields) == 2 else {}
    if "projectedCoordSystem" not in table:
        raise DataError(f"{path}: layer meta has no key projectedCoordSystem, got {sorted(map(str, table))}")
    return str(table["projectedCoordSystem"])


def read_layer(path: Path, name: str, projection: str) -> MapLayer:
    """Read the layer `name` and project it; raises `DataError` for a missing layer or column, or a broken geometry.

    An optional layer that the map lacks is empty.
    """
    if name not in LAYER_COLUMNS and name not in OPTIONAL_COLUMNS:
        raise DataError(f"{path}: {name}: expected a layer among {', '.join({**LAYER_COLUMNS, **OPTIONAL_COLUMNS})}")
    if name not in LAYER_COLUMNS and not has_layer(path, name):
        return MapLayer(np.empty(0, dtype=np.int64), np.empty(0, dtype=np.object_), {})
    wanted = LAYER_COLUMNS.get(name, ())
    meta, fids, geometry, fields = _read(path, name, columns=[*wanted, *OPTIONAL_COLUMNS.get(name, ())])
    found = dict(zip(meta["fields"].tolist(), fields))
    missing = [column for column in wanted if column not in found]
    if missing:
        raise DataError(f"{path}: layer {name} lacks the column(s) {', '.join(missing)}")
    columns = {key: values if key == "speed_limit_mps" else _to_ids(values) for key, values in found.items()}
    return MapLayer(fids.astype(np.int64), _project(path, name, geometry, meta["crs"], projection), columns)


def has_layer(path: Path, name: str) -> bool:
    """Whether the map file holds a layer of that name."""
    try:
        return any(name == found for found, _ in pyogrio.list_layers(str(path)))
    except (DataSourceError, ValueError) as error:
        raise DataError(f"{path}: expected a readable map ({_first_line(error)})") from error


def _read(path: Path, layer: str, columns: Sequence[str]) -> Any:
    if not path.is_file():
        raise DataError(f"{path}: map file not found")
    try:
        return pyogrio.raw.read(str(path), layer=layer, columns=list(columns), return_fids=True)
    except DataLayerError as error:
        raise DataError(f"{path}: layer {layer} is missing ({_first_line(error)})") from error
    except (DataSourceError, ValueError) as error:
        raise DataError(f"{path}: layer {layer} is not readable ({_first_line(error)})") from error


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _project(path: Path, name: str, wkb: Any, source: str, target: str) -> npt.NDArray[np.object_]:
    """Decode WKB and project it from the layer's CRS to UTM metres, as geopandas' `to_crs` does (x, y order)."""
    try:
        transformer = Transformer.from_crs(source, target, always_xy=True)
        geometry = shapely.force_2d(shapely.from_wkb(wkb))
    except (CRSError, shapely.errors.GEOSException) as error:
        raise DataError(f"{path}: layer {name} is not readable ({_first_line(error)})") from error
    if len(geometry) == 0:
        return np.empty(0, dtype=np.object_)
    projected: npt.NDArray[np.object_] = shapely.transform(
        geometry, lambda xy: np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    )
    return projected
