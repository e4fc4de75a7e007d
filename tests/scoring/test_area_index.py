"""Areas ready for point tests hold what the polygons held: containment by kernel against shapely."""

from __future__ import annotations

from typing import Dict, List

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.area_index import find_near, index_areas, is_inside
from latentvla_agent.scoring.areas import AreaKind, AreaPolygons, crop_areas, flatten_areas
from latentvla_agent.scoring.kernels import AreaIndex
from latentvla_agent.scoring.metrics.contact import contains_point

STAR_ANGLES = np.linspace(0.0, 2.0 * np.pi, 9)[:-1]
radii = st.lists(st.floats(1.0, 5.0), min_size=8, max_size=8)


def make_star(values: List[float], x: float = 0.0, y: float = 0.0) -> np.ndarray:
    return np.column_stack([x + np.cos(STAR_ANGLES) * values, y + np.sin(STAR_ANGLES) * values])


def index(*polygons: shapely.Geometry) -> AreaIndex:
    kinds = [AreaKind.LANE] * len(polygons)
    ids = [str(i) for i in range(len(polygons))]
    return index_areas(flatten_areas(AreaPolygons(ids, kinds, np.array(polygons, dtype=np.object_)), set()))


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
    areas = index(*polygons)
    for x, y in np.random.default_rng(seed).uniform([-6.0, -6.0], [30.0, 18.0], (40, 2)):
        for p, polygon in enumerate(polygons):
            assert is_inside(areas, p, x, y) == shapely.contains_xy(polygon, x, y), (p, x, y)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=7, unique=True))
@settings(max_examples=300, deadline=None)
def test_points_on_the_border_are_outside(vertices: list) -> None:
    """Corners and query points on one integer grid: most points lie on edges and vertices."""
    polygon = shapely.Polygon(vertices)
    if not polygon.is_valid or polygon.area == 0.0:
        return
    areas = index(polygon)
    for x in range(7):
        for y in range(7):
            assert is_inside(areas, 0, x, y) == shapely.contains_xy(polygon, x, y), (x, y)


@given(st.integers(3, 60), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_containment_in_polygons_with_many_edges_is_shapelys(count: int, seed: int) -> None:
    """Many slabs, in UTM coordinates; queries at the heights of vertices too, where slabs and edges meet."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.uniform(0.0, 2.0 * np.pi, count))
    ring = np.column_stack([np.cos(angles), np.sin(angles)]) * rng.uniform(2.0, 9.0, (count, 1)) + [
        587_000.0,
        4_480_000.0,
    ]
    polygon = shapely.Polygon(ring)
    if not polygon.is_valid:
        return
    areas = index(polygon)
    points = np.concatenate([rng.uniform(ring.min(axis=0) - 1.0, ring.max(axis=0) + 1.0, (60, 2)), ring])
    points = np.concatenate([points, np.column_stack([rng.permutation(points[:, 0]), points[:, 1]])])
    found = [is_inside(areas, 0, x, y) for x, y in points]
    assert found == shapely.contains_xy(polygon, points).tolist()


def test_containment_in_an_embedded_map_is_shapelys(embedded_scenes: Dict[str, Scene]) -> None:
    rng = np.random.default_rng(3)
    for scene in list(embedded_scenes.values())[::30]:
        x, y, _ = scene.current_frame.ego_status.ego_pose
        crop = crop_areas(scene.map_api, x, y, 60.0)
        areas = index_areas(flatten_areas(crop, set()))
        points = rng.uniform([x - 60.0, y - 60.0], [x + 60.0, y + 60.0], (400, 2))
        for p, polygon in enumerate(crop.polygons):
            found = [is_inside(areas, p, *point) for point in points]
            assert found == shapely.contains_xy(polygon, points).tolist(), crop.ids[p]


DEGENERATE = {
    "no height": shapely.Polygon([(0, 0), (4, 0), (2, 0)]),
    "no width": shapely.Polygon([(1, 0), (1, 4), (1, 2)]),
    "one point": shapely.Polygon([(1, 1)] * 4),
    "repeated vertices": shapely.Polygon([(0, 0), (0, 0), (4, 0), (4, 0), (4, 4), (4, 4), (0, 4)]),
    "a spike": shapely.Polygon([(0, 0), (4, 0), (4, 4), (4, 9), (4, 4), (0, 4)]),
    "empty": shapely.Polygon(),
    "empty parts": shapely.MultiPolygon([shapely.Polygon(), shapely.box(0, 0, 4, 4)]),
    "collinear vertices": shapely.Polygon([(0, 0), (1, 0), (2, 0), (4, 0), (4, 2), (4, 4), (0, 4), (0, 1)]),
}


def test_degenerate_polygons_hold_nothing_or_what_they_look_like() -> None:
    areas = index(*DEGENERATE.values())
    for p, (name, polygon) in enumerate(DEGENERATE.items()):
        held = {
            (x, y) for x in np.arange(-1.0, 11.0, 0.5) for y in np.arange(-1.0, 11.0, 0.5) if is_inside(areas, p, x, y)
        }
        square = {(x, y) for x in np.arange(0.5, 4.0, 0.5) for y in np.arange(0.5, 4.0, 0.5)}
        assert held == (square if polygon.area > 0.0 else set()), name


def test_points_at_infinity_are_nowhere() -> None:
    areas = index(shapely.box(0, 0, 4, 4))
    for x, y in ((np.inf, 1.0), (-np.inf, 1.0), (1.0, np.inf), (1.0, -np.inf)):
        assert not is_inside(areas, 0, x, y)


def test_parity_of_one_ring_is_the_same_inside() -> None:
    """The test that lights use knows no bounds and no slabs."""
    rng, ring = np.random.default_rng(5), make_star([1.0, 4.0, 2.0, 5.0, 1.5, 3.0, 2.0, 4.5])
    vertices = np.concatenate([ring, ring[:1]])
    polygon = shapely.Polygon(ring)
    for x, y in rng.uniform(-6.0, 6.0, (500, 2)):
        assert contains_point(vertices, 0, len(vertices), x, y) == shapely.contains_xy(polygon, x, y)


def test_near_bounds_are_those_that_meet_the_box() -> None:
    bounds = np.array([[0, 0, 1, 1], [2, 0, 3, 1], [1, 1, 2, 2], [5, 5, 6, 6], [-9, -9, 9, 9]], dtype=np.float64)
    near = np.empty(5, dtype=np.int64)
    count = find_near(bounds, np.array([1.0, 0.2, 2.0, 0.8]), near)
    assert near[:count].tolist() == [0, 1, 4], "touching counts"
    assert find_near(bounds, np.array([7.0, 0.0, 8.0, 1.0]), near) == 1 and near[0] == 4
