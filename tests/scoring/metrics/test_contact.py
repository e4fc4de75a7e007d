"""Contact of oriented boxes against shapely, with random boxes; bearings."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from latentvla_agent.scoring.metrics.contact import bearing, box_ring_distance, boxes_touch, segment_touches_box
from latentvla_agent.scoring.state import FloatArray, box_corners

CLEAR = 1e-6  # closer to touching than this, two ways of computing may differ

places = st.floats(-6.0, 6.0)
angles = st.floats(-np.pi, np.pi)
boxes = st.tuples(places, places, angles, st.floats(0.1, 5.0), st.floats(0.1, 2.0)).map(
    lambda b: box_corners(np.array([b[0], b[1]]), np.array(b[2]), np.array(b[3]), np.array(b[4]))
)
segments = st.tuples(places, places, places, places).map(lambda s: np.array(s).reshape(2, 2))


def is_clear(a: shapely.Geometry, b: shapely.Geometry) -> bool:
    """Whether two shapes neither just touch nor just miss each other."""
    if a.intersects(b):
        return bool(shapely.buffer(b, -CLEAR).intersects(a))
    return bool(a.distance(b) > CLEAR)


def move(corners: FloatArray, angle: float, x: float, y: float) -> FloatArray:
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved: FloatArray = corners @ rotation.T + [x, y]
    return moved


@given(boxes, boxes)
@settings(max_examples=500, deadline=None)
def test_boxes_touch_as_in_shapely(a: FloatArray, b: FloatArray) -> None:
    first, second = shapely.Polygon(a), shapely.Polygon(b)
    assume(is_clear(first, second))
    assert boxes_touch(a, b) == first.intersects(second)
    assert boxes_touch(b, a) == first.intersects(second)


@given(segments, boxes)
@settings(max_examples=500, deadline=None)
def test_segments_touch_boxes_as_in_shapely(segment: FloatArray, box: FloatArray) -> None:
    line, polygon = shapely.LineString(segment), shapely.Polygon(box)
    assume(line.length > 1e-3 and is_clear(line, polygon))
    assert segment_touches_box(segment, box) == line.intersects(polygon)
    assert segment_touches_box(segment[::-1].copy(), box) == line.intersects(polygon)


@given(boxes, boxes)
@settings(max_examples=300, deadline=None)
def test_distance_of_a_box_and_a_ring_is_shapelys(a: FloatArray, b: FloatArray) -> None:
    ring = np.concatenate([b, b[:1]])
    assert box_ring_distance(a, ring, 0, 5) == pytest.approx(shapely.Polygon(a).distance(shapely.Polygon(b)), abs=1e-9)


@given(boxes, boxes, angles, st.floats(-7e5, 7e5), st.floats(-5e6, 5e6))
@settings(max_examples=300, deadline=None)
def test_contact_does_not_depend_on_where_and_how_the_scene_lies(
    a: FloatArray, b: FloatArray, angle: float, x: float, y: float
) -> None:
    assume(is_clear(shapely.Polygon(a), shapely.Polygon(b)))
    assert boxes_touch(move(a, angle, x, y), move(b, angle, x, y)) == boxes_touch(a, b)


@pytest.mark.parametrize(
    ("x", "y", "touch"),
    [
        (4.0, 0.0, True),  # edge on edge
        (4.0, 2.0, True),  # corner on corner
        (4.001, 0.0, False),
        (0.0, -2.001, False),
        (0.0, 0.0, True),
    ],
)
def test_touching_counts(x: float, y: float, touch: bool) -> None:
    a, b = (box_corners(np.array(c), np.array(0.0), np.array(2.0), np.array(1.0)) for c in ([0.0, 0.0], [x, y]))
    assert boxes_touch(a, b) == touch


def test_a_box_inside_another_touches_it() -> None:
    a, b = (box_corners(np.zeros(2), np.array(0.3), np.array(h), np.array(h)) for h in (0.1, 5.0))
    assert boxes_touch(a, b) and boxes_touch(b, a) and segment_touches_box(a[::3].copy(), b)


@pytest.mark.parametrize("degrees", [0.0, 10.0, 29.9, 90.0, 151.0, 180.0])
@pytest.mark.parametrize("heading", [0.0, 2.5, -3.0])
def test_bearing_is_the_unsigned_angle_off_the_nose(degrees: float, heading: float) -> None:
    for sign in (1.0, -1.0):
        course = heading + sign * np.deg2rad(degrees)
        angle = bearing(10.0, 20.0, heading, 10.0 + 7.0 * np.cos(course), 20.0 + 7.0 * np.sin(course), True)
        assert np.rad2deg(angle) == pytest.approx(degrees, abs=1e-5)


def test_bearing_of_what_lies_at_the_rear_axle_is_unknown() -> None:
    assert np.isnan(bearing(1.0, 2.0, 0.3, 1.0, 2.0, True))


def test_bearing_of_what_lies_dead_ahead_rounds_as_in_the_devkit() -> None:
    """The devkit's arccos is NaN where the cosine was rounded to beyond 1."""
    rng = np.random.default_rng(0)
    unknown = 0
    for heading, distance in zip(rng.uniform(-np.pi, np.pi, 2000), rng.uniform(3.0, 30.0, 2000)):
        direction = np.array([math.cos(heading), math.sin(heading)])
        ego = rng.choice([0.0, 1.0]) * np.array([600_000.0, 4_000_000.0])
        center = ego + rng.choice([-1.0, 1.0]) * distance * direction
        offset = center - ego
        unit = offset / math.sqrt(offset[0] * offset[0] + offset[1] * offset[1])
        is_beyond = abs(direction[0] * unit[0] + direction[1] * unit[1]) > 1.0
        assert np.isnan(bearing(ego[0], ego[1], heading, center[0], center[1], False)) == is_beyond
        assert not np.isnan(bearing(ego[0], ego[1], heading, center[0], center[1], True))
        unknown += is_beyond
    assert unknown > 50
