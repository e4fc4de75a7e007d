"""Lines move aside, break into dashes and follow roadsides; polygons fill the cells whose middles they hold."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.world.meshes.lines import (
    cut_dashes,
    cut_line,
    list_roadsides,
    measure_line,
    offset_line,
    sample_line,
)
from latentvla_agent.world.meshes.raster import draw_areas
from latentvla_agent.world.meshes.triangulation import list_rings, triangulate_polygon

ANGLES = np.linspace(0.0, np.pi, 200)
ARC = 20.0 * np.column_stack([np.cos(ANGLES), np.sin(ANGLES)])  # turns left


def test_left_of_a_left_bend_is_inside() -> None:
    np.testing.assert_allclose(np.linalg.norm(offset_line(ARC, 2.0), axis=1), 18.0, atol=0.01)
    np.testing.assert_allclose(np.linalg.norm(offset_line(ARC, -2.0), axis=1), 22.0, atol=0.01)


def test_dashes_lie_on_the_line_and_have_their_length() -> None:
    dashes = cut_dashes(ARC, 3.0, 5.0)
    assert len(dashes) == 8
    for dash in dashes:
        np.testing.assert_allclose(np.linalg.norm(dash, axis=1), 20.0, atol=0.01)
        assert measure_line(dash) == pytest.approx(3.0, abs=0.02)
    assert cut_dashes(ARC[:2], 3.0, 5.0) == []


@given(st.floats(0.0, 30.0), st.floats(0.1, 30.0))
def test_cut_has_the_length_asked_for(start: float, length: float) -> None:
    part = cut_line(ARC, start, start + length)
    assert measure_line(part) == pytest.approx(length, abs=0.02)
    np.testing.assert_allclose(part[0], sample_line(ARC, np.array([start]))[0][0])


def test_roadsides_have_the_road_on_their_left() -> None:
    block = shapely.box(-40.0, -40.0, 40.0, 40.0)
    road = shapely.difference(shapely.box(-50.0, -50.0, 50.0, 50.0), block)  # a ring road
    lines = list_roadsides(road, 1.0, shapely.box(-200.0, -60.0, 0.0, 60.0))
    assert sum(measure_line(line) for line in lines) > 340.0
    for line in lines:
        points, tangents = sample_line(line, np.linspace(1.0, measure_line(line) - 1.0, 20))
        left = points + 1.5 * np.column_stack([-tangents[:, 1], tangents[:, 0]])
        corners = shapely.distance(shapely.MultiPoint([(x, y) for x in (-50, -40, 50) for y in (-50, -40, 40, 50)]),
                                   shapely.points(points)) < 4.0  # fmt: skip
        assert shapely.contains(road, shapely.points(left))[~corners].all()


# Whole millimetres: of slivers thinner than a float's last digit shapely says that they contain their own border.
@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-1000, 13000), st.integers(-1000, 11000)), min_size=3, max_size=9))
def test_cells_are_filled_by_their_middles(corners: list) -> None:
    hull = shapely.convex_hull(shapely.MultiPoint(np.array(corners) * 1e-3))
    ring = hull if hull.geom_type == "Polygon" else shapely.box(1.0, 1.0, 4.0, 3.0)
    area = shapely.difference(ring, shapely.box(3.03, 3.03, 5.07, 6.01))
    labels = np.zeros((20, 24), np.uint8)
    draw_areas(labels, np.zeros(2), 0.5, [(area, 7)])
    xs, ys = np.meshgrid((np.arange(24) + 0.5) * 0.5, (np.arange(20) + 0.5) * 0.5)
    middles = shapely.points(xs, ys)
    clear = shapely.distance(area.boundary, middles) > 1e-6
    np.testing.assert_array_equal((labels == 7)[clear], shapely.contains(area, middles)[clear])


def test_later_areas_cover_earlier_ones() -> None:
    labels = np.zeros((10, 10), np.uint8)
    draw_areas(
        labels, np.zeros(2), 1.0, [(shapely.box(0, 0, 10, 10), 1), (shapely.box(2, 2, 4, 4), 2), (shapely.Polygon(), 3)]
    )
    assert (labels == 2).sum() == 4 and (labels == 1).sum() == 96


def test_triangles_cover_a_polygon_with_a_hole() -> None:
    polygon = shapely.difference(shapely.Point(0, 0).buffer(10.0), shapely.box(-2, -2, 3, 4))
    points, faces = triangulate_polygon(polygon)
    a, b, c = (points[faces[:, i]] for i in range(3))
    areas = 0.5 * ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0])
    assert (areas > 0.0).all() and areas.sum() == pytest.approx(polygon.area)
    outside, hole = list_rings(polygon)
    assert shapely.is_ccw(shapely.LinearRing(outside)) and not shapely.is_ccw(shapely.LinearRing(hole))
