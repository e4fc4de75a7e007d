"""Writes city maps as nuPlan's GeoPackages: what `maps.CityMap` and the devkit read.

Geometry is stored in longitude and latitude (EPSG:4326); positions are rounded to 1 mm of the UTM zone before. One
version of GDAL and PROJ writes the same bytes for the same layers.
"""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import pyogrio
import pyogrio.raw
import shapely
from pyproj import Transformer
from pyproj.exceptions import CRSError

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.map_layers import LAYER_COLUMNS, NO_ID, OPTIONAL_COLUMNS, MapLayer, empty_layer, has_layer
from latentvla_agent.data.maps import MAP_VERSIONS_FILE
from latentvla_agent.errors import DataError

STORED_CRS = "EPSG:4326"
MILLIMETRES = 3  # decimals of a metre
GEOMETRY_TYPES: Mapping[str, str] = MappingProxyType(  # of every layer, in the order of the file
    {
        "lanes_polygons": "Polygon",
        "lane_connectors": "LineString",
        "gen_lane_connectors_scaled_width_polygons": "Polygon",
        "lane_groups_polygons": "Polygon",
        "lane_group_connectors": "Polygon",
        "baseline_paths": "LineString",
        "boundaries": "LineString",
        "stop_polygons": "Polygon",
        "intersections": "Polygon",
        "carpark_areas": "Polygon",
        "crosswalks": "Polygon",
        "walkways": "Polygon",
        "generic_drivable_areas": "Polygon",
    }
)
ID_COLUMN = "fid"
OWN_ID_COLUMN = {"lanes_polygons": "lane_fid"}  # nuPlan's lanes repeat their id
SPEED_COLUMN = "speed_limit_mps"
# The file's date is part of its bytes; it lies in a temporary folder until it is whole.
GDAL_OPTIONS = {"OGR_CURRENT_DATE": "2000-01-01T00:00:00.000Z", "OGR_SQLITE_SYNCHRONOUS": "OFF"}
# Neither the devkit nor our reader asks a spatial index.
LAYER_OPTIONS = {"SPATIAL_INDEX": "NO", "FID": ID_COLUMN}


class LocationSlot(NamedTuple):
    """A location that NAVSIM knows: the version of its map and its UTM zone."""

    version: str
    projection: str


LOCATIONS: Mapping[str, LocationSlot] = MappingProxyType(
    {
        "us-nv-las-vegas-strip": LocationSlot("9.15.1915", "EPSG:32611"),
        "us-ma-boston": LocationSlot("9.12.1817", "EPSG:32619"),
        "us-pa-pittsburgh-hazelwood": LocationSlot("9.17.1937", "EPSG:32617"),
        "sg-one-north": LocationSlot("9.17.1964", "EPSG:32648"),
    }
)


def map_path(root: Path, location: str) -> Path:
    """Where the map of one of `LOCATIONS` lies below a maps root."""
    if location not in LOCATIONS:
        raise DataError(f"{root}: expected a location among {', '.join(LOCATIONS)}, got {location!r}")
    return root / location / LOCATIONS[location].version / "map.gpkg"


def write_map_versions(root: Path) -> None:
    """Make a folder of maps complete: the versions file, and stubs of the locations that have no map.

    The devkit opens `meta` and `lane_connectors` of all four, whichever it uses.
    """
    for location, slot in LOCATIONS.items():
        path = map_path(root, location)
        if not path.is_file():
            write_map(path, {"lane_connectors": empty_layer("lane_connectors")}, slot.projection, slot.version)
    versions = {location: {"version": slot.version} for location, slot in LOCATIONS.items()}
    write_atomically(root / MAP_VERSIONS_FILE, (json.dumps(versions, indent=2) + "\n").encode())


def is_stub(path: Path) -> bool:
    """Whether a map file is one of these stubs."""
    return not has_layer(path, "lanes_polygons")


def write_map(path: Path, layers: Mapping[str, MapLayer], projection: str, version: str = "") -> None:
    """Write the layers, in UTM metres of the zone `projection` such as `EPSG:32611`, and the table `meta`.

    The ids of a layer are its FIDs and must increase: that is the order in which every reader gets the rows. Foreign
    keys of `NO_ID` and speed limits of NaN are stored as null. Raises `DataError` for a layer that no map has, a column
    that is missing, and geometries of another type than the layer's; then nothing is written.
    """
    for name, layer in layers.items():
        _check_layer(f"{path}: layer {name}", name, layer)
    try:
        to_stored = Transformer.from_crs(projection, STORED_CRS, always_xy=True)
    except CRSError as error:
        raise DataError(f"{path}: {projection}: not a coordinate system ({str(error).splitlines()[0]})") from error
    with tempfile.TemporaryDirectory() as folder, _gdal_options(GDAL_OPTIONS):
        file = Path(folder) / "map.gpkg"
        for name in (name for name in GEOMETRY_TYPES if name in layers):
            _write_layer(file, name, layers[name], to_stored)
        _write_meta(file, {"projectedCoordSystem": projection, "mapVersion": version})
        content = file.read_bytes()
    write_atomically(path, content)


