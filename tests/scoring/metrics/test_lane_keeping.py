"""LK: how far and how long the box centre is off the centreline, and where that does not count."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.config import NUM_STATES, STEP_S
from latentvla_agent.scoring.kernels import NO_STEP
from latentvla_agent.scoring.metrics.lane_keeping import score_lane_keeping
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import V2
from tests.scoring.scenes import (
    STRAIGHT_LINE,
    apply,
    build_world,
    drive_straight,
    make_cache,
    straight_plan,
    straight_road,
)

CLEAR = (1.0, NO_STEP)


def swerve(*steps: Any) -> FloatArray:
    """10 m/s along x, 1 m to the left at some steps."""
    states = drive_straight(10.0)
    for part in steps:
        states[part, 1] = 1.0
    return states


def score(states: FloatArray, *junctions: Tuple[float, float], line: FloatArray = STRAIGHT_LINE) -> Tuple[float, int]:
    """Value and first step, with intersections from x to x."""
    boxes = [shapely.box(first, -5.0, last, 5.0) for first, last in junctions]
    areas = straight_road(200.0, *[(str(i), AreaKind.INTERSECTION, box) for i, box in enumerate(boxes, 3)])
    return apply(score_lane_keeping, states, build_world(areas=areas, centerline=line, rules=V2))


@pytest.mark.parametrize(("y", "expected"), [(0.0, CLEAR), (0.5, CLEAR), (-0.5, CLEAR), (0.501, (0.0, 19))])
def test_half_a_metre_is_the_limit(y: float, expected: Tuple[float, int]) -> None:
    assert score(drive_straight(10.0, y=y)) == expected


def test_two_seconds_in_a_row_fail() -> None:
    assert score(swerve(slice(5, 24))) == CLEAR
    assert score(swerve(slice(5, 25))) == (0.0, 24)
    assert score(swerve(slice(22, 41))) == CLEAR
    assert score(swerve(slice(21, 41))) == (0.0, 40)


def test_a_step_on_the_line_starts_anew() -> None:
    assert score(swerve(slice(0, 19), slice(20, 39))) == CLEAR


def test_steps_at_an_intersection_do_not_count() -> None:
    """The box centre is at 1.461 + t metres (t in steps)."""
    assert score(drive_straight(10.0, y=1.0), (-50.0, 200.0)) == CLEAR
    assert score(drive_straight(10.0, y=1.0), (-50.0, 20.0)) == (0.0, 38)


def test_steps_at_an_intersection_do_not_break_the_row() -> None:
    """Off the line but for steps 10 to 14, which lie at an intersection, with those and without it."""
    states = swerve(slice(0, 10), slice(15, 25))
    assert score(states) == CLEAR
    assert score(states, (11.0, 16.0)) == (0.0, 24)


def test_what_counts_is_the_box_centre() -> None:
    """On the line with the rear axle, 1.461 m off it with the centre."""
    states = drive_straight(0.0, x=10.0, heading=np.pi / 2)
    assert score(states) == (0.0, 19)
    states[:, 1] = -1.461
    assert score(states) == CLEAR


def test_the_nearest_part_of_a_line_with_corners_and_repeats_counts() -> None:
    """The line makes a detour of 10 m and comes back; the ego goes straight on."""
    line = np.array([[-50, 0], [5, 0], [5, 10], [5, 10], [8, 10], [8, 0], [8, 0], [200, 0]], dtype=np.float64)
    assert score(drive_straight(10.0), line=line) == CLEAR
    assert score(drive_straight(10.0), line=line[[0, 1, 2, 4]]) == (0.0, 24)


def test_beyond_the_end_of_the_line_its_end_counts() -> None:
    """It ends at 10 m: the centre is more than 0.5 m further from step 10 on."""
    assert score(drive_straight(10.0), line=np.array([[-50.0, 0.0], [10.0, 0.0]])) == (0.0, 29)
    assert score(drive_straight(10.0), line=np.array([[-50.0, 0.0], [30.0, 0.0]])) == CLEAR


@pytest.mark.parametrize("seed", range(20))
def test_against_a_plain_loop(seed: int) -> None:
    """Random drives around a winding line, with shapely's distance."""
    rng = np.random.default_rng(seed)
    line = np.column_stack([np.linspace(-20.0, 60.0, 30), np.sin(np.linspace(0.0, 9.0, 30))])
    states = drive_straight(10.0)
    states[:, 1] = np.cumsum(rng.normal(0.0, 0.25, NUM_STATES))
    states[:, 0] += STEP_S * np.cumsum(rng.normal(0.0, 1.0, NUM_STATES))
    junction = (15.0, 15.0 + 12.0 * rng.random())
    row, expected = 0, CLEAR
    for t, (x, y) in enumerate(states[:, :2] + [1.461, 0.0]):
        if junction[0] < x < junction[1] and abs(y) < 5.0:
            continue
        row = row + 1 if shapely.LineString(line).distance(shapely.Point(x, y)) > 0.5 else 0
        if row == 20 and expected == CLEAR:
            expected = (0.0, t)
    assert score(states, junction, line=line) == expected


def test_it_is_weighted_in_v2_and_unknown_in_v1() -> None:
    """Parallel to the centreline at 0.7 m: (5 EP + 5 TTC + 2 HC) / 14."""
    cache = make_cache(centerline=STRAIGHT_LINE + [0.0, 0.7])
    v1, v2 = (Scorer(metric).score(cache, straight_plan(8.0)) for metric in ("pdms-v1.1", "epdms-v2.2"))
    assert v1.score.tolist() == [1.0] and "lane_keeping" not in v1.sub_scores
    assert v2.sub_scores["lane_keeping"].tolist() == [0.0]
    assert v2.score.tolist() == pytest.approx([12.0 / 14.0])
