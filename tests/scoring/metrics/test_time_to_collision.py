"""TTC: the ego projected up to 0.9 s ahead, and which objects count."""

from __future__ import annotations

import dataclasses
from typing import Any, Tuple

import numpy as np
import pytest

from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metrics.metric import NO_STEP
from latentvla_agent.scoring.metrics.time_to_collision import score_time_to_collision
from latentvla_agent.scoring.state import FloatArray
from tests.scoring.scenes import Thing, drive_straight, flag_areas, observe, roll_out

DOWN = -np.pi / 2
CLEAR = (1.0, NO_STEP)


def score(*things: Thing, states: FloatArray, **flags: Any) -> Tuple[float, int]:
    """Value and first step of one rollout."""
    values = score_time_to_collision(roll_out(states), flag_areas(**flags), observe(*things), DEFAULT_CONFIG.metrics)
    return float(values.value[0]), int(values.first_step[0])


def test_a_standing_object_is_met_0_9_s_ahead() -> None:
    """Projected front bumper at 4.049 + t + 9 (t in steps), rear of the object at 30 m."""
    assert score(Thing(32.0, 0.0), states=drive_straight(10.0)) == (0.0, 17)


def test_an_object_beyond_the_last_projection_is_clear() -> None:
    """After 4 s the projection ends at 4.049 + 40 + 9 m."""
    assert score(Thing(55.06, 0.0), states=drive_straight(10.0)) == CLEAR
    assert score(Thing(55.04, 0.0), states=drive_straight(10.0)) == (0.0, 40)


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
    for offsets in ((0, 3, 9), (6,)):
        config = dataclasses.replace(DEFAULT_CONFIG.metrics, ttc_offsets=offsets)
        rollouts = roll_out(ego)
        values.append(score_time_to_collision(rollouts, flag_areas(), observe(crossing), config).value[0])
    assert values == [1.0, 0.0]


def test_an_object_on_the_side_counts_between_lanes_off_the_road_and_at_intersections() -> None:
    """It drives beside the ego, touching its flank, 45 to 90 degrees off the nose."""
    beside = Thing(1.0, 2.0, speed=5.0)
    assert score(beside, states=drive_straight(5.0)) == CLEAR
    assert score(beside, states=drive_straight(5.0), off_route=True) == CLEAR
    for flag in ("multiple_lanes", "off_road", "at_intersection"):
        assert score(beside, states=drive_straight(5.0), **{flag: True}) == (0.0, 0), flag


def test_an_object_that_does_not_count_when_first_met_never_counts() -> None:
    """Beside the ego at first, it drives ahead of it; seen first when ahead, it counts."""
    beside, ahead = Thing(1.0, 2.0, speed=15.0), Thing(7.0, 2.0, speed=15.0)
    assert score(beside, states=drive_straight(10.0), at_intersection=slice(3, 41)) == CLEAR
    assert score(beside, states=drive_straight(10.0), at_intersection=slice(0, 1)) == (0.0, 0)
    assert score(dataclasses.replace(ahead, speed=10.0, x=6.0), states=drive_straight(10.0)) == (0.0, 0)


def test_objects_behind_never_count() -> None:
    """It touches the ego's rear at once, and later drives through it."""
    behind = Thing(-3.0, 0.0, speed=15.0)
    assert score(behind, states=drive_straight(5.0), off_road=True, multiple_lanes=True) == CLEAR


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
    beside = (Thing(1.0, 2.0, speed=5.0), Thing(40.0, 10.0))
    slow, far = drive_straight(5.0), drive_straight(10.0, y=10.0)
    rollouts = roll_out(slow, far, slow)
    values = score_time_to_collision(rollouts, flag_areas(3), observe(*beside), DEFAULT_CONFIG.metrics)
    assert values.value.tolist() == [1.0, 0.0, 1.0]
    assert values.first_step.tolist() == [NO_STEP, 25, NO_STEP]
