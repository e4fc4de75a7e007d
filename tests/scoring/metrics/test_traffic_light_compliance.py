"""TLC: the box of the ego and the areas of red lights."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest
import shapely
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from latentvla_agent.scoring.config import NUM_STATES
from latentvla_agent.scoring.kernels import NO_STEP, Lights
from latentvla_agent.scoring.lights import make_lights
from latentvla_agent.scoring.metrics.contact import box_touches_ring
from latentvla_agent.scoring.metrics.traffic_light_compliance import score_traffic_lights
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.state import FloatArray, box_corners
from latentvla_agent.scoring.versions import V2
from tests.scoring.scenes import apply, build_world, drive_straight, make_cache, straight_plan

CLEAR = (1.0, NO_STEP)
AHEAD = shapely.box(20.0, -2.0, 30.0, 2.0)


def red(*areas: Tuple[shapely.Geometry, Any]) -> Lights:
    """Red areas, each at some steps (True for all)."""
    is_red = np.zeros((NUM_STATES, len(areas)), dtype=np.bool_)
    for light, (_, steps) in enumerate(areas):
        is_red[slice(None) if steps is True else steps, light] = True
    return make_lights([polygon for polygon, _ in areas], is_red)


def score(states: FloatArray, *areas: Tuple[shapely.Geometry, Any]) -> Tuple[float, int]:
    return apply(score_traffic_lights, states, build_world(lights=red(*areas), rules=V2))


def test_no_lights() -> None:
    assert score(drive_straight(10.0)) == CLEAR


def test_the_front_bumper_meets_a_red_area() -> None:
    """At 4.049 + t metres (t in steps), the area begins at 20 m."""
    assert score(drive_straight(10.0), (AHEAD, True)) == (0.0, 16)


def test_stopping_before_a_red_area_complies() -> None:
    assert score(drive_straight(3.9), (AHEAD, True)) == CLEAR
    assert score(drive_straight(4.0), (AHEAD, True)) == (0.0, 40)


def test_a_green_light_is_passed() -> None:
    """The ego's box touches the area from step 16 to step 31, at 31.127 m."""
    touching = slice(16, 32)
    assert score(drive_straight(10.0), (AHEAD, slice(0, 16))) == CLEAR
    assert score(drive_straight(10.0), (AHEAD, slice(32, 41))) == CLEAR
    assert score(drive_straight(10.0), (AHEAD, slice(31, 41))) == (0.0, 31)
    assert score(drive_straight(10.0), (AHEAD, touching)) == (0.0, 16)


def test_starting_within_a_red_area_fails_even_at_a_standstill() -> None:
    for polygon in (shapely.box(-50.0, -9.0, 50.0, 9.0), shapely.box(1.0, -0.1, 1.2, 0.1)):
        assert score(drive_straight(0.0), (polygon, True)) == (0.0, 0)


def test_the_earliest_of_several_lights_names_the_step() -> None:
    near, far = (shapely.box(10.0, -2.0, 11.0, 2.0), slice(0, 5)), (shapely.box(30.0, -2.0, 31.0, 2.0), True)
    beside = (shapely.box(0.0, 5.0, 50.0, 9.0), True)
    assert score(drive_straight(10.0), near, far, beside) == (0.0, 26)
    assert score(drive_straight(10.0), far, beside, (near[0], True)) == (0.0, 6)
    assert score(drive_straight(10.0), beside, near) == CLEAR


def test_touching_counts() -> None:
    """The ego is 2.297 m wide."""
    for low, expected in ((1.1484, 0.0), (1.1486, 1.0)):
        assert score(drive_straight(5.0), (shapely.box(0.0, low, 90.0, 5.0), True))[0] == expected


def test_v1_has_no_lights_and_v2_multiplies_with_them() -> None:
    cache = make_cache(lights=red((AHEAD, True)))
    v1, v2 = (Scorer(metric).score(cache, straight_plan(8.0)) for metric in ("pdms-v1.1", "epdms-v2.2"))
    assert v1.score.tolist() == [1.0] and "traffic_light_compliance" not in v1.sub_scores
    assert v2.score.tolist() == [0.0] and v2.sub_scores["traffic_light_compliance"].tolist() == [0.0]


places = st.floats(-8.0, 8.0)
radii = st.lists(st.floats(1.0, 6.0), min_size=4, max_size=9)


@given(radii, places, places, st.floats(-3.2, 3.2), st.floats(0.1, 4.0), st.floats(0.1, 2.0))
@settings(max_examples=300, deadline=None)
def test_contact_of_boxes_and_polygons_is_shapelys(
    radius: list, x: float, y: float, heading: float, half_length: float, half_width: float
) -> None:
    """Polygons are stars, so most are not convex; boxes that just touch or just miss are left out."""
    angles = np.linspace(0.0, 2.0 * np.pi, len(radius) + 1)
    ring = np.column_stack([np.cos(angles), np.sin(angles)]) * np.array([*radius, radius[0]])[:, None]
    ring[-1] = ring[0]
    box = box_corners(np.array([x, y]), np.array(heading), np.array(half_length), np.array(half_width))
    polygon, other = shapely.Polygon(ring), shapely.Polygon(box)
    touches = other.intersects(polygon)
    assume(shapely.buffer(polygon, -1e-6).intersects(other) if touches else polygon.distance(other) > 1e-6)
    vertices = np.concatenate([np.full((3, 2), 99.0), ring, np.full((2, 2), 99.0)])
    assert box_touches_ring(box, vertices, 3, 3 + len(ring)) == touches


@pytest.mark.parametrize("heading", [0.0, 0.7, -2.5])
def test_a_box_around_a_small_polygon_touches_it(heading: float) -> None:
    ring = np.array([[0.0, 0.0], [0.1, 0.0], [0.0, 0.1], [0.0, 0.0]])
    box = box_corners(np.zeros(2), np.array(heading), np.array(3.0), np.array(2.0))
    assert box_touches_ring(box, ring, 0, 4)
