"""City maps in a quarter of the room, for archives: vertices as differences of whole millimetres, in safetensors.

A GeoPackage compresses badly (degrees as doubles); what is packed here is written as one again before anybody reads it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

import numpy as np
import numpy.typing as npt
import safetensors.numpy
import shapely
from safetensors import SafetensorError

from latentvla_agent.data.map_layers import MapLayer
from latentvla_agent.data.map_writer import GEOMETRY_TYPES, LOCATIONS, is_stub, map_path, write_map
from latentvla_agent.data.maps import CityMap
from latentvla_agent.errors import DataError

UNITS_PER_METRE = 1000
IDS, VERTICES, OFFSETS, COLUMN = "ids", "vertices", "offsets", "column"  # parts of an array's name, after the layer's
SHAPELY_TYPES = {"Polygon": shapely.GeometryType.POLYGON, "LineString": shapely.GeometryType.LINESTRING}


def list_maps(maps: Path) -> List[Tuple[str, Path]]:
    """Location and file of every map below a maps root; stubs don't count."""
    paths = [(location, map_path(maps, location)) for location in sorted(LOCATIONS)]
    return [(location, path) for location, path in paths if path.is_file() and not is_stub(path)]


def pack_map(path: Path) -> bytes:
    """All layers of a map file, to be compressed; raises `DataError` for a broken one."""
    city = CityMap(path)
    arrays: Dict[str, npt.NDArray[np.generic]] = {}
    for name in GEOMETRY_TYPES:
        layer = city.layer(name)
        if len(layer.ids):
            arrays.update(_pack_layer(name, layer))
    return safetensors.numpy.save(arrays)


def unpack_map(content: bytes, maps: Path, location: str) -> None:
    """Write the map of a location below the folder `maps`; raises `DataError` for content that is not a packed map."""
    try:
        arrays = safetensors.numpy.load(content)
        layers = {name: _unpack_layer(name, arrays) for name in GEOMETRY_TYPES if f"{name}.{IDS}" in arrays}
    except (SafetensorError, KeyError, ValueError, IndexError, shapely.GEOSException) as error:
        raise DataError(f"{maps}: packed map of {location}: not readable ({error})") from error
    write_map(map_path(maps, location), layers, LOCATIONS[location].projection)


def _pack_layer(name: str, layer: MapLayer) -> Dict[str, npt.NDArray[np.generic]]:
    _, vertices, offsets = shapely.to_ragged_array(shapely.force_2d(layer.geometry))
    units = np.rint(vertices * UNITS_PER_METRE).astype(np.int64)
    packed: Dict[str, npt.NDArray[np.generic]] = {
        f"{name}.{IDS}": _take_differences(layer.ids),
        f"{name}.{VERTICES}": np.ascontiguousarray(_take_differences(units).T),
    }
    for level, offset in enumerate(offsets):
        packed[f"{name}.{OFFSETS}.{level}"] = _take_differences(np.asarray(offset, dtype=np.int64))
    for column, values in layer.columns.items():
        kind = np.int64 if values.dtype.kind == "i" else np.float64
        packed[f"{name}.{COLUMN}.{column}"] = np.ascontiguousarray(values.astype(kind))
    return packed


def _unpack_layer(name: str, arrays: Dict[str, npt.NDArray[np.generic]]) -> MapLayer:
    kind = SHAPELY_TYPES[GEOMETRY_TYPES[name]]
    levels = 2 if kind == shapely.GeometryType.POLYGON else 1  # rings of vertices, polygons of rings
    offsets = tuple(np.cumsum(arrays[f"{name}.{OFFSETS}.{level}"], dtype=np.int64) for level in range(levels))
    vertices = np.cumsum(arrays[f"{name}.{VERTICES}"], axis=1, dtype=np.int64).T / UNITS_PER_METRE
    geometry = np.asarray(shapely.from_ragged_array(kind, np.ascontiguousarray(vertices), offsets), dtype=np.object_)
    prefix = f"{name}.{COLUMN}."
    columns = {key[len(prefix) :]: values for key, values in arrays.items() if key.startswith(prefix)}
    return MapLayer(np.cumsum(arrays[f"{name}.{IDS}"], dtype=np.int64), geometry, columns)


def _take_differences(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return np.diff(values, axis=0, prepend=np.zeros_like(values[:1]))
