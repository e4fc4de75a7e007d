"""Hand-made roads for the tests of traffic: a street, a left turn, a street."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.roads.config import NetworkConfig
from latentvla_agent.world.roads.lanes import RoadConnector, RoadLane, Roads, read_roads
from latentvla_agent.world.roads.layers import RoadIds
from latentvla_agent.world.roads.networks import make_network
from latentvla_agent.world.traffic.recording import EventSpan, FloatArray, Recording, StateIndex, Track

SIGNAL = ("tl", 0)


def line(start: Tuple[float, float], end: Tuple[float, float]) -> FloatArray:
    count = int(np.hypot(end[0] - start[0], end[1] - start[1])) + 1
    return np.column_stack([np.linspace(start[i], end[i], count) for i in range(2)])


def make_corner() -> Tuple[Roads, RoadIds]:
    """West to east for 100 m, a left turn of radius 10, then north for 300 m; and straight on for 40 m."""
    angles = np.linspace(0.0, np.pi / 2, 30)
    turn = np.array([100.0, 10.0]) + 10.0 * np.column_stack([np.sin(angles), -np.cos(angles)])
    lanes = {
        "a_0": RoadLane("a_0", "a", 0, line((0.0, 0.0), (100.0, 0.0)), 3.5, 10.0),
        "b_0": RoadLane("b_0", "b", 0, line((110.0, 10.0), (110.0, 310.0)), 3.5, 10.0),
        "c_0": RoadLane("c_0", "c", 0, line((120.0, 0.0), (160.0, 0.0)), 3.5, 10.0),
    }
    left = RoadConnector(":J_0_0", "a_0", "b_0", "J", turn, 3.5, 5.0, SIGNAL, (":J_0_0", ":J_2_0"), "O")
    ahead = RoadConnector(
        ":J_1_0", "a_0", "c_0", "J", line((100.0, 0.0), (120.0, 0.0)), 3.5, 9.0, None, (":J_1_0",), "M"
    )
    parts = {":J_0_0": ":J_0_0", ":J_2_0": ":J_0_0", ":J_1_0": ":J_1_0"}
    roads = Roads(lanes, {":J_0_0": left, ":J_1_0": ahead}, {}, {}, {}, {}, parts)
    ids = RoadIds(
        {"a_0": 1, "b_0": 2, "c_0": 3},
        {":J_0_0": 11, ":J_1_0": 12},
        {"a": 21, "b": 22, "c": 23},
        {("a", "b"): 31, ("a", "c"): 32},
    )
    return roads, ids


def make_drive(num_steps: int = 200, speed: float = 8.0) -> Recording:
    """An ego that drives round the corner, a car that follows, one that is parked, one far away; a red light."""
    roads, _ = make_corner()
    way = np.vstack([roads.lanes["a_0"].line, roads.connectors[":J_0_0"].line[1:], roads.lanes["b_0"].line[1:]])
    arc = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(way, axis=0).T))])
    at = 20.0 + speed * 0.1 * np.arange(num_steps)
    tracks: Dict[str, Track] = {}
    for key, model, behind in (("ego_0", "suv", 0.0), ("sedan_1", "sedan", 12.0)):
        tracks[key] = _make_track(key, model, _states(way, arc, at - behind, speed))
    parked = np.tile([90.0, -6.0, 0.0, 0.0], (num_steps, 1))
    tracks["parked_0"] = _make_track("parked_0", "van", parked)
    tracks["sedan_2"] = _make_track("sedan_2", "sedan", np.tile([900.0, 0.0, 0.0, 0.0], (num_steps, 1)))
    rear = np.interp(at - 1.461, arc, np.arange(len(way)))
    lanes: List[str] = [
        "a_0" if row < 100 else ":J_0_0" if row < 115 else ":J_2_0" if row < 129 else "b_0" for row in rear
    ]
    events = (EventSpan("lead_brakes", "ego_0", 10, 20, ("sedan_1",)),)
    return Recording(0.1, num_steps, tracks, {SIGNAL: "r" * num_steps}, {"ego_0": lanes}, events, {"ego_0": ("a", "b")})


def _states(way: FloatArray, arc: FloatArray, at: npt.NDArray[Any], speed: float) -> FloatArray:
    headings = np.unwrap(np.arctan2(*np.gradient(way, axis=0).T[::-1]))
    states = np.column_stack([np.interp(at, arc, values) for values in (way[:, 0], way[:, 1], headings)])
    return np.column_stack([states, np.full(len(states), speed)])


def _make_track(key: str, model: str, states: FloatArray) -> Track:
    braking = np.zeros(len(states), dtype=np.bool_)
    assert states.shape[1] == len(StateIndex)
    return Track(key, "vehicle", model, 5.176, 2.297, 1.777, 0, np.round(states, 6), braking)


def make_town(folder: Path, kind: str = "grid", seed: int = 1) -> Tuple[Path, Roads]:
    """A generated town of the smallest size."""
    net_file = make_network(NetworkConfig(kind=kind, seed=seed), folder)
    return net_file, read_roads(net_file)
