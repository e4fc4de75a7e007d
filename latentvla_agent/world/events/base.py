"""What all rare events share: they wait for their place, happen once, report, and tidy up out of sight."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, Dict, List, Optional, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.world.events.config import EventConfig
from latentvla_agent.world.events.driver import Driver
from latentvla_agent.world.events.path import LaneBook, Path, look_ahead
from latentvla_agent.world.events.surroundings import Neighbour, list_neighbours

if TYPE_CHECKING:
    from latentvla_agent.world.traffic.simulation import LiveTraffic

NO_CHECKS = 0  # whoever drives sees to everything
ALL_CHECKS = 31  # SUMO's speed mode: safe speed, acceleration, deceleration, right of way, red lights
BRAKES_FREELY = 27  # the same, but the deceleration is ours
OWN_SAFETY = 26  # right of way and red lights are SUMO's, the distance to others is ours
TEMPER = "normal"  # of the drivers that are sent


class Stage(Enum):
    """How far an event is."""

    WAITING = "waiting"
    STARTED = "started"
    DONE = "done"


@dataclass
class Turns:
    """Sees to it that an ego has one event at a time, with a rest in between."""

    holder: Optional[str] = None
    free_from: int = 0
    seen_at: int = -1  # step of `path`
    path: Optional[Path] = None
    book: LaneBook = field(default_factory=LaneBook)

    def look_ahead(self, live: LiveTraffic, ego: str, distance: float) -> Optional[Path]:
        """The ego's way ahead at this step."""
        if self.seen_at != live.step:
            self.seen_at, self.path = live.step, look_ahead(live.sumo, ego, distance, self.book)
        return self.path

    def take(self, kind: str, step: int) -> bool:
        """Ask for the ego; True if the event may start."""
        if self.holder is None and step >= self.free_from:
            self.holder = kind
        return self.holder == kind

    def give_back(self, free_from: int) -> None:
        """The event is over."""
        self.holder, self.free_from = None, free_from


