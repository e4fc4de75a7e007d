"""Tracks, events and what is refused."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.world.traffic.recording import EventSpan, Recording, StateIndex, Track, extend_events


def make_track(key: str = "sedan_1", first_step: int = 3, length: int = 5) -> Track:
    states = np.zeros((length, len(StateIndex)))
    states[:, StateIndex.X] = np.arange(length)
    return Track(key, "vehicle", "sedan", 4.7, 1.8, 1.5, first_step, states, np.zeros(length, dtype=np.bool_))


def test_track_knows_when_it_exists() -> None:
    track = make_track()
    assert [step for step in range(12) if track.exists_at(step)] == [3, 4, 5, 6, 7]
    assert track.state_at(5)[StateIndex.X] == 2.0
    with pytest.raises(DataError, match=r"sedan_1: expected a step in 3…7, got 8"):
        track.state_at(8)


def test_event_grows_while_it_is_on() -> None:
    events: List[EventSpan] = []
    for step, actors in ((4, ("a",)), (5, ("a", "b")), (5, ("c",)), (9, ("a",))):
        extend_events(events, "cut_in", "ego_0", step, actors)
    extend_events(events, "cut_in", "ego_1", 10, ("a",))
    assert events == [
        EventSpan("cut_in", "ego_0", 4, 5, ("a", "b", "c")),
        EventSpan("cut_in", "ego_0", 9, 9, ("a",)),
        EventSpan("cut_in", "ego_1", 10, 10, ("a",)),
    ]
    recording = Recording(0.1, 20, {}, {}, {}, tuple(events))
    assert [event.first_step for event in recording.events_at(5, "ego_0")] == [4]
    assert recording.events_at(6, "ego_0") == []


def test_unknown_track_is_refused() -> None:
    recording = Recording(0.1, 20, {"a": make_track("a")}, {}, {"a": ["lane"] * 5})
    assert recording.egos == ["a"]
    with pytest.raises(DataError, match="expected one of 1 tracks, got 'b'"):
        recording.get_track("b")
