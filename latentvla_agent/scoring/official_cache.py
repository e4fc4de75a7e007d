"""Metric caches of the devkit in a file that loads fast, for the devkit's own process.

The devkit keeps its caches as lzma pickles, and loading one costs as much as scoring it: polygons and small arrays are
unpickled one by one. Here they are kept together, bit for bit, and nothing is compressed. What comes back are the
same objects of the devkit's classes.

These are pickles, as the devkit's own: a file that another user owns is not opened.
"""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import shapely

from latentvla_agent.data.files import write_atomically

MAGIC = b"latentvla official cache 3\n"


class _Pickler(pickle.Pickler):
    """Sets float64 scalars, pairs of them and polygons aside; in their place stands a number.

    What is shared, as polygons are between maps, is kept once; it lives as long as the cache that is pickled.
    """

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.kinds: Tuple[List[Any], ...] = ([], [], [])
        self._numbers: Dict[int, int] = {}

    def persistent_id(self, obj: Any) -> Optional[int]:
        """The number of an object that is set aside: of the n-th of kind k, 3 n + k; None for all others."""
        kind = _find_kind(obj)
        if kind is None:
            return None
        if id(obj) not in self._numbers:
            self._numbers[id(obj)] = len(self.kinds) * len(self.kinds[kind]) + kind
            self.kinds[kind].append(obj)
        return self._numbers[id(obj)]


def _find_kind(obj: Any) -> Optional[int]:
    """0 for a scalar, 1 for a pair, 2 for a polygon."""
    if type(obj) is np.float64:
        return 0
    if type(obj) is np.ndarray:
        return 1 if obj.dtype == np.float64 and obj.shape == (2,) else None
    return 2 if type(obj) is shapely.Polygon else None


def write_official_cache(cache: Any, path: Path, source: str) -> None:
    """Keep a metric cache; `source` names what it was made of."""
    body = io.BytesIO()
    pickler = _Pickler(body)
    pickler.dump(cache)
    scalars, pairs, polygons = pickler.kinds
    _, coordinates, offsets = shapely.to_ragged_array(polygons or [shapely.Polygon()])
    parts = (np.array(scalars), np.array(pairs), coordinates, offsets, body.getvalue())
    content = pickle.dumps(parts, protocol=pickle.HIGHEST_PROTOCOL)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, MAGIC + source.encode() + b"\n" + content, durable=False)


def read_official_cache(path: Path, source: str) -> Any:
    """The metric cache; None where there is none made of `source`, or where the file isn't ours or is broken."""
    try:
        with path.open("rb") as file:
            is_ours = os.fstat(file.fileno()).st_uid == os.getuid()
            if not is_ours or file.readline() != MAGIC or file.readline() != source.encode() + b"\n":
                return None
            scalars, pairs, coordinates, offsets, body = pickle.load(file)
    except (OSError, ValueError, EOFError, pickle.UnpicklingError):
        return None
    polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, coordinates, offsets)
    kinds = (scalars, pairs, polygons)
    apart: List[Any] = [None] * (len(kinds) * max(map(len, kinds)))
    for kind, objects in enumerate(kinds):
        apart[kind : len(kinds) * len(objects) : len(kinds)] = list(objects)
    unpickler = pickle.Unpickler(io.BytesIO(body))
    unpickler.persistent_load = apart.__getitem__  # type: ignore[method-assign]
    return unpickler.load()