class EgoEvent:
    """One rare event for one ego (a `Director`). Subclasses find the place (`find`) and make it happen (`play`).

    `happened` says afterwards whether it was reported at least once.
    """

    kind: ClassVar[str] = ""

    def __init__(self, ego: str, config: EventConfig, rng: np.random.Generator, turns: Optional[Turns] = None) -> None:
        self.ego = ego
        self.config = config
        self.rng = rng
        self.stage = Stage.WAITING
        self.happened = False
        self.driver = Driver(ego, config.driver)
        self._turns = turns or Turns()
        self._first_seen: Optional[int] = None
        self._props: List[str] = []
        self._sent: List[str] = []  # vehicles of ours
        self._leftovers: List[str] = []  # vehicles of ours that go out of sight
        self._solid: List[shapely.Polygon] = []  # what walkers cannot walk through
        self._num_props = 0
        self._tries = 0
        self._retry_from = 0
        self._shared = frozenset(vars(self)) | {"_shared"}

    # For subclasses
    def find(self, live: LiveTraffic, path: Path) -> bool:
        """Look for place and time; True if the event starts now."""
        raise NotImplementedError

    def play(self, live: LiveTraffic, path: Path) -> bool:
        """One step of the started event; False when it is over."""
        raise NotImplementedError

    def clear(self, live: LiveTraffic) -> None:
        """Give back what was taken over, apart from the ego."""

    # The loop
    def direct(self, live: LiveTraffic) -> None:
        """Called before every step of the simulation."""
        if live.step % self.config.place.search_every == 0:
            self._hide_walkers(live)
            if self.stage is not Stage.STARTED:
                self._tidy(live)
        if self.stage is Stage.DONE:
            return
        if self.ego not in live.sumo.vehicle.getIDList():
            if self.stage is Stage.STARTED:
                self._finish(live, ego_drives=False)
            return
        if self._first_seen is None:
            self._first_seen = live.step
        if self.stage is Stage.WAITING:
            self._search(live)
        if self.stage is Stage.STARTED:
            path = self.look_ahead(live, self.ego)
            if path is None or not self.play(live, path):
                self._finish(live, ego_drives=True)

    def _search(self, live: LiveTraffic) -> None:
        place = self.config.place
        assert self._first_seen is not None
        if live.step - self._first_seen < self.steps(place.settle_s) or live.step % place.search_every:
            return
        if self._turns.holder not in (None, self.kind) or live.step < max(self._turns.free_from, self._retry_from):
            return
        path = self.look_ahead(live, self.ego)
        if path is not None and self.find(live, path) and self._turns.take(self.kind, live.step):
            self.stage = Stage.STARTED

    def _finish(self, live: LiveTraffic, ego_drives: bool) -> None:
        self.clear(live)
        if ego_drives:
            self.driver.release(live.sumo)
            self.driver.keep_lane(live.sumo, False)
            self.driver.end_swerve()
            live.sumo.vehicle.setSpeedMode(self.ego, ALL_CHECKS)
        self._tries += 1
        self._retry_from = live.step + self.steps(self.config.place.retry_s)
        again = ego_drives and not self.happened and self._tries < self.config.place.tries
        self.stage = Stage.WAITING if again else Stage.DONE
        if again:
            self._forget()
        rest_s = self.config.rest_s if self.happened else 0.0
        self._turns.give_back(live.step + self.steps(rest_s))

    def _hide_walkers(self, live: LiveTraffic) -> None:
        """Walkers whose way leads through what an event has put there are left out of the recording."""
        for key in live.sumo.person.getIDList() if self._solid else ():
            place = shapely.Point(live.sumo.person.getPosition(key))
            if any(thing.distance(place) < self.config.place.walker_room for thing in self._solid):
                live.hidden.add(key)

    def _forget(self) -> None:
        """Back to the defaults of the class: nothing of the failed try is left but what stands on the road."""
        for name in [name for name in vars(self) if name not in self._shared]:
            delattr(self, name)

    def _tidy(self, live: LiveTraffic) -> None:
        """Take props and vehicles that stay away once no ego sees them."""
        for key in list(self._props):
            if self.is_hidden_from_egos(live, *live.props[key].state[:2]):
                live.remove_prop(key)
                self._props.remove(key)
        for key in list(self._leftovers):
            gone = key not in live.sumo.vehicle.getIDList()
            if gone or self.is_hidden_from_egos(live, *live.sumo.vehicle.getPosition(key)):
                self._leftovers.remove(key)
                if not gone:
                    live.sumo.vehicle.remove(key)

    # Tools
    def steps(self, seconds: float) -> int:
        """Steps of the simulation in a time."""
        return int(round(seconds / self.config.driver.step_s))

    def draw(self, span: Tuple[float, float]) -> float:
        """A number out of a range."""
        return float(self.rng.uniform(*span))

    def report(self, live: LiveTraffic, actors: Sequence[str]) -> None:
        """The event is on at this step."""
        live.report(self.kind, self.ego, tuple(actors))
        self.happened = True

    def look_ahead(self, live: LiveTraffic, key: str) -> Optional[Path]:
        """The way ahead of a vehicle."""
        reach = self.config.place.look_ahead
        if key == self.ego:
            return self._turns.look_ahead(live, key, reach)
        return look_ahead(live.sumo, key, reach, self._turns.book)

    def neighbours(self, live: LiveTraffic, path: Path, reach: float) -> List[Neighbour]:
        """Vehicles round the ego."""
        return list_neighbours(live.sumo, path, self.ego, reach)

    def ego_speed(self, live: LiveTraffic) -> float:
        """The ego's speed."""
        return float(live.sumo.vehicle.getSpeed(self.ego))

    def take_ego(self, live: LiveTraffic, mode: int) -> None:
        """Brake for the ego, keep it on its lane."""
        live.sumo.vehicle.setSpeedMode(self.ego, mode)
        self.driver.keep_lane(live.sumo, True)

    def put_prop(self, live: LiveTraffic, name: str, look: Any, state: Sequence[float]) -> str:
        """Put a prop (look: model, length, width, height) on the stage; it goes when nobody sees it any more."""
        key = f"{self.kind}_{self.ego}_{self._num_props}"
        self._num_props += 1
        model, length, width, height = look
        live.add_prop(key, name, model, length, width, height, state)
        self._props.append(key)
        return key

    def send_ahead(self, live: LiveTraffic, path: Path, along: float, model: str) -> Optional[str]:
        """Put a vehicle of SUMO's on the ego's way, out of every ego's sight; it drives the ego's route from there.

        Returns its key, or None where that place is in sight or inside a junction. It may enter a step or more later.
        """
        part = path.part_at(along)
        if part.inside_junction or along > path.length:
            return None
        vehicle, edge = live.sumo.vehicle, live.sumo.lane.getEdgeID(part.lane)
        route = list(vehicle.getRoute(self.ego))[max(vehicle.getRouteIndex(self.ego), 0) :]
        if edge not in route:
            return None
        return self.send_vehicle(live, part.lane, along - part.first, route[route.index(edge) :], model)

    def send_vehicle(
        self, live: LiveTraffic, lane: str, place: float, route: Sequence[str], model: str, speed: float = 0.0
    ) -> Optional[str]:
        """Put a vehicle `place` metres along a lane, if no ego sees it there and nobody is in its way."""
        if lane not in live.roads.lanes:
            return None
        line, along, _ = self._turns.book.line(live.sumo, lane)
        x, y = (float(np.interp(place, along, line[:, column])) for column in (0, 1))
        if not self.is_hidden_from_egos(live, x, y) or not self._has_room(live, lane, place):
            return None
        key = f"{self.kind}_{self.ego}_sent_{len(self._sent)}"
        live.sumo.route.add(key, list(route))
        depart = {"departLane": lane.rsplit("_", 1)[1], "departPos": f"{place:.2f}", "departSpeed": f"{speed:.2f}"}
        live.sumo.vehicle.add(key, key, typeID=f"{model}_{TEMPER}", **depart)
        self._sent.append(key)
        return key

    def _has_room(self, live: LiveTraffic, lane: str, place: float) -> bool:
        room = self.config.place.room
        positions = [live.sumo.vehicle.getLanePosition(key) for key in live.sumo.lane.getLastStepVehicleIDs(lane)]
        return all(abs(position - place) > room for position in positions)

    def draw_model(self) -> str:
        """The look of a vehicle that is sent."""
        models = self.config.place.models
        return models[int(self.rng.integers(len(models)))]

    def onward(self, live: LiveTraffic, edge: str, number: int) -> List[str]:
        """Edges of a drive that begins on `edge`, drawn at every junction."""
        following: Dict[str, List[str]] = {}
        for connector in live.roads.connectors.values():
            start, end = connector.from_lane.rsplit("_", 1)[0], connector.to_lane.rsplit("_", 1)[0]
            if end not in following.setdefault(start, []):
                following[start].append(end)
        edges = [edge]
        while len(edges) < number and following.get(edges[-1]):
            ends = following[edges[-1]]
            edges.append(ends[int(self.rng.integers(len(ends)))])
        return edges

    def is_hidden_from_egos(self, live: LiveTraffic, x: float, y: float) -> bool:
        """Whether something may appear or disappear there."""
        place = self.config.place
        for key in live.egos:
            ego_x, ego_y = live.sumo.vehicle.getPosition(key)
            if math.hypot(x - ego_x, y - ego_y) < (place.sight if key == self.ego else place.others_sight):
                return False
        return True

    def pace(self, live: LiveTraffic, lead: Neighbour, near: float) -> None:
        """Slow somebody ahead so that the ego closes up to `near` metres."""
        place = self.config.place
        if lead.first > near:
            slow = max(place.pace_speed, place.pace_share * self.ego_speed(live))
            live.sumo.vehicle.slowDown(lead.key, min(slow, max(lead.speed, place.pace_speed)), place.pace_s)

    def is_clear_of_props(self, live: LiveTraffic, x: float, y: float) -> bool:
        """Whether no other event has put anything near a place."""
        apart = self.config.place.props_apart
        return all(math.hypot(x - prop.state[0], y - prop.state[1]) > apart for prop in live.props.values())

    @property
    def half_width(self) -> float:
        """Half the ego's width."""
        return self.config.place.ego_width / 2.0
