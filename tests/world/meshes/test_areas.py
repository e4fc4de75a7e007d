"""Areas put together and cut stay areas, also where borders all but touch."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import example, given
from hypothesis import strategies as st
from shapely import Point, Polygon, box

from latentvla_agent.world.meshes.areas import GRID, intersect, subtract, unite

PLACES = st.lists(st.tuples(*[st.floats(-20.0, 20.0)] * 2), min_size=3, max_size=8)


def make_area(points: "list[tuple[float, float]]") -> shapely.Geometry:
    return shapely.buffer(shapely.LineString(points), 1.5, join_style="mitre")


@given(PLACES, PLACES)
@example(  # here GEOS's union at full precision, without a grid, is 16 m2 too large
    [(0.0, 0.0), (0.0, 17.0), (-10.518861209353412, -1.6875), (0.0, -5.0)],
    [
        (2.261145067532741, 3.7464480025612588),
        (0.0, 17.0),
        (-10.518861209353412, -1.6875),
        (0.0, -5.0),
        (-3.5234375, 0.0),
        (0.0, 17.91885995657063),
    ],
)
def test_a_point_is_in_them_as_it_is_in_the_parts(
    first: "list[tuple[float, float]]", second: "list[tuple[float, float]]"
) -> None:
    one, two = make_area(first), make_area(second)
    x, y = (part.ravel() for part in np.meshgrid(*2 * [np.arange(-22.03, 22.0, 0.5)]))
    points = shapely.points(x, y)
    near = np.minimum(shapely.distance(one.boundary, points), shapely.distance(two.boundary, points))
    is_clear = near > 4.0 * GRID
    in_one, in_two = (shapely.contains_xy(area, x, y) for area in (one, two))
    expected = in_one | in_two, in_one & ~in_two, in_one & in_two
    for area, meant in zip((unite([one, two]), subtract(one, two), intersect(one, two)), expected):
        assert area.geom_type in ("Polygon", "MultiPolygon") and area.is_valid
        np.testing.assert_array_equal(shapely.contains_xy(area, x, y)[is_clear], meant[is_clear])


def test_what_merely_touches_is_left_out() -> None:
    assert intersect(box(0, 0, 1, 1), box(1, 0, 2, 1)).is_empty
    assert subtract(box(0, 0, 1, 1), box(0, 0, 1, 1)).is_empty and unite([]).is_empty
    thin = Polygon([(0.0, 0.0), (5.0, 0.0), (5.0, 1e-5)])  # no area on the grid, but a line
    union = unite([box(10, 0, 11, 1), thin])
    assert union.area == pytest.approx(1.0) and union.geom_type in ("Polygon", "MultiPolygon")
    assert subtract(union, Point(10.5, 0.5).buffer(0.1)).area < 1.0  # can be cut further
