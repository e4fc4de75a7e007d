"""Triangles of polygons with holes, by mapbox_earcut (part of the extra [world])."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.mesh import FloatArray


def triangulate_polygon(polygon: shapely.Polygon) -> Tuple[FloatArray, npt.NDArray[np.int32]]:
    """Vertices (V, 2) and triangles (F, 3), counter-clockwise, of a polygon with holes."""
    rings = list_rings(polygon)
    points = np.concatenate(rings)
    faces = _load_earcut().triangulate_float64(points, np.cumsum([len(ring) for ring in rings]).astype(np.uint32))
    triangles = np.asarray(faces, np.int32).reshape(-1, 3)
    a, b, c = (points[triangles[:, i]] for i in range(3))
    turn = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (b[:, 1] - a[:, 1]) * (c[:, 0] - a[:, 0])
    triangles[turn < 0.0] = triangles[turn < 0.0][:, ::-1]
    return points, triangles[turn != 0.0]


def list_rings(polygon: shapely.Polygon) -> Tuple[FloatArray, ...]:
    """Rings (M, 2) without the repeated last point: the outside counter-clockwise, holes clockwise."""
    turned = shapely.orient_polygons(polygon) if hasattr(shapely, "orient_polygons") else _orient(polygon)
    return tuple(shapely.get_coordinates(ring)[:-1] for ring in (turned.exterior, *turned.interiors))


def _orient(polygon: shapely.Polygon) -> shapely.Polygon:
    """`shapely.orient_polygons` of before shapely 2.1."""
    from shapely.geometry.polygon import orient

    return orient(polygon)


def _load_earcut() -> Any:
    try:
        import mapbox_earcut
    except ImportError as error:
        raise DataError('streets need mapbox_earcut, which is missing: pip install "latentvla-agent[world]"') from error
    return mapbox_earcut
