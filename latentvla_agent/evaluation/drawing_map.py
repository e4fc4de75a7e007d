"""The road under a bird's-eye picture: drivable areas by kind, the lanes of the route and its centreline."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.evaluation.drawing_canvas import Window, write_clipped_line, write_polygons
from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.kernels import Areas
from latentvla_agent.scoring.metric_cache import MetricCache

# In the order of painting; the class names the colour in the style sheet.
LAYERS = (
    (AreaKind.CARPARK, "carpark"),
    (AreaKind.LANE_GROUP, "road"),
    (AreaKind.INTERSECTION, "crossing"),
    (AreaKind.INTERSECTION_INTERIOR, "crossing"),
    (AreaKind.LANE_CONNECTOR, "connector"),
    (AreaKind.LANE, "lane"),
)


def draw_map(cache: MetricCache, window: Window) -> List[str]:
    """SVG elements of the map, bottom first."""
    return [f'<path class="{style}" d="{data}"/>' for style, data in trace_map(cache, window)]


def trace_map(cache: MetricCache, window: Window) -> List[Tuple[str, str]]:
    """Class and path data of what the map is drawn of, bottom first; only what lies in the window."""
    areas = cache.areas
    near = find_near(areas, window)
    paths = [
        (style, _trace_area(_shapes(areas, near[areas.kinds[near] == kind], window), window, kind != AreaKind.LANE))
        for kind, style in LAYERS
    ]
    paths.append(("route", _trace_area(_shapes(areas, near[areas.on_route[near]], window), window, merge=True)))
    paths.append(("center", write_clipped_line(window.place(cache.centerline), window)))
    return [(style, data) for style, data in paths if data]


def find_near(areas: Areas, window: Window) -> npt.NDArray[np.int64]:
    """Indices of the polygons whose bounds come near the window."""
    reach = window.size  # from the ego, the far corners are 0.84 of the size away
    x, y = window.origin[:2]
    low, high = areas.bounds[:, :2], areas.bounds[:, 2:]
    apart = (low > np.array([x, y]) + reach) | (high < np.array([x, y]) - reach)
    near: npt.NDArray[np.int64] = np.flatnonzero(~apart.any(axis=1))
    return near


def _shapes(areas: Areas, indices: npt.NDArray[np.int64], window: Window) -> List[Any]:
    shapes = (shapely.simplify(window.clip(_build_polygon(areas, p, window)), window.tolerance) for p in indices)
    return [shape for shape in shapes if not shape.is_empty]


def _build_polygon(areas: Areas, index: Any, window: Window) -> Any:
    """Polygon `index` in picture coordinates. Its rings count by parity, so holes and parts come out by themselves."""
    shape: Any = shapely.Polygon()
    for ring in range(areas.polygon_starts[index], areas.polygon_starts[index + 1]):
        vertices = areas.vertices[areas.ring_starts[ring] : areas.ring_starts[ring + 1]]
        part = shapely.make_valid(shapely.polygons(window.place(vertices)))
        shape = part if shape.is_empty else shapely.symmetric_difference(shape, part)
    return shape


def _trace_area(shapes: List[Any], window: Window, merge: bool) -> str:
    """Path data of a kind; `merge` joins polygons that overlap or touch, others keep their outlines."""
    if merge and shapes:
        shapes = [shapely.simplify(shapely.union_all(shapes, grid_size=0.01), window.tolerance)]
    return write_polygons(shapes)
