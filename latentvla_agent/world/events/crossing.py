"""Vehicles of the crossing road in the ego's way: how they are found, held at their line and let go in time."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, List, Optional, Tuple

import shapely

from latentvla_agent.world.events.base import ALL_CHECKS, BRAKES_FREELY, NO_CHECKS, EgoEvent
from latentvla_agent.world.events.driver import SUMO_DRIVES, Obstacle
from latentvla_agent.world.events.kerbs import CAR
from latentvla_agent.world.events.path import Path, PathPart
from latentvla_agent.world.events.surroundings import Conflict, Neighbour, find_conflict, in_corridor, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.roads.lanes import RoadConnector
    from latentvla_agent.world.traffic.simulation import LiveTraffic

GREEN, YELLOW = "Gg", "y"


class CrossingEvent(EgoEvent):
    """Sends a vehicle, out of sight, to the line of a road that crosses the ego's way; it goes when the ego comes."""

    _other = ""
    _sent_at = 0
    _started_at: Optional[int] = None
    _entry: Tuple[float, float] = (0.0, 0.0)  # where the other one's way enters the ego's
    _was_near = False  # the ego's way has met the other one's ...
    _is_lost = False  # ... and does so no more: the ego is past
    _comes_from_left = False
    _over_at: Optional[int] = None

    # For subclasses
    def suits(self, connector: RoadConnector) -> bool:
        """Whether such a way across the junction will do."""
        raise NotImplementedError

    def top_speed(self) -> float:
        """How fast the other one drives."""
        raise NotImplementedError

    def times_fit(self, conflict: Conflict, ego_speed: float) -> bool:
        """Whether the other one has to start now."""
        raise NotImplementedError

    def drive_other(self, live: LiveTraffic, other: Neighbour) -> None:
        """One step of the other one after its start."""
        raise NotImplementedError

    # Setting the stage
    def find(self, live: LiveTraffic, path: Path) -> bool:
        """A junction out of sight with a road that crosses the ego's way: somebody is sent to its line."""
        settings = self.config.crossing
        for part in path.parts:
            if not settings.adopt <= part.first <= settings.stage[1] or part.lane not in live.roads.connectors:
                continue
            if path.turning(part.first, part.last) > settings.ego_turn:
                continue
            for connector in self._list_crossing(live, part):
                self._other = self._adopt(live, connector)
                if not self._other and part.first >= settings.stage[0]:
                    self._other = self._send(live, connector)
                if self._other:
                    live.held.add(self._other)
                    self._sent_at = live.step
                    return True
        return False

    def _adopt(self, live: LiveTraffic, connector: RoadConnector) -> str:
        """A car that waits at the line already and means to drive that way; empty if there is none."""
        vehicle, lane = live.sumo.vehicle, connector.from_lane
        keys = live.sumo.lane.getLastStepVehicleIDs(lane)
        if not keys:
            return ""
        first = max(keys, key=vehicle.getLanePosition)
        gap = live.sumo.lane.getLength(lane) - vehicle.getLanePosition(first)
        links = vehicle.getNextLinks(first)
        suits = vehicle.getVehicleClass(first) == CAR and first not in live.egos and first not in live.held
        stands = gap < self.config.crossing.adopt_gap and vehicle.getSpeed(first) < self.config.crossing.calm_speed
        return first if suits and stands and links and links[0][4] in connector.parts else ""

    def _send(self, live: LiveTraffic, connector: RoadConnector) -> str:
        lane = connector.from_lane
        place = live.sumo.lane.getLength(lane) - self.draw(self.config.crossing.line_gap)
        onward = self.onward(live, live.roads.lanes[connector.to_lane].edge, self.config.place.route_edges)
        return self.send_vehicle(live, lane, place, [live.roads.lanes[lane].edge, *onward], self.draw_model()) or ""

    def _list_crossing(self, live: LiveTraffic, part: PathPart) -> List[RoadConnector]:
        """Ways that cross the ego's or end where it ends, from other roads, in a drawn order."""
        own = live.roads.connectors[part.lane]
        line = shapely.LineString(own.line)
        edge = live.roads.lanes[own.from_lane].edge
        found = [
            other
            for other in live.roads.connectors.values()
            if other.junction == own.junction
            and live.roads.lanes[other.from_lane].edge != edge
            and self.suits(other)
            and (other.to_lane == own.to_lane or line.crosses(shapely.LineString(other.line)))
        ]
        return [found[i] for i in self.rng.permutation(len(found)).tolist()]

    # The event
    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Hold the other one at its line; let it go in time; the ego brakes for it."""
        settings, vehicle = self.config.crossing, live.sumo.vehicle
        if self._other not in vehicle.getIDList():
            return self._started_at is None and live.step < self._sent_at + self.steps(1.0)
        if self._started_at is None:
            vehicle.setSpeed(self._other, 0.0)
            if live.step % settings.look_every == 0:
                self._turn_lights(live)
                self._try_start(live, path)
            return not self._is_lost and live.step < self._sent_at + self.steps(settings.give_up_s)
        neighbours = self.neighbours(live, path, settings.attention)
        other = next((item for item in neighbours if item.key == self._other), None)
        if other is None or live.step > self._started_at + self.steps(settings.longest_s):
            return False
        if self._over_at is None:
            self.drive_other(live, other)
            if self._is_past(other):
                self.clear(live)
                self._over_at = live.step + self.steps(settings.over_s)
        entry = self._brake_ego(live, path, neighbours)
        if self.happened or self.driver.braking or entry < settings.on_s * self.ego_speed(live):
            self.report(live, (self._other,))
        return self._over_at is None or live.step < self._over_at

    def _try_start(self, live: LiveTraffic, path: Path) -> None:
        settings, speed = self.config.crossing, self.ego_speed(live)
        if speed < settings.ego_speed or not self._has_way(live):
            return
        way = self.look_ahead(live, self._other)
        if way is None:
            return
        apart = self.half_width + live.sumo.vehicle.getWidth(self._other) / 2.0 + settings.clear
        conflict = find_conflict(path.until(settings.attention), way.until(settings.search / 2.0), apart)
        self._was_near, self._is_lost = self._was_near or conflict is not None, self._was_near and conflict is None
        if conflict is None or conflict.ego_last > settings.search:
            return
        if not self.times_fit(conflict, speed) or not self._can_stop(conflict, speed):
            return
        if self._is_calm(live, path, self.neighbours(live, path, settings.attention), conflict):
            self._started_at, self._comes_from_left = live.step, conflict.turned < 0.0
            self._entry = path.point_at(conflict.ego_first)[:2]

    def _has_way(self, live: LiveTraffic) -> bool:
        """The ego means to drive on: no red light ahead."""
        lights = live.sumo.vehicle.getNextTLS(self.ego)
        return not lights or lights[0][2] > self.config.crossing.search or lights[0][3] in GREEN

    def _turn_lights(self, live: LiveTraffic) -> None:
        """Signals that see the ego coming let it go, as actuated ones do."""
        settings = self.config.crossing
        for light, _, distance, state in live.sumo.vehicle.getNextTLS(self.ego)[:1]:
            if distance > settings.light_reach:
                return
            signals = live.sumo.trafficlight
            left = signals.getNextSwitch(light) - live.sumo.simulation.getTime()
            if state in GREEN:
                signals.setPhaseDuration(light, max(left, settings.green_s))
            elif YELLOW not in signals.getRedYellowGreenState(light):
                signals.setPhaseDuration(light, min(left, settings.least_phase_s))

    def _can_stop(self, conflict: Conflict, speed: float) -> bool:
        settings, driver = self.config.crossing, self.config.driver
        rise = speed * (settings.reaction_s + settings.ego_decel / driver.jerk / 2.0)
        return conflict.ego_first - driver.standstill_gap - rise > speed**2 / (2.0 * settings.ego_decel)

    def _is_calm(self, live: LiveTraffic, path: Path, neighbours: List[Neighbour], conflict: Conflict) -> bool:
        """Nobody else moves towards the conflict, and nobody is between the ego and it."""
        settings, vehicle = self.config.crossing, live.sumo.vehicle
        ahead = [item for item in neighbours if item.key != self._other and item.first < conflict.ego_last]
        free_s = travel_time(conflict.other_first, settings.accel, self.top_speed()) - settings.ahead_clear_s
        runs = [conflict.ego_last - item.first + item.last - item.first for item in ahead]  # until it is past
        if list_obstacles([item for item, run in zip(ahead, runs) if run > free_s * item.speed], self.half_width):
            return False
        x, y = path.point_at(0.5 * (conflict.ego_first + conflict.ego_last))[:2]
        for item in neighbours:
            px, py = vehicle.getPosition(item.key)
            if (
                item.key == self._other
                or item.speed < settings.moving
                or math.hypot(px - x, py - y) > settings.calm_radius
            ):
                continue
            heading = math.radians(90.0 - vehicle.getAngle(item.key))
            if (x - px) * math.cos(heading) + (y - py) * math.sin(heading) > 0.0:
                return False
        return True

    def _brake_ego(self, live: LiveTraffic, path: Path, neighbours: List[Neighbour]) -> float:
        settings = self.config.crossing
        entry, _ = path.locate(*self._entry)
        obstacles = list_obstacles([item for item in neighbours if item.key != self._other], self.half_width)
        assert self._started_at is not None
        reacts = live.step >= self._started_at + self.steps(settings.reaction_s)
        if self._over_at is None and entry > -settings.overrun and reacts:
            obstacles.append(Obstacle(max(entry, 0.0)))
        self.take_ego(live, BRAKES_FREELY)
        self.driver.drive(live.sumo, obstacles, settings.start_decel)
        return entry

    def _is_past(self, other: Neighbour) -> bool:
        """Whether it has crossed the strip that the ego needs, or drives away on it."""
        reach = self.half_width + self.config.crossing.past
        outside = other.left < -reach if self._comes_from_left else other.right > reach
        drives_on = other.going_along and other.first > 0.0 and in_corridor(other, self.half_width)
        return outside or drives_on or other.last < 0.0

    def push(self, live: LiveTraffic, top: float, accel: float) -> None:
        """Drive the other one at up to `top`, whatever signals say."""
        vehicle = live.sumo.vehicle
        vehicle.setSpeedMode(self._other, NO_CHECKS)
        leader = vehicle.getLeader(self._other, self.config.crossing.leader_gap)
        if leader is not None and leader[0]:
            top = min(top, float(vehicle.getSpeed(leader[0])))
        speed, step = vehicle.getSpeed(self._other), self.config.driver.step_s
        hardest = self.config.crossing.hardest_decel * step
        vehicle.setSpeed(self._other, max(min(top, speed + accel * step), speed - hardest, 0.0))

    def clear(self, live: LiveTraffic) -> None:
        """Give the other one back."""
        live.held.discard(self._other)
        if self._other in live.sumo.vehicle.getIDList():
            live.sumo.vehicle.setSpeed(self._other, SUMO_DRIVES)
            live.sumo.vehicle.setSpeedMode(self._other, ALL_CHECKS)


def travel_time(distance: float, accel: float, top: float) -> float:
    """Seconds for a distance from standing, speeding up to `top` first."""
    rise = top**2 / (2.0 * accel)
    if distance < rise:
        return math.sqrt(2.0 * distance / accel)
    return top / accel + (distance - rise) / top
