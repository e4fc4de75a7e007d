"""Paths: projection, search, offset and cut, against shapely where it has the same."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from latentvla_agent.data.maps import discretise_line
from latentvla_agent.scoring.polyline import Polyline, find_stretch, find_within, project_point

coordinates = st.floats(-100.0, 100.0, allow_nan=False).map(lambda value: round(value, 3))
points = st.tuples(coordinates, coordinates)
lines = st.lists(points, min_size=2, max_size=8, unique=True)


def make_path(*vertices: tuple) -> Polyline:
    return Polyline(discretise_line(shapely.LineString(vertices)))


@given(lines, points)
@settings(max_examples=300, deadline=None)
def test_projection_finds_a_nearest_point(vertices: list, point: tuple) -> None:
    """Arc lengths of equally near points may differ, so the distance there is compared."""
    line = shapely.LineString(vertices)
    length = project_point(np.array(vertices), *point)
    distance = line.interpolate(length).distance(shapely.Point(point))
    assert distance == pytest.approx(line.distance(shapely.Point(point)), abs=1e-7)
    assert -1e-9 <= length <= line.length + 1e-9


def test_projection_takes_the_first_of_equally_near_points() -> None:
    vertices = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 4.0], [0.0, 4.0]])
    assert project_point(vertices, 5.0, 2.0) == 5.0
    assert project_point(vertices[::-1].copy(), 5.0, 2.0) == 5.0


def test_projection_skips_repeated_vertices_and_holds_at_the_ends() -> None:
    vertices = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 0.0], [20.0, 0.0]])
    assert project_point(vertices, 15.0, 3.0) == 15.0
    assert project_point(vertices, -5.0, 3.0) == 0.0
    assert project_point(vertices, 25.0, 3.0) == 20.0


@given(lines, points, st.floats(0.0, 50.0), st.integers(0, 6))
@settings(max_examples=300, deadline=None)
def test_a_segment_within_reach_is_found_wherever_the_search_starts(
    vertices: list, point: tuple, limit: float, hint: int
) -> None:
    distance = shapely.LineString(vertices).distance(shapely.Point(point))
    assume(abs(distance - limit) > 1e-9)
    found = find_within(np.array(vertices), point[0], point[1], limit, hint % (len(vertices) - 1))
    assert (found >= 0) == (distance < limit)
    if found >= 0:
        segment = shapely.LineString(vertices[found : found + 2])
        assert segment.distance(shapely.Point(point)) < limit + 1e-9


def test_the_hinted_segment_is_taken_where_it_is_near_enough() -> None:
    vertices = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0], [30.0, 0.0]])
    assert [find_within(vertices, 10.0, 0.0, 0.5, hint) for hint in (0, 1, 2)] == [0, 1, 0]
    assert find_within(vertices, 15.0, 0.5, 0.5, 0) == 1, "the limit counts as within"
    assert find_within(vertices, 15.0, 0.6, 0.5, 0) == -1
    assert find_within(np.array([[5.0, 5.0], [5.0, 5.0]]), 5.0, 5.4, 0.5, 0) == 0, "a segment without length"


@given(lines, st.lists(points, min_size=1, max_size=5), st.floats(0.0, 50.0))
@settings(max_examples=300, deadline=None)
def test_what_is_near_a_point_is_in_the_stretch_of_all(vertices: list, several: list, limit: float) -> None:
    line, places = np.array(vertices), np.array(several)
    first, last = find_stretch(line, places, limit)
    for x, y in places:
        found = find_within(line[first:last], x, y, limit, 0)
        assert (found >= 0) == (find_within(line, x, y, limit, 0) >= 0)


def test_a_stretch_leaves_out_what_is_far() -> None:
    line, places = np.array([[0.0, 0.0], [10.0, 0.0], [20.0, 0.0], [30.0, 0.0]]), np.array([[14.0, 0.2], [16.0, 0.2]])
    assert find_stretch(line, places, 1.0) == (1, 3)
    assert find_stretch(line, places + [0.0, 9.0], 1.0) == (4, 4), "nothing at all"
    assert find_stretch(line, places * np.nan, 1.0) == (0, 4), "nobody knows"


def test_offset_is_to_the_left_of_each_vertex() -> None:
    path = make_path((0.0, 0.0), (10.0, 0.0), (10.0, 10.0))
    np.testing.assert_allclose(path.offset(1.0).states[:, :2], [[0.0, 1.0], [9.0, 0.0], [9.0, 10.0]], atol=1e-12)
    np.testing.assert_allclose(path.offset(-1.0).states[0, :2], [0.0, -1.0], atol=1e-12)
    assert np.array_equal(path.offset(1.0).states[:, 2], path.states[:, 2])
    assert path.offset(0.0) is path


def test_length_of_an_offset_path_is_its_own() -> None:
    path = make_path((0.0, 0.0), (10.0, 0.0), (10.0, 10.0), (10.0, 20.0))
    assert path.length == 30.0
    assert path.offset(1.0).length == pytest.approx(np.hypot(9.0, 1.0) + 10.0 + 10.0)


def test_cut_goes_from_vertex_to_vertex() -> None:
    path = make_path(*[(float(x), 0.0) for x in range(0, 11)])
    assert list(path.cut(2.5, 6.5).coords) == [(3.0, 0.0), (4.0, 0.0), (5.0, 0.0), (6.0, 0.0)]
    assert list(path.cut(8.5, 99.0).coords) == [(9.0, 0.0), (10.0, 0.0)]


def test_cut_without_two_vertices_inside_is_exact() -> None:
    path = make_path((0.0, 0.0), (10.0, 0.0), (20.0, 0.0))
    assert list(path.cut(4.0, 6.0).coords) == [(4.0, 0.0), (6.0, 0.0)]
    assert list(path.cut(8.0, 12.0).coords) == [(8.0, 0.0), (10.0, 0.0), (12.0, 0.0)]