def _check_layer(place: str, name: str, layer: MapLayer) -> None:
    if name not in GEOMETRY_TYPES:
        raise DataError(f"{place}: expected one of {', '.join(GEOMETRY_TYPES)}")
    missing = [column for column in LAYER_COLUMNS.get(name, ()) if column not in layer.columns]
    if missing:
        raise DataError(f"{place}: expected the column(s) {', '.join(missing)}, got {sorted(layer.columns)}")
    lengths = {key: len(values) for key, values in {"geometry": layer.geometry, **layer.columns}.items()}
    if any(length != len(layer.ids) for length in lengths.values()):
        raise DataError(f"{place}: expected {len(layer.ids)} rows, one per id, got {lengths}")
    if np.any(np.diff(layer.ids) <= 0) or np.any(layer.ids < 1):
        raise DataError(f"{place}: expected ids of at least 1 that increase, got others")
    kind = GEOMETRY_TYPES[name]
    for id_, geometry in zip(layer.ids.tolist(), layer.geometry.tolist()):
        if geometry is None or geometry.geom_type != kind or geometry.is_empty:
            got = "nothing" if geometry is None else str(geometry)[:60]
            raise DataError(f"{place}: id {id_}: expected a {kind}, got {got}")


def round_geometry(geometry: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    """The geometries (R,) with coordinates [m] rounded to 1 mm, without height."""
    if len(geometry) == 0:
        return np.empty(0, dtype=np.object_)
    rounded: npt.NDArray[np.object_] = shapely.transform(geometry, lambda xy: np.round(xy, MILLIMETRES))
    return rounded


def _write_layer(file: Path, name: str, layer: MapLayer, to_stored: Transformer) -> None:
    geometry = round_geometry(layer.geometry)
    if len(geometry):
        geometry = shapely.transform(geometry, lambda xy: np.column_stack(to_stored.transform(xy[:, 0], xy[:, 1])))
    columns = _order_columns(name, layer)
    values = [column for column, _ in columns.values()]
    masks = [mask for _, mask in columns.values()]
    wkb = shapely.to_wkb(geometry, byte_order=1) if len(geometry) else np.empty(0, dtype=object)
    _write(file, name, wkb, GEOMETRY_TYPES[name], list(columns), values, masks)


Column = Tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]  # values, and where they are null


def _order_columns(name: str, layer: MapLayer) -> Dict[str, Column]:
    """The id, then the columns that every map has in the order of the reader's table, then the others by name."""
    known = [*LAYER_COLUMNS.get(name, ()), *OPTIONAL_COLUMNS.get(name, ())]
    columns = dict(layer.columns)
    if name in OWN_ID_COLUMN:
        columns[OWN_ID_COLUMN[name]] = layer.ids
        known.insert(0, OWN_ID_COLUMN[name])
    order = [*(key for key in known if key in columns), *sorted(key for key in columns if key not in known)]
    return {ID_COLUMN: _find_nulls(layer.ids), **{key: _find_nulls(columns[key]) for key in order}}


def _find_nulls(values: npt.NDArray[Any]) -> Column:
    if values.dtype.kind == "i":
        return values.astype(np.int64), values == NO_ID
    if values.dtype.kind == "f":
        return values.astype(np.float64), np.isnan(values)
    return values.astype(object), np.array([value is None for value in values.tolist()], dtype=bool)


def _write_meta(file: Path, table: Mapping[str, str]) -> None:
    values = [np.array(column, dtype=object) for column in (list(table), list(table.values()))]
    _write(file, "meta", None, None, ["key", "value"], values, [np.zeros(len(table), dtype=bool)] * 2)


def _write(
    file: Path,
    name: str,
    geometry: Any,
    geometry_type: Any,
    fields: Sequence[str],
    values: List[npt.NDArray[Any]],
    masks: List[npt.NDArray[np.bool_]],
) -> None:
    pyogrio.raw.write(
        str(file),
        geometry,
        field_data=values,
        fields=np.array(fields, dtype=object),
        field_mask=masks,
        layer=name,
        driver="GPKG",
        geometry_type=geometry_type,
        crs=None if geometry is None else STORED_CRS,
        promote_to_multi=False,
        layer_options=LAYER_OPTIONS,
    )


@contextmanager
def _gdal_options(options: Mapping[str, str]) -> Iterator[None]:
    before = {key: pyogrio.get_gdal_config_option(key) for key in options}
    pyogrio.set_gdal_config_options(dict(options))
    try:
        yield
    finally:
        pyogrio.set_gdal_config_options(before)
