"""What a simulated town did: tracks of everything that moves or stands in it, traffic lights and rare events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Dict, List, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.errors import DataError

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

EGO_TYPE = "ego"  # SUMO type of the vehicles whose drives become logs, and first part of their keys
NO_SIGNAL = "O"  # SUMO's letter of a traffic light that is off


class StateIndex(IntEnum):
    """Columns of `Track.states`: box centre in the town frame [m], heading [rad], speed [m/s]."""

    X = 0
    Y = 1
    HEADING = 2
    SPEED = 3


@dataclass(frozen=True, eq=False)
class Track:
    """One road user or thing, from `first_step` on: `states` (T, 4), see `StateIndex`; `braking` (T,) brake lights.

    `name` is NAVSIM's class (`latentvla_agent.data.checks.OBJECT_NAMES`), `model` the look: sedan, hatchback, suv,
    van, truck, bus, motorcycle, bicycle, adult, child, cone, barrier. Headings may exceed pi: they don't jump.
    """

    key: str
    name: str
    model: str
    length: float
    width: float
    height: float
    first_step: int
    states: FloatArray
    braking: BoolArray

    @property
    def last_step(self) -> int:
        """The last step at which the track exists."""
        return self.first_step + len(self.states) - 1

    def exists_at(self, step: int) -> bool:
        """Whether the track has a state at that step."""
        return self.first_step <= step <= self.last_step

    def state_at(self, step: int) -> FloatArray:
        """State (4,) at a step; raises `DataError` where there is none."""
        if not self.exists_at(step):
            raise DataError(f"track {self.key}: expected a step in {self.first_step}…{self.last_step}, got {step}")
        state: FloatArray = self.states[step - self.first_step]
        return state


@dataclass(frozen=True)
class EventSpan:
    """A rare event that concerns an ego from `first_step` to `last_step` (both included). `actors`: track keys."""

    kind: str
    ego: str
    first_step: int
    last_step: int
    actors: Tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Recording:
    """A town over `num_steps` steps of `step_s` seconds.

    `tracks` in order of first appearance. `signals`: for (traffic light id, link index) one of SUMO's letters per step
    (r, y, g, G, …). `lane_of`: for each ego and step of its track the SUMO lane (maybe an internal one) under its rear
    axle. `routes`: for each ego the edges that it means to drive, in order, beyond the end of the recording if it can.
    """

    step_s: float
    num_steps: int
    tracks: Dict[str, Track]
    signals: Dict[Tuple[str, int], str]
    lane_of: Dict[str, List[str]]
    events: Tuple[EventSpan, ...] = ()
    routes: Dict[str, Tuple[str, ...]] = field(default_factory=dict)

    @property
    def egos(self) -> List[str]:
        """Keys of the egos, in order of appearance."""
        return [key for key in self.tracks if key in self.lane_of]

    def get_track(self, key: str) -> Track:
        """The track of that key; raises `DataError` where there is none."""
        if key not in self.tracks:
            raise DataError(f"recording: expected one of {len(self.tracks)} tracks, got {key!r}")
        return self.tracks[key]

    def events_at(self, step: int, ego: str) -> List[EventSpan]:
        """Events that concern the ego at that step."""
        return [event for event in self.events if event.ego == ego and event.first_step <= step <= event.last_step]


def extend_events(events: List[EventSpan], kind: str, ego: str, step: int, actors: Tuple[str, ...]) -> None:
    """Note in `events` that an event is on at a step: the span that ended one step before grows, or a new one begins.

    Actors that join later are added to the span.
    """
    for index, event in enumerate(events):
        if (event.kind, event.ego) == (kind, ego) and event.last_step in (step - 1, step):
            joined = tuple(dict.fromkeys(event.actors + actors))
            events[index] = replace(event, last_step=step, actors=joined)
            return
    events.append(EventSpan(kind, ego, step, step, actors))
