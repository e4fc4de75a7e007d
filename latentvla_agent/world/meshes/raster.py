"""Filling polygons in a raster of labels: a cell is inside if its middle is (even-odd rule over all rings)."""

from __future__ import annotations

from typing import Any, List, Sequence, Tuple

import numba
import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.world.meshes.mesh import FloatArray, LabelArray

_compile: Any = numba.njit(cache=True, nogil=True)
Layers = Sequence[Tuple[shapely.Geometry, int]]


def draw_areas(labels: LabelArray, origin: FloatArray, resolution: float, areas: Layers) -> None:
    """Give the cells of each (area, label), in order, its label; later ones cover earlier ones. In place."""
    edges: List[FloatArray] = []
    ends: List[int] = []
    values: List[int] = []
    total = 0
    for area, label in areas:
        for polygon in shapely.get_parts(area):
            if polygon.geom_type != "Polygon" or polygon.is_empty:
                continue
            for ring in (polygon.exterior, *polygon.interiors):
                points = (shapely.get_coordinates(ring) - origin) / resolution
                edges.append(np.hstack([points[:-1], points[1:]]))
                total += len(points) - 1
            ends.append(total)
            values.append(label)
    if edges:
        _fill(labels, np.concatenate(edges), np.array(ends, np.int64), np.array(values, np.uint8))


@_compile
def _fill(labels: LabelArray, edges: FloatArray, ends: npt.NDArray[np.int64], values: LabelArray) -> None:
    """`edges` (E, 4) x, y to x, y in cells; polygon i has those before `ends[i]`, the label `values[i]`."""
    height, width = labels.shape
    start = 0
    for index in range(len(ends)):
        part = edges[start : ends[index]]
        start = ends[index]
        low = max(int(np.floor(part[:, 1].min())), 0)
        high = min(int(np.ceil(part[:, 1].max())), height)
        crossings = np.empty(len(part))
        for row in range(low, high):
            middle = row + 0.5
            count = 0
            for edge in range(len(part)):
                y0, y1 = part[edge, 1], part[edge, 3]
                if (y0 <= middle) != (y1 <= middle):
                    x0, x1 = part[edge, 0], part[edge, 2]
                    crossings[count] = x0 + (middle - y0) / (y1 - y0) * (x1 - x0)
                    count += 1
            found = np.sort(crossings[:count])
            for pair in range(count // 2):
                first = min(max(int(np.ceil(found[2 * pair] - 0.5)), 0), width)
                last = min(max(int(np.ceil(found[2 * pair + 1] - 0.5)), 0), width)
                labels[row, first:last] = values[index]
