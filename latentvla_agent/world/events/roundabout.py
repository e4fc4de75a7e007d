"""A dense roundabout: the ego comes to its entry when circulating vehicles take their right of way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, List, Optional, Tuple

from latentvla_agent.world.events.base import ALL_CHECKS, BRAKES_FREELY, EgoEvent
from latentvla_agent.world.events.driver import NO_LANE_CHANGE, SUMO_DRIVES, SUMO_LANE_CHANGE, Obstacle
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import Conflict, Neighbour, find_conflict, find_leader, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic.simulation import LiveTraffic


BEYOND_M = 0.5  # behind a junction's end, to be on the lane there


class RoundaboutEntry(EgoEvent):
    """Times circulating vehicles so that they pass the entry when the ego arrives; the ego gives way."""

    kind: ClassVar[str] = "roundabout_entry"
    _circulating: Tuple[str, ...] = ()
    _sent_at = 0
    _started_at: Optional[int] = None
    _entry: Tuple[float, float] = (0.0, 0.0)

    def find(self, live: LiveTraffic, path: Path) -> bool:
        """A roundabout ahead, out of sight: vehicles are sent into its ring."""
        low, high = self.config.roundabout.stage
        for first, last in path.crossings():
            if low <= first <= high and last < path.length:
                ring = self._find_ring(live, live.sumo.lane.getEdgeID(path.part_at(last + BEYOND_M).lane))
                if ring:
                    before = len(self._sent)
                    self._fill(live, ring)
                    self._entry, self._sent_at = path.point_at(first)[:2], live.step
                    return len(self._sent) > before
        return False

    def _find_ring(self, live: LiveTraffic, edge: str) -> List[str]:
        """Edges of a short way from the end of the edge back to its beginning, itself first; empty if there is none."""
        settings, lanes = self.config.roundabout, live.roads.lanes
        queue: List[Tuple[List[str], str, float]] = [
            ([edge], lane.key, 0.0) for lane in lanes.values() if lane.edge == edge
        ]
        while queue:
            edges, lane, length = queue.pop()
            length += live.sumo.lane.getLength(lane)
            if length > settings.circle or len(edges) > settings.circle_edges:
                continue
            for way in live.sumo.lane.getLinks(lane):
                following = live.sumo.lane.getEdgeID(way[0])
                if following == edge:
                    return edges
                if following not in edges:
                    queue.append(([*edges, following], way[0], length))
        return []

    def _fill(self, live: LiveTraffic, ring: List[str]) -> None:
        """Vehicles on the edges of the ring, each to drive once round before it leaves."""
        settings = self.config.roundabout
        for number in range(min(settings.sent, len(ring))):
            start = (len(ring) - 1 - number) % len(ring)
            round_trip = [*ring[start:], *ring[:start]] * settings.rounds + [ring[start]]
            lanes = sorted(lane.key for lane in live.roads.lanes.values() if lane.edge == ring[start])
            route = [*round_trip, *self.onward(live, ring[start], self.config.place.route_edges)[1:]]
            place = live.sumo.lane.getLength(lanes[0]) / 2.0
            self.send_vehicle(live, lanes[0], place, route, self.draw_model())

    def _keep_outside(self, live: LiveTraffic) -> None:
        """The vehicles sent stay on the outer lane, which the ego enters."""
        present = set(live.sumo.vehicle.getIDList())
        for key in self._sent:
            if key in present:
                live.sumo.vehicle.setLaneChangeMode(key, NO_LANE_CHANGE)

    def _arrange(self, live: LiveTraffic, path: Path, neighbours: List[Neighbour], entry: float) -> None:
        """Who can best meet the ego at the entry drives at the speed that it takes."""
        settings, vehicle = self.config.roundabout, live.sumo.vehicle
        if not 0.0 < entry < settings.search or live.step % self.config.place.search_every:
            return
        speed = min(max(self.ego_speed(live), settings.ego_speed), settings.approach_speed)
        fits = []
        for item in (item for item in neighbours if item.key in self._sent):
            conflict = self._conflict(live, path, item)
            vehicle.setSpeed(item.key, SUMO_DRIVES)
            if conflict is not None:
                wanted = conflict.other_first / (max(conflict.ego_first, 0.0) / speed + settings.arranged_s)
                if settings.speed[0] <= wanted <= settings.speed[1]:
                    fits.append((abs(wanted - item.speed), item.key, wanted))
        if fits:
            vehicle.setSpeed(*min(fits)[1:])

    def _try_start(self, live: LiveTraffic, path: Path, neighbours: List[Neighbour], entry: float) -> None:
        """The ego is the first before the entry and somebody in the ring will be there at about the same time."""
        settings, speed = self.config.roundabout, self.ego_speed(live)
        if speed < settings.ego_speed or not settings.ego_eta_s[0] <= entry / speed <= settings.ego_eta_s[1]:
            return
        if find_leader([item for item in neighbours if item.first < entry], self.half_width) is not None:
            return
        meeting = tuple(item.key for item in neighbours if self._meets(live, path, item, speed))
        if meeting:
            self._circulating, self._started_at = meeting, live.step

    def _meets(self, live: LiveTraffic, path: Path, item: Neighbour, speed: float) -> bool:
        conflict = self._conflict(live, path, item)
        if conflict is None or conflict.other_first < self.config.roundabout.past:
            return False
        later = self._arrival(conflict, item.speed) - max(conflict.ego_first, 0.0) / speed
        low, high = self.config.roundabout.meeting_s
        return low <= later <= high

    def _arrival(self, conflict: Conflict, speed: float) -> float:
        low, high = self.config.roundabout.speed
        return conflict.other_first / min(max(speed, low), high)

    def _conflict(self, live: LiveTraffic, path: Path, item: Neighbour) -> Optional[Conflict]:
        """Where the vehicle's way comes together with the ego's at the entry; None for who doesn't pass there."""
        settings, vehicle = self.config.roundabout, live.sumo.vehicle
        crossing = path.next_crossing()
        way = self.look_ahead(live, item.key)
        if way is None or crossing is None or vehicle.getRoadID(item.key) == vehicle.getRoadID(self.ego):
            return None
        if item.key not in self._sent and not self._find_ring(live, live.sumo.lane.getEdgeID(way.part_at(0.0).lane)):
            return None
        width = self.half_width + vehicle.getWidth(item.key) / 2.0
        return find_conflict(path.until(crossing[1] + BEYOND_M), way.until(settings.upstream), width)

    def play(self, live: LiveTraffic, path: Path) -> bool:
        """The ego waits at the entry until those whom it met are past."""
        settings = self.config.roundabout
        entry, left = path.locate(*self._entry)
        neighbours = self.neighbours(live, path, settings.search + settings.upstream)
        if self._started_at is None:
            self._keep_outside(live)
            self._arrange(live, path, neighbours, entry)
            self._try_start(live, path, neighbours, entry)
            waiting = live.step < self._sent_at + self.steps(settings.give_up_s)
            return self._started_at is not None or waiting and entry > 0.0 and abs(left) < self.half_width
        if live.step > self._started_at + self.steps(settings.longest_s) or entry <= 0.0:
            return False
        waits = [item for item in neighbours if item.key in self._circulating and self._still_comes(live, path, item)]
        ahead = [item for item in neighbours if item.going_along and item.first < entry]
        obstacles = list_obstacles(ahead, self.half_width)
        if waits:
            obstacles.append(Obstacle(entry - settings.stop_gap + self.config.driver.standstill_gap))
            self._time(live, waits)
        self.take_ego(live, BRAKES_FREELY)
        self.driver.drive(live.sumo, obstacles)
        if self.happened or self.driver.braking or entry < settings.on_s * self.ego_speed(live):
            self.report(live, self._circulating)
        return bool(waits)

    def _still_comes(self, live: LiveTraffic, path: Path, item: Neighbour) -> bool:
        conflict = self._conflict(live, path, item)
        return conflict is not None and conflict.other_last + live.sumo.vehicle.getLength(item.key) > 0.0

    def _time(self, live: LiveTraffic, waits: List[Neighbour]) -> None:
        """The first of them keeps a speed at which it does not come too early."""
        vehicle, settings = live.sumo.vehicle, self.config.roundabout
        first = waits[0]
        speed = max(first.speed, settings.speed[0])
        vehicle.setSpeed(first.key, min(speed, settings.speed[1]))

    def clear(self, live: LiveTraffic) -> None:
        """Give the circulating vehicles back."""
        present = set(live.sumo.vehicle.getIDList())
        for key in dict.fromkeys([*self._circulating, *self._sent]):
            if key in present:
                live.sumo.vehicle.setLaneChangeMode(key, SUMO_LANE_CHANGE)
                live.sumo.vehicle.setSpeed(key, SUMO_DRIVES)
                live.sumo.vehicle.setSpeedMode(key, ALL_CHECKS)
