"""Routes of egos: which blocks, from where, how far, and where they turn."""

from __future__ import annotations

from dataclasses import replace

import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.world.routes import Command, RouteConfig, follow_route
from tests.world.traffic.traffic_towns import make_corner, make_drive

ROADS, IDS = make_corner()


def test_route_begins_at_the_ego_and_alternates() -> None:
    recording = make_drive()
    route = follow_route(recording, "ego_0", ROADS)
    lanes = recording.lane_of["ego_0"]
    assert route.roadblock_ids(0, IDS) == ["21", "31", "22"]
    assert route.roadblock_ids(lanes.index(":J_0_0"), IDS) == ["31", "22"]
    assert route.roadblock_ids(lanes.index(":J_2_0"), IDS) == ["31", "22"]
    assert route.roadblock_ids(lanes.index("b_0"), IDS) == ["22"]


def test_command_turns_before_the_corner() -> None:
    recording = make_drive()
    route = follow_route(recording, "ego_0", ROADS)
    commands = [
        route.command(step, recording.tracks["ego_0"].states[step, :2] - (1.461, 0.0)) for step in range(0, 90, 2)
    ]
    assert commands[0] == Command.STRAIGHT and Command.LEFT in commands
    # It turns by 0.35 rad within 25 m of the corner's first 3.5 m.
    first = recording.tracks["ego_0"].states[2 * commands.index(Command.LEFT), 0] - 1.461
    assert 100.0 - 25.0 < first < 100.0 - 25.0 + 6.0


def test_short_edge_or_connector_between_two_steps_is_filled_in() -> None:
    recording = make_drive()
    lanes = ["a_0"] * 100 + ["b_0"] * 100
    route = follow_route(replace(recording, lane_of={"ego_0": lanes}), "ego_0", ROADS)
    assert route.roadblock_ids(0, IDS) == ["21", "31", "22"]


def test_drive_that_ends_goes_on_as_planned_or_straight() -> None:
    recording = make_drive()
    short = replace(recording, lane_of={"ego_0": ["a_0"] * 200})
    assert follow_route(short, "ego_0", ROADS).roadblock_ids(0, IDS) == ["21", "31", "22"]
    off_plan = replace(short, routes={"ego_0": ("x", "y")})
    assert follow_route(off_plan, "ego_0", ROADS).roadblock_ids(0, IDS) == ["21", "32", "23"]
    in_junction = replace(short, lane_of={"ego_0": ["a_0"] * 100 + [":J_2_0"] * 100})
    assert follow_route(in_junction, "ego_0", ROADS).roadblock_ids(150, IDS) == ["31", "22"]


def test_route_is_as_long_as_it_must_be() -> None:
    route = follow_route(make_drive(), "ego_0", ROADS, RouteConfig(reach_m=5.0))
    assert route.roadblock_ids(0, IDS) == ["21", "31", "22"]  # never ends with a connector
    route = follow_route(make_drive(), "ego_0", ROADS, RouteConfig(reach_m=0.0))
    assert route.roadblock_ids(0, IDS) == ["21"]


def test_unknown_ego_and_lane_are_refused() -> None:
    recording = make_drive()
    with pytest.raises(DataError, match="expected one of the egos"):
        follow_route(recording, "sedan_1", ROADS)
    with pytest.raises(DataError, match="got no such lane"):
        follow_route(replace(recording, lane_of={"ego_0": ["nowhere_0"]}), "ego_0", ROADS)
