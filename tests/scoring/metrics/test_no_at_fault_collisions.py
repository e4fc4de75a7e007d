"""NC: which contacts are the ego's fault, what they cost, and when the first one happens."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import pytest
import shapely

from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.kernels import NO_STEP, Areas
from latentvla_agent.scoring.metrics.contact import boxes_touch
from latentvla_agent.scoring.metrics.no_at_fault_collisions import NO_OBJECT, score_collisions
from latentvla_agent.scoring.observation import ObjectType
from latentvla_agent.scoring.state import FloatArray, ego_corners
from latentvla_agent.scoring.versions import V1, V2
from tests.scoring.scenes import VEHICLE, Thing, apply, build_world, drive_straight, make_areas, place_rollout

CONE = ObjectType.TRAFFIC_CONE
DOWN = -np.pi / 2
SIDE = Thing(1.0, 6.0, heading=DOWN, speed=5.0)  # from the left into the flank, behind the front bumper, at step 6


def score(*things: Thing, states: FloatArray, rules: Any = V1, **flags: Any) -> Tuple[float, int]:
    """Value and first step of one rollout."""
    return apply(score_collisions, states, build_world(*things, rules=rules), **flags)


def two_lanes(whole_until: float) -> Areas:
    """Lanes that meet at y = 0, and one over both from x = -50 to `whole_until`."""
    road = shapely.box(-50.0, -3.0, 200.0, 3.0)
    halves = shapely.box(-50.0, 0.0, 200.0, 3.0), shapely.box(-50.0, -3.0, 200.0, 0.0)
    lanes = [(str(i), AreaKind.LANE, lane) for i, lane in enumerate(halves)]
    whole = ("2", AreaKind.LANE_CONNECTOR, shapely.box(-50.0, -3.0, whole_until, 3.0))
    return make_areas(("9", AreaKind.LANE_GROUP, road), *lanes, whole)


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
    """Its front is at 4 - 0.5 t metres (t in steps), the flank at 1.1485 m."""
    ego = drive_straight(1.0)
    assert score(SIDE, states=ego) == (1.0, NO_STEP)
    assert score(SIDE, states=ego, off_route=True) == (1.0, NO_STEP)
    assert score(SIDE, states=ego, off_road=True) == (0.0, 6)
    world = build_world(SIDE, areas=two_lanes(whole_until=-40.0))
    assert apply(score_collisions, ego, world) == (0.0, 6)


def test_hit_on_the_side_at_an_intersection_is_no_fault() -> None:
    junction = shapely.box(-50.0, -9.0, 200.0, 9.0)
    areas = make_areas(("1", AreaKind.INTERSECTION, junction), ("2", AreaKind.LANE_CONNECTOR, junction))
    assert apply(score_collisions, drive_straight(1.0), build_world(SIDE, areas=areas)) == (1.0, NO_STEP)


@pytest.mark.parametrize(("whole_until", "expected"), [(4.6, (0.0, 6)), (4.7, (1.0, NO_STEP))])
def test_what_counts_is_the_lane_at_the_first_contact(whole_until: float, expected: Tuple[float, int]) -> None:
    """The front bumper is at 4.649 m then: past the end of the lane that held the whole ego, or just before it."""
    world = build_world(SIDE, areas=two_lanes(whole_until))
    assert apply(score_collisions, drive_straight(1.0), world) == expected


@pytest.mark.parametrize(("steps", "expected"), [(slice(6, 7), (0.0, 6)), (slice(7, 41), (1.0, NO_STEP))])
def test_what_counts_is_the_road_at_the_first_contact(steps: slice, expected: Tuple[float, int]) -> None:
    assert score(SIDE, states=drive_straight(1.0), off_road=steps) == expected


def test_the_front_bumper_decides_within_a_lane() -> None:
    """A vehicle from the left that meets the bumper."""
    assert score(Thing(4.5, 6.0, heading=DOWN, speed=5.0), states=drive_straight(1.0)) == (0.0, 6)


def test_the_worst_collision_counts_and_the_earliest_names_the_step() -> None:
    cone, vehicle = Thing(15.5, 0.0, type=CONE, length=1.0), Thing(30.0, 0.0)
    assert score(cone, vehicle, states=drive_straight(10.0)) == (0.0, 11)
    assert score(vehicle, cone, states=drive_straight(10.0)) == (0.0, 11)


@pytest.mark.parametrize(("rules", "expected"), [(V1, (0.0, 0)), (V2, (1.0, NO_STEP))])
def test_overlap_at_the_start_is_scored_in_v1_only(rules: Any, expected: Tuple[float, int]) -> None:
    assert score(Thing(4.0, 0.0), states=drive_straight(5.0), rules=rules) == expected


def test_v2_drops_only_what_touches_the_ego_at_the_start() -> None:
    """Both stand in the way; the rear of the second is 0.1 m before the bumper at first."""
    touching, clear = Thing(6.0, 0.0), Thing(6.149, 0.0)
    assert score(touching, clear, states=drive_straight(5.0), rules=V2) == (0.0, 1)
    assert score(touching, states=drive_straight(5.0), rules=V2) == (1.0, NO_STEP)


def test_an_object_counts_only_while_it_is_present() -> None:
    """Standing at 20 m, but detected from 2 s on; an ego of 40 m/s has passed it by then, one of 8 m/s has not."""
    late = Thing(20.0, 0.0, detected=range(4, 11))
    assert score(late, states=drive_straight(40.0)) == (1.0, NO_STEP)
    assert score(late, states=drive_straight(8.0)) == (0.0, 20)


def test_each_rollout_ignores_for_itself() -> None:
    """The first ego is hit from behind by the vehicle that the second runs into."""
    world = build_world(Thing(-10.0, 0.0, speed=20.0))
    ego, follower = drive_straight(5.0), drive_straight(30.0, x=-20.0)
    found = [apply(score_collisions, states, world) for states in (ego, follower, ego)]
    assert found == [(1.0, NO_STEP), (0.0, 4), (1.0, NO_STEP)]


def touch_step(thing: Thing) -> int:
    """When an ego of 10 m/s first touches it, at fault or not."""
    world = build_world(thing)
    touches = [
        boxes_touch(box, there)
        for box, there in zip(ego_corners(drive_straight(10.0), VEHICLE), world.objects.corners[:, 0])
    ]
    return touches.index(True)


def test_whom_the_first_collision_is_with() -> None:
    """Of those that are charged: not of what was hit without fault, then or before, nor of what is hit later."""

    def struck(*things: Thing, speed: float = 10.0) -> int:
        world = build_world(*things)
        return int(score_collisions(place_rollout(drive_straight(speed), world), world)[2])

    ahead, beyond = Thing(20.0, 0.0), Thing(30.0, 0.0)
    behind, beside = Thing(-3.0, 0.0, speed=10.0), Thing(1.0, 2.02, heading=-0.05, speed=10.0, width=0.2)
    assert [touch_step(beside), touch_step(ahead)] == [14, 14], "the one in the flank, the other in front"
    near, far = Thing(20.0, -0.5), Thing(20.0, 1.0)
    assert struck() == struck(behind) == struck(ahead, speed=0.0) == NO_OBJECT
    assert struck(ahead) == struck(ahead, behind) == struck(ahead, beyond) == struck(ahead, beside) == 0
    assert struck(behind, ahead) == struck(beyond, ahead) == struck(far, near) == 1
    assert struck(near, far) == 0
