"""Areas put together and cut: on a grid of a millimetre, where borders that all but touch do no harm.

What comes out is an area again: the lines and points in which two areas merely touch are left out.
"""

from __future__ import annotations

from typing import Sequence

import shapely

GRID = 1e-3  # metres


def unite(areas: Sequence[shapely.Geometry]) -> shapely.Geometry:
    """All that is in any of the areas."""
    return _keep_area(shapely.union_all(list(areas), grid_size=GRID))


def subtract(area: shapely.Geometry, other: shapely.Geometry) -> shapely.Geometry:
    """What is in `area` and not in the other one."""
    return _keep_area(shapely.difference(area, other, grid_size=GRID))


def intersect(area: shapely.Geometry, other: shapely.Geometry) -> shapely.Geometry:
    """What is in both areas."""
    return _keep_area(shapely.intersection(area, other, grid_size=GRID))


def _keep_area(geometry: shapely.Geometry) -> shapely.Geometry:
    if geometry.geom_type != "GeometryCollection":
        return geometry if geometry.area > 0.0 else shapely.MultiPolygon()
    parts = shapely.get_parts(shapely.get_parts(geometry))
    return shapely.MultiPolygon([part for part in parts if part.geom_type == "Polygon"])
