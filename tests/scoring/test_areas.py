"""Areas as flat arrays hold what the polygons held: containment by kernel against shapely."""

from __future__ import annotations

from typing import Dict, List

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.areas import AreaKind, AreaPolygons, DrivableAreas, crop_areas, flatten_areas
from latentvla_agent.scoring.metrics.ego_area import contains_point

STAR_ANGLES = np.linspace(0.0, 2.0 * np.pi, 9)[:-1]
radii = st.lists(st.floats(1.0, 5.0), min_size=8, max_size=8)


def make_star(values: List[float], x: float = 0.0, y: float = 0.0) -> np.ndarray:
    return np.column_stack([x + np.cos(STAR_ANGLES) * values, y + np.sin(STAR_ANGLES) * values])


def flatten(*polygons: shapely.Geometry) -> DrivableAreas:
    ids = [str(i) for i in range(len(polygons))]
    kinds = [AreaKind.LANE] * len(ids)
    return flatten_areas(AreaPolygons(ids, kinds, np.array(polygons, dtype=np.object_)), set())


def contains(areas: DrivableAreas, p: int, x: float, y: float) -> bool:
    starts = areas.polygon_starts
    return bool(contains_point(areas.vertices, areas.ring_starts, starts[p], starts[p + 1], x, y))


@given(st.lists(st.tuples(radii, radii), min_size=1, max_size=3), st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_containment_with_holes_and_parts_is_shapelys(shapes: list, seed: int) -> None:
    """Polygons are stars with a smaller star cut out; the last area is a multipolygon of all of them."""
    parts = [
        shapely.Polygon(make_star(outer, 12.0 * i), [0.9 * make_star([min(outer)] * 8) + [12.0 * i, 0.0]])
        for i, (outer, _) in enumerate(shapes)
    ]
    parts += [shapely.Polygon(make_star(inner, 12.0 * i, 12.0)) for i, (_, inner) in enumerate(shapes)]
    polygons = [*parts, shapely.MultiPolygon(parts)]
    areas = flatten(*polygons)
    for x, y in np.random.default_rng(seed).uniform([-6.0, -6.0], [30.0, 18.0], (40, 2)):
        for p, polygon in enumerate(polygons):
            assert contains(areas, p, x, y) == shapely.contains_xy(polygon, x, y), (p, x, y)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=7, unique=True))
@settings(max_examples=300, deadline=None)
def test_points_on_the_border_are_outside(vertices: list) -> None:
    """Corners and query points on one integer grid: most points lie on edges and vertices."""
    polygon = shapely.Polygon(vertices)
    if not polygon.is_valid or polygon.area == 0.0:
        return
    areas = flatten(polygon)
    for x in range(7):
        for y in range(7):
            assert contains(areas, 0, x, y) == shapely.contains_xy(polygon, x, y), (x, y)


def test_layout_of_the_flat_arrays() -> None:
    triangle = shapely.Polygon([(0, 0), (4, 0), (0, 4)])
    frame = shapely.Polygon([(10, 0), (20, 0), (20, 10), (10, 10)], [[(12, 2), (18, 2), (18, 8)]])
    areas = flatten(triangle, shapely.MultiPolygon([frame, shapely.box(30, 0, 31, 1)]))
    assert areas.polygon_starts.tolist() == [0, 1, 4]
    assert areas.ring_starts.tolist() == [0, 4, 9, 13, 18]
    assert areas.bounds.tolist() == [[0, 0, 4, 4], [10, 0, 31, 10]]
    assert areas.vertices.shape == (18, 2)


def test_no_areas_at_all() -> None:
    areas = flatten()
    assert (len(areas.kinds), areas.bounds.shape, areas.polygon_starts.tolist()) == (0, (0, 4), [0])


def test_only_lanes_of_the_route_are_on_it() -> None:
    """A lane group may have the id of a lane of the route."""
    box = shapely.box(0, 0, 1, 1)
    kinds = [AreaKind.LANE_GROUP, AreaKind.LANE, AreaKind.LANE_CONNECTOR, AreaKind.LANE, AreaKind.INTERSECTION]
    polygons = AreaPolygons(["1", "1", "2", "3", "2"], kinds, np.array([box] * 5, dtype=np.object_))
    assert flatten_areas(polygons, {"1", "2"}).on_route.tolist() == [False, True, True, False, False]


def test_crop_of_an_embedded_map(embedded_scenes: Dict[str, Scene]) -> None:
    """Lane groups but not their connectors, all lanes of both, and nothing that lies further away."""
    scene = next(iter(embedded_scenes.values()))
    x, y, _ = scene.current_frame.ego_status.ego_pose
    near, wide = (crop_areas(scene.map_api, x, y, radius) for radius in (30.0, 100.0))
    assert {AreaKind.LANE_GROUP, AreaKind.LANE, AreaKind.LANE_CONNECTOR, AreaKind.INTERSECTION} <= set(wide.kinds)
    groups = {id_ for id_, kind in zip(wide.ids, wide.kinds) if kind == AreaKind.LANE_GROUP}
    assert groups <= set(map(str, scene.map_api.layer("lane_groups_polygons").ids))
    square = shapely.box(x - 30.0, y - 30.0, x + 30.0, y + 30.0)
    kept = [p for p, kind in zip(near.polygons, near.kinds) if kind == AreaKind.LANE_GROUP]
    assert kept and all(polygon.intersects(square) for polygon in kept)
    assert 0 < len(near.ids) < len(wide.ids)
