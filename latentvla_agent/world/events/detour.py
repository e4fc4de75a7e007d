"""A stalled vehicle or road works on the ego's lane: the ego slows down and swings out, or waits until it can."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, List, Optional, Sequence, Tuple

import numpy as np

from latentvla_agent.world.events.base import ALL_CHECKS, NO_CHECKS, OWN_SAFETY, EgoEvent
from latentvla_agent.world.events.driver import NO_LANE_CHANGE, SUMO_DRIVES, SUMO_LANE_CHANGE, Obstacle
from latentvla_agent.world.events.kerbs import find_kerb
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import Neighbour, find_leader, heading_of, in_corridor, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic.simulation import LiveTraffic

ENTRY_STEPS = 10  # a vehicle that SUMO has not let in by then is not coming


class StalledVehicle(EgoEvent):
    """Sends a vehicle out of sight that stands still, partly on the lane. SUMO's drivers see it, too."""

    kind: ClassVar[str] = "stalled_vehicle"
    _stalled = ""
    _sent_at = 0
    _overlap = 0.0
    _front = (0.0, 0.0)  # of the standing vehicle
    _left_edge: Optional[float] = None  # of what stands there, left of the lane's middle; None until it stands
    _length = 0.0  # of what stands there, cones included
    _seen_at: Optional[int] = None
    _passing = False
    _things: Sequence[str] = ()  # props that belong to it

    # Setting the stage
    def find(self, live: LiveTraffic, path: Path) -> bool:
        """A stretch of open road out of sight where the ego will be on the rightmost lane."""
        settings, place = self.config.detour, self.config.place
        if self.ego_speed(live) < place.ego_speed:
            return False
        for _, first, last in path.open_road(settings.room_behind + self.extent(), settings.room_ahead):
            first = max(first, place.sight + self.extent())
            if last <= first or not self._has_room_beside(live, path, first):
                continue
            along = self.draw((first, last))
            if not self.is_clear_of_props(live, *path.point_at(along)[:2]):
                continue
            if self._is_met_before(live, path, along):
                return False
            self._stalled = self.send_ahead(live, path, along, self.choose_model()) or ""
            if self._stalled:
                live.hidden.add(self._stalled)
                self._sent_at, self._overlap = live.step, self.draw(settings.kerb_overlap)
                return True
        return False

    def _is_met_before(self, live: LiveTraffic, path: Path, along: float) -> bool:
        """Whether somebody ahead of the ego means to drive there, too, and would have to queue."""
        vehicle, edge = live.sumo.vehicle, live.sumo.lane.getEdgeID(path.part_at(along).lane)
        ahead = [item for item in self.neighbours(live, path, along) if item.first > 0.0 and item.going_along]
        ahead = [item for item in ahead if in_corridor(item, self.half_width)]
        return any(edge in vehicle.getRoute(item.key)[vehicle.getRouteIndex(item.key) :] for item in ahead)

    def _has_room_beside(self, live: LiveTraffic, path: Path, along: float) -> bool:
        """Whether the roadway is wide enough to pass there."""
        settings, kerb = self.config.detour, find_kerb(live, path, along)
        if kerb is None or kerb.left is None:
            return False
        widest = max(kind.width for kind in live.config.kinds if kind.model in self.config.place.models)
        left_edge = widest - kerb.right - settings.kerb_overlap[0] + self.outside()
        return left_edge + settings.pass_gap + self.config.place.ego_width + settings.side_clear <= kerb.left

    def outside(self) -> float:
        """Metres that what stands there reaches further to the left than the vehicle."""
        return 0.0

    def choose_model(self) -> str:
        """The look of what stands there."""
        return self.draw_model()

    def extent(self) -> float:
        """Metres of lane that is taken behind the vehicle."""
        return 0.0

    def _settle(self, live: LiveTraffic, path: Path) -> bool:
        """The vehicle has entered: keep it there, at the side of the lane. False if it doesn't enter."""
        vehicle = live.sumo.vehicle
        if self._stalled not in vehicle.getIDList():
            if live.step < self._sent_at + ENTRY_STEPS:
                return True
            self._stalled = ""
            return False
        vehicle.setSpeedMode(self._stalled, NO_CHECKS)
        vehicle.setSpeed(self._stalled, 0.0)
        vehicle.setLaneChangeMode(self._stalled, NO_LANE_CHANGE)
        lane_width = live.sumo.lane.getWidth(vehicle.getLaneID(self._stalled))
        left = self._overlap + (lane_width - vehicle.getWidth(self._stalled)) / 2.0
        vehicle.setLateralLanePosition(self._stalled, -left)
        self._left_edge = vehicle.getWidth(self._stalled) / 2.0 - left
        self._length = vehicle.getLength(self._stalled)
        self._front = _move_left(vehicle.getPosition(self._stalled), heading_of(live.sumo, self._stalled), -left)
        live.hidden.discard(self._stalled)  # from now on it stands where it stays
        return True

    def actors(self) -> List[str]:
        """Keys of all that stands there."""
        return [self._stalled, *self._things]

    # The event
    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Wait for the ego, then bring it past."""
        if self._left_edge is None:
            return self._settle(live, path)
        settings, speed = self.config.detour, self.ego_speed(live)
        if (
            live.step > self._sent_at + self.steps(settings.longest_s)
            or self._stalled not in live.sumo.vehicle.getIDList()
        ):
            return False
        front, left = path.locate(*self._front)
        gap = front - self._length
        if abs(left) > self.config.place.ego_width and front > 0.0 or self._is_over(live, front):
            return False
        if gap > settings.watch_gap:
            return not self._is_taken(live, path, gap)
        if self._seen_at is None and (gap < settings.on_s * speed or self.driver.braking):
            self._seen_at = live.step
        return self._bring_past(live, path, gap, front)

    def _is_over(self, live: LiveTraffic, front: float) -> bool:
        """The ego is past and on another lane.

        SUMO keeps vehicles of a lane in order of entry: to its drivers the obstacle would still be ahead of the ego.
        """
        lanes = {live.sumo.vehicle.getLaneID(key) for key in (self.ego, self._stalled)}
        return front <= -self.config.detour.restart_gap and len(lanes) > 1

    def _is_taken(self, live: LiveTraffic, path: Path, gap: float) -> bool:
        """Whether somebody else is stuck behind the obstacle: the ego would only queue."""
        leader = find_leader(self.neighbours(live, path, gap), self.half_width)
        return leader is not None and leader.first < gap and leader.speed < self.config.detour.stuck_speed

    def _bring_past(self, live: LiveTraffic, path: Path, gap: float, front: float) -> bool:
        settings = self.config.detour
        assert self._left_edge is not None
        speed = max(self.ego_speed(live), 1.0)
        neighbours = [item for item in self.neighbours(live, path, settings.attention) if item.key != self._stalled]
        offset = self._left_edge + settings.pass_gap + self.half_width
        start = gap - settings.swing_length - settings.swing_margin  # where the ego has to start swinging out
        if (
            not self._passing
            and start < settings.swing_start_s * speed
            and self._is_free(live, neighbours, front, offset)
        ):
            self._passing = True
            self.driver.swerve(live.sumo, offset, max(gap - settings.swing_margin, settings.swing_length / 2.0))
        if self._passing and front < -self.config.place.ego_length:
            self.driver.swerve(live.sumo, 0.0, settings.swing_length)
        self.take_ego(live, OWN_SAFETY)
        obstacles = self._list_others(neighbours, gap) + self._for_obstacle(live, start, front)
        obstacles += self._for_junction(live, path)
        self.driver.drive(live.sumo, obstacles, settings.start_decel, self._cruise_speed(live, front))
        if self._seen_at is None:
            return True
        if front > 0.0 or not self.happened:
            self.report(live, self.actors())
        return self._passing or live.step < self._seen_at + self.steps(settings.patience_s)

    def _cruise_speed(self, live: LiveTraffic, front: float) -> float:
        """SUMO's drivers stop for what stands on their lane, so until the ego is past it is driven here."""
        allowed = float(live.sumo.vehicle.getAllowedSpeed(self.ego))
        beside = self._passing and front > -self.config.place.ego_length
        return min(self.config.detour.pass_speed, allowed) if beside else allowed

    def _list_others(self, neighbours: List[Neighbour], gap: float) -> List[Obstacle]:
        """Whoever is ahead on the strip that the ego drives on: its lane, and while passing what lies left of it."""
        half = self.half_width + self.config.detour.side_clear
        ahead = [item for item in neighbours if item.first > 0.0]
        if not self._passing:
            return list_obstacles(ahead, half)
        reached = max(self.driver.left, 0.0)
        wide = list_obstacles(ahead, half + reached / 2.0, reached / 2.0)
        return wide

    def _for_obstacle(self, live: LiveTraffic, start: float, front: float) -> List[Obstacle]:
        """Slow down to pass, stop if the way round is not free."""
        settings, standstill = self.config.detour, self.config.driver.standstill_gap
        if not self._passing:
            return [Obstacle(start + settings.swing_room + standstill)]
        if front > 0.0 and self.ego_speed(live) > settings.pass_speed:
            return [Obstacle(max(start, 0.0) + standstill, settings.pass_speed, settings.decel)]
        return []

    def _for_junction(self, live: LiveTraffic, path: Path) -> List[Obstacle]:
        """Stop before a junction that is not open, else enter it no faster than it allows."""
        links, crossing = live.sumo.vehicle.getNextLinks(self.ego), path.next_crossing()
        if not links or crossing is None:
            return []
        standstill = self.config.driver.standstill_gap
        if not links[0][2]:
            return [Obstacle(crossing[0] + standstill - self.config.detour.line_gap)]
        allowed = float(live.sumo.lane.getMaxSpeed(links[0][4] or links[0][0]))
        return [Obstacle(crossing[0] + standstill, allowed, self.config.detour.decel)]

    def _is_free(self, live: LiveTraffic, neighbours: List[Neighbour], front: float, offset: float) -> bool:
        """Whether nobody needs the strip beside the obstacle until the ego is past it."""
        settings = self.config.detour
        half = self.half_width + settings.side_clear
        needed = front + self.config.place.ego_length + settings.over_gap
        time = needed / max(self.ego_speed(live), settings.pass_speed) + settings.time_margin_s
        for item in neighbours:
            if not in_corridor(item, half, offset):
                continue
            if item.oncoming:
                if item.last > 0.0 and item.first - time * max(item.speed, settings.others_speed) < needed:
                    return False
            elif item.middle > self.half_width and -settings.behind_clear < item.last and item.first < needed:
                return False  # on the next lane of the same direction, beside the ego or coming up
            elif item.last > 0.0 and item.first < needed:
                return False  # between the ego and the obstacle, or right behind that
        return True

    def restart(self, live: LiveTraffic) -> None:
        """The obstacle drives off."""
        vehicle = live.sumo.vehicle
        if self._stalled in vehicle.getIDList():
            vehicle.setSpeedMode(self._stalled, ALL_CHECKS)
            vehicle.setSpeed(self._stalled, SUMO_DRIVES)
            vehicle.setLaneChangeMode(self._stalled, SUMO_LANE_CHANGE)

    def clear(self, live: LiveTraffic) -> None:
        """A stalled vehicle drives off when the ego is past."""
        self.restart(live)


