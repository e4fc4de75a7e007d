"""Paths: projection, interpolation, offset and cut, against shapely where it has the same."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.data.maps import discretise_line
from latentvla_agent.scoring.polyline import MIN_DISTANCE, Polyline, project_point

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


@given(lines, st.floats(0.0, 1.0))
@settings(max_examples=200, deadline=None)
def test_interpolated_positions_are_shapelys(vertices: list, fraction: float) -> None:
    path = make_path(*vertices)
    distance = max(fraction * path.length, MIN_DISTANCE)
    expected = path.line.interpolate(distance)
    x, y, _ = path.interpolate(np.array([distance]))[0]
    assert (x, y) == pytest.approx((expected.x, expected.y), abs=1e-6)


def test_ends_are_held_and_the_start_is_never_met() -> None:
    path = make_path((0.0, 0.0), (10.0, 0.0))
    poses = path.interpolate(np.array([-3.0, 0.0, 12.0]))
    assert poses[:, 0].tolist() == pytest.approx([MIN_DISTANCE, MIN_DISTANCE, 10.0])
    assert poses[0, 0] > 0.0


def test_interpolation_steps_over_repeated_vertices() -> None:
    path = make_path((0.0, 0.0), (10.0, 0.0), (10.0, 0.0), (10.0, 10.0))
    poses = path.interpolate(np.array([5.0, 15.0]))
    np.testing.assert_allclose(poses[:, :2], [[5.0, 0.0], [10.0, 5.0]], atol=1e-9)
    assert np.isfinite(poses).all()


def test_headings_take_the_short_way_across_pi() -> None:
    states = np.array([[0.0, 0.0, 3.0], [-1.0, 0.0, -3.0]])
    heading = Polyline(states).interpolate(np.array([0.5]))[0, 2]
    assert abs(heading) == pytest.approx(np.pi)


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
