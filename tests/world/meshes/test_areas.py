"""Areas put together and cut stay areas, also where borders all but touch."""

from __future__ import annotations

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import Point, Polygon, box

from latentvla_agent.world.meshes.areas import GRID, intersect, subtract, unite

PLACES = st.lists(st.tuples(*[st.floats(-20.0, 20.0)] * 2), min_size=3, max_size=8)


def make_area(points: "list[tuple[float, float]]") -> shapely.Geometry:
    return shapely.buffer(shapely.LineString(points), 1.5, join_style="mitre")


@given(PLACES, PLACES)
def test_they_are_areas_of_the_right_size(
    first: "list[tuple[float, float]]", second: "list[tuple[float, float]]"
) -> None:
    one, two = make_area(first), make_area(second)
    found = unite([one, two]), subtract(one, two), intersect(one, two)
    meant = shapely.union(one, two), shapely.difference(one, two), shapely.intersection(one, two)
    for area, expected in zip(found, meant):
        assert area.geom_type in ("Polygon", "MultiPolygon") and area.is_valid
        assert area.area == pytest.approx(expected.area, abs=2.0 * GRID * (one.length + two.length))


def test_what_merely_touches_is_left_out() -> None:
    assert intersect(box(0, 0, 1, 1), box(1, 0, 2, 1)).is_empty
    assert subtract(box(0, 0, 1, 1), box(0, 0, 1, 1)).is_empty and unite([]).is_empty
    thin = Polygon([(0.0, 0.0), (5.0, 0.0), (5.0, 1e-5)])  # no area on the grid, but a line
    union = unite([box(10, 0, 11, 1), thin])
    assert union.area == pytest.approx(1.0) and union.geom_type in ("Polygon", "MultiPolygon")
    assert subtract(union, Point(10.5, 0.5).buffer(0.1)).area < 1.0  # can be cut further