def _move_left(place: Tuple[float, float], heading: float, left: float) -> Tuple[float, float]:
    return place[0] - left * math.sin(heading), place[1] + left * math.cos(heading)


class Cones(StalledVehicle):
    """The same with a works van and a row of cones that narrows the lane before it; they stay."""

    kind: ClassVar[str] = "cones"

    def choose_model(self) -> str:
        """The works van."""
        return self.config.detour.works_model

    def outside(self) -> float:
        """The last cone."""
        return self.config.detour.cone_outside

    def extent(self) -> float:
        """The row of cones."""
        return self.config.detour.cones * self.config.detour.cone_gap

    def _settle(self, live: LiveTraffic, path: Path) -> bool:
        settings = self.config.detour
        came = super()._settle(live, path)
        if not came or self._left_edge is None:
            return came
        front, _ = path.locate(*self._front)
        lane_half = live.sumo.lane.getWidth(path.part_at(front).lane) / 2.0
        lateral = np.linspace(
            -lane_half, self._left_edge + settings.cone_outside - settings.cone_size[1], settings.cones
        )
        rear, cones = front - self._length, []
        for number, left in enumerate(lateral.tolist()):
            along = rear - (settings.cones - number - 0.5) * settings.cone_gap
            x, y, heading = path.point_at(along, left)
            cones.append(self.put_prop(live, "traffic_cone", ("cone", *settings.cone_size), (x, y, heading, 0.0)))
        self._things, self._leftovers = cones, [*self._leftovers, self._stalled]
        self._left_edge += settings.cone_outside
        live.sumo.vehicle.setLength(self._stalled, self._length + self.extent())  # queues end before the cones
        self._length += self.extent() - settings.cone_gap  # the first cone is beside the ego's way
        return True

    def restart(self, live: LiveTraffic) -> None:
        """Road works stay where they are."""
