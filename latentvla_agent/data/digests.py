"""Digests of content: of a map, whatever version of GDAL, SQLite and PROJ wrote it."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any, Mapping

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.map_layers import LAYER_COLUMNS, OPTIONAL_COLUMNS, MapLayer, read_layer, read_projection

UNITS_PER_METRE = 1000  # coordinates count whole millimetres
UNITS_PER_NUMBER = 1_000_000  # and other numbers millionths
NULL = np.iinfo(np.int64).min  # for a number that is not there


def digest_map(path: Path) -> str:
    """SHA-256, in hexadecimal, of what `map_layers` reads of a map file; raises `DataError` for a broken one."""
    projection = read_projection(path)
    names = sorted({**LAYER_COLUMNS, **OPTIONAL_COLUMNS})
    return digest_layers({name: read_layer(path, name, projection) for name in names}, projection)


def digest_layers(layers: Mapping[str, MapLayer], projection: str) -> str:
    """SHA-256, in hexadecimal, of layers in the UTM zone `projection`: ids, columns and coordinates rounded to 1 mm.

    Columns that `map_layers` does not read don't count, nor do layers without rows.
    """
    digest = hashlib.sha256(projection.encode())
    for name in sorted(name for name, layer in layers.items() if len(layer.ids)):
        layer = layers[name]
        columns = sorted({*LAYER_COLUMNS.get(name, ()), *OPTIONAL_COLUMNS.get(name, ())}.intersection(layer.columns))
        digest.update(json.dumps([name, len(layer.ids), columns]).encode())
        digest.update(layer.ids.astype("<i8").tobytes())
        for column in columns:
            digest.update(_column_bytes(layer.columns[column]))
        for wkb in shapely.to_wkb(_count_millimetres(layer.geometry), byte_order=1).tolist():
            digest.update(len(wkb).to_bytes(8, "little") + wkb)
    return digest.hexdigest()


def _count_millimetres(geometry: npt.NDArray[np.object_]) -> npt.NDArray[np.object_]:
    flat = shapely.force_2d(geometry)
    counted: npt.NDArray[np.object_] = shapely.transform(flat, lambda xy: np.rint(xy * UNITS_PER_METRE) + 0.0)
    return counted


def _column_bytes(values: npt.NDArray[Any]) -> bytes:
    if values.dtype.kind == "i":
        return values.astype("<i8").tobytes()
    numbers = np.array([np.nan if value is None else value for value in values.tolist()], dtype=np.float64)
    counted = np.where(np.isnan(numbers), 0.0, np.rint(numbers * UNITS_PER_NUMBER)).astype(np.int64)
    return np.where(np.isnan(numbers), NULL, counted).astype("<i8").tobytes()
