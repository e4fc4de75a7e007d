"""Which cells a polygon and a line colour."""

from __future__ import annotations

from typing import List

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.features.drawing import draw_lines, draw_polygons


def show(mask: np.ndarray) -> List[str]:
    """Rows as text."""
    return ["".join("#" if cell else "." for cell in row) for row in mask]


def test_a_triangle_has_its_edges() -> None:
    # as cv2.fillPoly(picture, [[[1, 1], [7, 3], [3, 6]]]) draws it
    assert show(draw_polygons([np.array([[1, 1], [7, 3], [3, 6]])], 9, 8)) == [
        ".........",
        ".##......",
        ".#####...",
        "..######.",
        "..#####..",
        "...###...",
        "...#.....",
        ".........",
    ]


def test_a_line_is_three_cells_thick_with_round_ends() -> None:
    # as cv2.polylines(…, thickness=2) draws it
    assert show(draw_lines([np.array([[2, 2], [6, 2]])], 9, 5)) == [
        ".........",
        "..#####..",
        ".#######.",
        "..#####..",
        ".........",
    ]
    assert show(draw_lines([np.array([[1, 1], [4, 4]])], 6, 6)) == [
        ".##...",
        "####..",
        "#####.",
        ".#####",
        "..####",
        "...##.",
    ]


def test_nothing_and_what_lies_outside() -> None:
    far = np.array([[100, 100], [120, 100], [110, 130]])
    for mask in (draw_polygons([], 9, 5), draw_lines([], 9, 5), draw_polygons([far], 9, 5), draw_lines([far], 9, 5)):
        assert mask.shape == (5, 9) and not mask.any()
    around = np.array([[-50, -50], [50, -50], [50, 50], [-50, 50]])
    assert draw_polygons([around], 9, 5).all()
    point = np.array([[4, 2], [4, 2]])
    assert draw_polygons([point], 9, 5).sum() == 1 and draw_lines([point], 9, 5).sum() == 5


def test_polygons_are_joined_and_crossing_edges_are_even_and_odd() -> None:
    square = np.array([[2, 2], [6, 2], [6, 6], [2, 6]])
    assert np.array_equal(draw_polygons([square, square], 20, 9), draw_polygons([square], 20, 9))
    twice = np.concatenate([square + [8, 0], square + [8, 0]])
    assert draw_polygons([twice], 20, 9).sum() == 16  # the edge alone


vertices = st.lists(st.tuples(st.integers(-10, 50), st.integers(-10, 40)), min_size=3, max_size=7)


@settings(max_examples=60, deadline=None)
@given(vertices)
def test_cells_inside_are_coloured_and_others_touch_the_edge(corners: List[tuple]) -> None:
    polygon = shapely.Polygon(corners)
    if not polygon.is_valid:
        return
    mask = draw_polygons([np.array(corners)], 40, 30)
    rows, columns = np.mgrid[0:30, 0:40]
    inside = shapely.contains_xy(polygon, columns, rows)
    assert mask[inside].all()
    edge = shapely.distance(polygon, shapely.points(columns[mask], rows[mask]))
    assert edge.size == 0 or edge.max() <= 0.5 + 1e-9
