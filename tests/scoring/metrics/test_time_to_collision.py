"""TTC: the ego projected up to 0.9 s ahead, and which objects count."""

from __future__ import annotations

import dataclasses
from typing import Any, Optional, Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.kernels import NO_STEP, Areas
from latentvla_agent.scoring.metrics.time_to_collision import score_time_to_collision
from latentvla_agent.scoring.state import FloatArray
from latentvla_agent.scoring.versions import V1, V2
from tests.scoring.scenes import Thing, apply, build_world, drive_straight, make_areas, straight_road

DOWN = -np.pi / 2
CLEAR = (1.0, NO_STEP)


def score(
    *things: Thing, states: FloatArray, rules: Any = V1, areas: Optional[Areas] = None, **flags: Any
) -> Tuple[float, int]:
    """Value and first step of one rollout."""
    return apply(score_time_to_collision, states, build_world(*things, rules=rules, areas=areas), **flags)


def junction(first: float, last: float) -> Areas:
    """The straight road with an intersection from x = `first` to `last`."""
    return straight_road(200.0, ("3", AreaKind.INTERSECTION, shapely.box(first, -3.0, last, 3.0)))


def test_a_standing_object_is_met_0_9_s_ahead() -> None:
    """Projected front bumper at 4.049 + t + 9 (t in steps), rear of the object at 30 m."""
    assert score(Thing(32.0, 0.0), states=drive_straight(10.0)) == (0.0, 17)


def test_an_object_beyond_the_last_projection_is_clear() -> None:
    """After 4 s the projection ends at 4.049 + 40 + 9 m."""
    assert score(Thing(55.06, 0.0), states=drive_straight(10.0)) == CLEAR
    assert score(Thing(55.04, 0.0), states=drive_straight(10.0)) == (0.0, 40)


def test_v2_looks_at_the_first_32_steps() -> None:
    """Step 31 looks ahead as far as 4.049 + 31 + 9 m."""
    reached, missed = Thing(46.04, 0.0), Thing(46.06, 0.0)
    assert [score(reached, states=drive_straight(10.0), rules=rules) for rules in (V1, V2)] == [(0.0, 31)] * 2
    assert score(missed, states=drive_straight(10.0)) == (0.0, 32)
    assert score(missed, states=drive_straight(10.0), rules=V2) == CLEAR


def test_v2_drops_what_touches_the_ego_at_the_start() -> None:
    touching = Thing(5.0, 0.0)
    assert score(touching, states=drive_straight(5.0)) == (0.0, 0)
    assert score(touching, states=drive_straight(5.0), rules=V2) == CLEAR


def test_the_object_moves_on_as_the_ego_is_projected() -> None:
    assert score(Thing(8.0, 0.0, speed=10.0), states=drive_straight(10.0)) == CLEAR
    assert score(Thing(8.0, 0.0, speed=0.0), states=drive_straight(10.0)) == (0.0, 0)


def test_only_four_offsets_are_looked_at() -> None:
    """A cyclist crosses fast: in the way 0.6 s ahead, clear of the ego 0.3 s and 0.9 s ahead."""
    crossing = Thing(10.0, 4.8, heading=DOWN, speed=8.0, length=1.5, width=0.5, detected=[0, 1, 2])
    ego = drive_straight(10.0)
    ego[1:] = 0.0
    ego[1:, 1] = 500.0
    assert score(crossing, states=ego) == (0.0, 0)
    values = []
    for stride, projections in ((9, 2), (3, 2), (6, 2)):
        metrics = dataclasses.replace(DEFAULT_CONFIG.metrics, ttc_stride=stride, ttc_projections=projections)
        world = build_world(crossing, config=dataclasses.replace(DEFAULT_CONFIG, metrics=metrics))
        values.append(apply(score_time_to_collision, ego, world)[0])
    assert values == [1.0, 1.0, 0.0]


def test_an_object_on_the_side_counts_between_lanes_off_the_road_and_at_intersections() -> None:
    """It drives beside the ego, touching its flank, 45 to 90 degrees off the nose."""
    beside, ego = Thing(1.0, 2.0, speed=5.0), drive_straight(5.0)
    assert score(beside, states=ego) == CLEAR
    assert score(beside, states=ego, off_route=True) == CLEAR
    assert score(beside, states=ego, off_road=True) == (0.0, 0)
    assert score(beside, states=ego, areas=junction(-50.0, 200.0)) == (0.0, 0)
    road, left, right = (shapely.box(-50.0, low, 200.0, high) for low, high in ((-3, 3), (0, 3), (-3, 0)))
    lanes = (("2", AreaKind.LANE, left), ("3", AreaKind.LANE, right))
    assert score(beside, states=ego, areas=make_areas(("1", AreaKind.LANE_GROUP, road), *lanes)) == (0.0, 0)


def test_an_object_that_does_not_count_when_first_met_never_counts() -> None:
    """Beside the ego at first, it drives ahead of it; seen first when ahead, it counts."""
    beside, ahead = Thing(1.0, 2.0, speed=15.0), Thing(6.0, 2.0, speed=10.0)
    assert score(beside, states=drive_straight(10.0), areas=junction(2.5, 200.0)) == CLEAR
    assert score(beside, states=drive_straight(10.0), areas=junction(-0.5, 0.5)) == (0.0, 0)
    assert score(ahead, states=drive_straight(10.0)) == (0.0, 0)


def test_at_an_intersection_is_the_rear_axle() -> None:
    """The vehicle drives beside the ego and first touches its flank at step 0, where the ego's nose is at 4 m."""
    beside = Thing(1.0, 2.0, speed=5.0)
    assert score(beside, states=drive_straight(5.0), areas=junction(0.1, 200.0)) == CLEAR
    assert score(beside, states=drive_straight(5.0), areas=junction(-9.0, 0.1)) == (0.0, 0)


def test_objects_behind_never_count() -> None:
    """It touches the ego's rear at once, and later drives through it."""
    behind = Thing(-3.0, 0.0, speed=15.0)
    assert score(behind, states=drive_straight(5.0), off_road=True) == CLEAR


@pytest.mark.parametrize(("degrees", "expected"), [(29.0, 0.0), (31.0, 1.0)])
def test_ahead_means_within_30_degrees(degrees: float, expected: float) -> None:
    """A long wall at a bearing, across the way of the ego."""
    center = 20.0 * np.array([np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))])
    wall = Thing(center[0], center[1], heading=np.pi / 2, length=40.0, width=0.5, detected=[0])
    ego = drive_straight(30.0)
    ego[1:] = 0.0
    ego[1:, 1] = 500.0
    assert score(wall, states=ego)[0] == expected


@pytest.mark.parametrize(("speed", "expected"), [(0.0, 1.0), (0.0049, 1.0), (0.0051, 0.0)])
def test_a_standing_ego_meets_nothing(speed: float, expected: float) -> None:
    assert score(Thing(5.0, 0.0), states=drive_straight(speed))[0] == expected


def test_rollouts_are_independent() -> None:
    world = build_world(Thing(1.0, 2.0, speed=5.0), Thing(40.0, 10.0))
    slow, far = drive_straight(5.0), drive_straight(10.0, y=10.0)
    found = [apply(score_time_to_collision, states, world, off_road=[]) for states in (slow, far, slow)]
    assert found == [CLEAR, (0.0, 25), CLEAR]
