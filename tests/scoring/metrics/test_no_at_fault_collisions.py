"""NC: which contacts are the ego's fault, what they cost, and when the first one happens."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest

from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metrics.metric import NO_STEP, MetricValues
from latentvla_agent.scoring.metrics.no_at_fault_collisions import score_collisions
from latentvla_agent.scoring.observation import ObjectType
from latentvla_agent.scoring.state import FloatArray
from tests.scoring.scenes import Thing, drive_straight, flag_areas, observe, roll_out

CONE = ObjectType.TRAFFIC_CONE
DOWN = -np.pi / 2


def score(*things: Thing, states: FloatArray, **flags: Any) -> Tuple[float, int]:
    """Value and first step of one rollout."""
    values = score_collisions(roll_out(states), flag_areas(**flags), observe(*things), DEFAULT_CONFIG.metrics)
    assert values.valid.all()
    return float(values.value[0]), int(values.first_step[0])


def score_many(*states: FloatArray, things: Tuple[Thing, ...], **flags: Any) -> MetricValues:
    areas = flag_areas(len(states), **flags)
    return score_collisions(roll_out(*states), areas, observe(*things), DEFAULT_CONFIG.metrics)


def test_nothing_near() -> None:
    assert score(Thing(30.0, 8.0), Thing(-30.0, 0.0), states=drive_straight(5.0)) == (1.0, NO_STEP)


def test_no_objects_at_all() -> None:
    assert score(states=drive_straight(5.0)) == (1.0, NO_STEP)


def test_running_into_a_slower_vehicle_is_at_fault() -> None:
    """Front bumper at 4.049 + t, rear of the other at 18 + 0.1 t metres (t in steps)."""
    assert score(Thing(20.0, 0.0, speed=1.0), states=drive_straight(10.0)) == (0.0, 16)


@pytest.mark.parametrize("kind", list(ObjectType))
def test_road_users_cost_all_and_things_half(kind: ObjectType) -> None:
    """The object stands: front bumper at 4.049 + t, object from 18 m on."""
    value = 0.0 if kind in (ObjectType.VEHICLE, ObjectType.PEDESTRIAN, ObjectType.BICYCLE) else 0.5
    assert score(Thing(20.0, 0.0, type=kind), states=drive_straight(10.0)) == (value, 14)


def test_a_standing_object_is_at_fault_even_from_the_side() -> None:
    """It overlaps the ego's flank, away from the front bumper; a moving one there would not count."""
    for speed, expected in ((0.0, (0.0, 0)), (0.06, (1.0, NO_STEP))):
        thing = Thing(1.0, 2.0, speed=speed, length=1.0)
        assert score(thing, states=drive_straight(0.1)) == expected


def test_being_hit_from_behind_is_no_fault() -> None:
    assert score(Thing(-10.0, 0.0, speed=20.0), states=drive_straight(5.0)) == (1.0, NO_STEP)
    assert score(Thing(-10.0, 0.0, speed=20.0), states=drive_straight(5.0), off_road=True) == (1.0, NO_STEP)


def test_a_track_hit_without_fault_is_ignored_from_then_on() -> None:
    """The vehicle from behind drives through the ego; seen first when at its front, it would be at fault."""
    behind, front = Thing(-10.0, 0.0, speed=20.0), Thing(5.0, 0.0, speed=20.0)
    assert score(behind, states=drive_straight(5.0)) == (1.0, NO_STEP)
    assert score(front, states=drive_straight(5.0)) == (0.0, 0)


def test_ignoring_one_track_spares_no_other() -> None:
    behind, cone = Thing(-10.0, 0.0, speed=20.0), Thing(20.0, 0.0, type=CONE, length=1.0)
    assert score(behind, cone, states=drive_straight(5.0)) == (0.5, 31)


@pytest.mark.parametrize(("speed", "expected"), [(0.0, 1.0), (0.05, 1.0), (0.051, 0.0)])
def test_a_standing_ego_is_never_at_fault(speed: float, expected: float) -> None:
    assert score(Thing(6.0, 0.0), states=drive_straight(speed))[0] == expected


def test_hit_on_the_side_counts_between_lanes_and_off_the_road_only() -> None:
    """A vehicle comes from the left, front at 4 - 0.5 t, into the flank at 1.1485 m, behind the front bumper."""
    side, ego = Thing(1.0, 6.0, heading=DOWN, speed=5.0), drive_straight(1.0)
    assert score(side, states=ego) == (1.0, NO_STEP)
    assert score(side, states=ego, at_intersection=True, off_route=True) == (1.0, NO_STEP)
    assert score(side, states=ego, multiple_lanes=True) == (0.0, 6)
    assert score(side, states=ego, off_road=True) == (0.0, 6)


def test_what_counts_is_the_lane_at_the_first_contact() -> None:
    side, ego = Thing(1.0, 6.0, heading=DOWN, speed=5.0), drive_straight(1.0)
    assert score(side, states=ego, multiple_lanes=slice(6, 7)) == (0.0, 6)
    assert score(side, states=ego, multiple_lanes=slice(7, 41)) == (1.0, NO_STEP)


def test_the_front_bumper_decides_within_a_lane() -> None:
    """A vehicle from the left that meets the bumper."""
    assert score(Thing(4.5, 6.0, heading=DOWN, speed=5.0), states=drive_straight(1.0)) == (0.0, 6)


def test_the_worst_collision_counts_and_the_earliest_names_the_step() -> None:
    cone, vehicle = Thing(15.5, 0.0, type=CONE, length=1.0), Thing(30.0, 0.0)
    assert score(cone, vehicle, states=drive_straight(10.0)) == (0.0, 11)
    assert score(vehicle, cone, states=drive_straight(10.0)) == (0.0, 11)


def test_overlap_at_the_start_is_scored() -> None:
    assert score(Thing(4.0, 0.0), states=drive_straight(5.0)) == (0.0, 0)


def test_an_object_counts_only_while_it_is_present() -> None:
    """Standing at 20 m, but detected from 2 s on; an ego of 40 m/s has passed it by then, one of 8 m/s has not."""
    late = Thing(20.0, 0.0, detected=range(4, 11))
    assert score(late, states=drive_straight(40.0)) == (1.0, NO_STEP)
    assert score(late, states=drive_straight(8.0)) == (0.0, 20)


def test_each_rollout_ignores_for_itself() -> None:
    """The first ego is hit from behind by the vehicle that the second runs into."""
    thing = (Thing(-10.0, 0.0, speed=20.0),)
    ego, follower = drive_straight(5.0), drive_straight(30.0, x=-20.0)
    values = score_many(ego, follower, ego, things=thing)
    assert values.value.tolist() == [1.0, 0.0, 1.0]
    assert values.first_step.tolist() == [NO_STEP, 4, NO_STEP]
