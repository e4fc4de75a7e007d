"""Curves: what holds for any of them, and turns that are as wide as their place allows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentvla_agent.world.roads.curves import (
    cut,
    draw_spline,
    end_headings,
    join_straights,
    measure_arc,
    measure_headings,
    offset_line,
    resample,
    resample_smoothly,
    smallest_radius,
)

ANGLES = st.floats(-2.2, 2.2)


def make_arc(radius: float, span: float, count: int) -> np.ndarray:
    at = np.linspace(0.0, span, count)
    return radius * np.column_stack([np.sin(at), 1.0 - np.cos(at)])


@given(radius=st.floats(10.0, 200.0), span=st.floats(0.2, 3.0), step=st.floats(0.3, 3.0))
def test_resampling_keeps_the_ends_and_the_course(radius: float, span: float, step: float) -> None:
    arc = make_arc(radius, span, 60)
    for made in (resample(arc, step), resample_smoothly(arc, step)):
        assert np.array_equal(made[[0, -1]], arc[[0, -1]])
        assert np.all(np.hypot(*np.diff(made, axis=0).T) <= 1.001 * step)
        sag = radius * (1.0 - math.cos(0.5 * span / 59))
        assert np.all(np.abs(np.hypot(made[:, 0], made[:, 1] - radius) - radius) <= 1.1 * sag + 1e-9)


def test_a_smooth_resampling_rounds_corners_that_a_plain_one_keeps() -> None:
    coarse = make_arc(40.0, 1.5, 12)
    assert smallest_radius(resample_smoothly(coarse, 1.0)) > 3.0 * smallest_radius(resample(coarse, 1.0))


@given(radius=st.floats(10.0, 100.0), left=st.floats(-6.0, 6.0))
def test_an_offset_arc_is_an_arc(radius: float, left: float) -> None:
    moved = offset_line(make_arc(radius, 1.5, 100), left)
    inner = np.hypot(moved[1:-1, 0], moved[1:-1, 1] - radius)
    assert np.allclose(inner, radius - left, atol=1e-3)


@given(radius=st.floats(10.0, 100.0), share=st.floats(0.05, 0.9))
def test_cutting_gives_the_length_that_was_asked_for(radius: float, share: float) -> None:
    arc = make_arc(radius, 1.0, 50)
    length = measure_arc(arc)[-1]
    assert measure_arc(cut(arc, 0.1 * share * length, share * length))[-1] == pytest.approx(0.9 * share * length)


@given(st.lists(st.tuples(st.floats(-20.0, 20.0), st.floats(-20.0, 20.0)), min_size=4, max_size=8))
def test_a_spline_begins_and_ends_with_its_control_points_and_stays_among_them(points: list) -> None:
    control = np.array(points) + np.arange(len(points))[:, None] * 15.0
    spline = draw_spline(control, 16)
    assert np.allclose(spline[[0, -1]], control[[0, -1]])
    assert np.all(spline >= control.min(axis=0) - 20.0) and np.all(spline <= control.max(axis=0) + 20.0)


@given(turn=ANGLES, first=st.floats(8.0, 30.0), second=st.floats(8.0, 30.0))
def test_a_turn_meets_both_poses_and_is_nearly_as_wide_as_an_arc(turn: float, first: float, second: float) -> None:
    if abs(turn) < 0.3:
        return
    corner, heading = np.array([first, 0.0]), np.array([math.cos(turn), math.sin(turn)])
    line = join_straights(np.zeros(2), 0.0, corner + second * heading, turn, 0.5)
    assert np.allclose(line[0], 0.0) and np.allclose(line[-1], corner + second * heading)
    start, end = end_headings(line)
    assert abs(start) < math.radians(3.0) and abs(math.remainder(end - turn, 2.0 * math.pi)) < math.radians(3.0)
    arc = min(first, second) / math.tan(0.5 * abs(turn))
    assert smallest_radius(line) > 0.7 * arc


def test_a_turn_that_is_none_is_straight() -> None:
    line = join_straights(np.zeros(2), 0.0, np.array([12.0, 0.0]), 0.0, 0.5)
    assert np.allclose(line[:, 1], 0.0) and np.allclose(measure_headings(line), 0.0)
