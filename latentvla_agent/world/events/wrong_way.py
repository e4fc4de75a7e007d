"""An oncoming vehicle comes on the ego's side of the road."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, List

import shapely

from latentvla_agent.world.events.base import ALL_CHECKS, BRAKES_FREELY, NO_CHECKS, EgoEvent
from latentvla_agent.world.events.driver import Driver, Obstacle
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import Neighbour, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic.simulation import LiveTraffic


class WrongWayVehicle(EgoEvent):
    """An oncoming vehicle moves over to the ego's lane and back in the last moment; the ego brakes.

    For SUMO it stays on its own lane, only pushed aside.
    """

    kind: ClassVar[str] = "wrong_way_vehicle"
    _other = ""
    _mover: Driver
    _shift = 0.0
    _start_left = 0.0
    _speed = 0.0
    _started_at = 0
    _returning = False

    def find(self, live: LiveTraffic, path: Path) -> bool:
        """An oncoming vehicle at the right distance with nobody else between the two, on open road."""
        settings = self.config.wrong_way
        here = path.part_at(0.0)
        if self.ego_speed(live) < self.config.place.ego_speed or here.inside_junction:
            return False
        neighbours = self.neighbours(live, path, settings.gap[1] + settings.clear)
        oncoming = [
            item for item in neighbours if item.oncoming and settings.shift[0] < item.middle < settings.shift[1]
        ]
        oncoming = [
            item for item in oncoming if item.first > 0.0 and item.last - item.first > self.config.cut_in.least_length
        ]
        if not oncoming:
            self._send_oncoming(live, path)
            return False
        other = min(oncoming, key=lambda item: item.first)
        least = max(settings.gap[0], self._needed_gap(self.ego_speed(live), settings.speed[1]))
        if not least <= other.first <= settings.gap[1] or other.last + other.speed > here.last:
            return False
        if other.speed < settings.near_speed or not self._is_alone(neighbours, other):
            return False
        self._begin(live, other)
        return True

    def _send_oncoming(self, live: LiveTraffic, path: Path) -> None:
        """Somebody on the opposite lane at the other end of the ego's road, out of sight."""
        settings, here = self.config.wrong_way, path.part_at(0.0)
        edge, index = here.lane.rsplit("_", 1)
        opposite = edge[1:] if edge.startswith("-") else f"-{edge}"
        lanes = [lane for lane in live.roads.lanes.values() if lane.edge == opposite]
        along = min(self.draw(settings.stage), here.last - settings.end_clear)
        if len(self._sent) >= settings.most_sent or not lanes or along < settings.stage[0]:
            return
        lane = min(lanes, key=lambda item: item.index).key
        x, y, _ = path.point_at(along)
        shape = shapely.LineString(live.sumo.lane.getShape(lane))
        place = shape.project(shapely.Point(x, y)) * live.sumo.lane.getLength(lane) / shape.length
        route = self.onward(live, opposite, self.config.place.route_edges)
        self.send_vehicle(live, lane, place, route, self.draw_model(), settings.sent_speed)

    def _needed_gap(self, speed: float, other_speed: float) -> float:
        """So far apart that the ego can stop comfortably before the other one has to turn back."""
        settings = self.config.wrong_way
        brake_s = speed / settings.ego_decel
        driven = speed * (settings.notice_s + brake_s / 2.0)
        return settings.back_gap + driven + settings.slowing_share * other_speed * (settings.notice_s + brake_s)

    def _is_alone(self, neighbours: List[Neighbour], other: Neighbour) -> bool:
        right, left = -self.half_width - self.config.wrong_way.beside, self.config.wrong_way.shift[1]
        low, high = -self.config.place.ego_length, other.last
        between = [item for item in neighbours if item.last > low and item.first < high and item.key != other.key]
        behind_ego_side = [item for item in neighbours if item.first > 0.0 and abs(item.middle) < self.half_width]
        return not any(right < item.middle < left for item in between) and not any(
            item.first < high + self.config.wrong_way.clear and item.going_along for item in behind_ego_side
        )

    def _begin(self, live: LiveTraffic, other: Neighbour) -> None:
        settings = self.config.wrong_way
        self._other, self._started_at = other.key, live.step
        self._speed, self._shift = self.draw(settings.speed), other.middle
        self._mover = Driver(other.key, self.config.driver, live.sumo.vehicle.getLateralLanePosition(other.key))
        self._start_left = self._mover.left
        self._mover.keep_lane(live.sumo, True)
        # The other one's left is the ego's right.
        self._mover.swerve(live.sumo, self._start_left + self._shift, settings.move_length)

    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Steer the oncoming vehicle; the ego brakes for it while it is on its side."""
        settings = self.config.wrong_way
        if self._other not in live.sumo.vehicle.getIDList():
            return False
        neighbours = self.neighbours(live, path, settings.gap[1] + settings.clear)
        other = next((item for item in neighbours if item.key == self._other), None)
        if other is None or other.last < 0.0 or live.step > self._started_at + self.steps(settings.longest_s):
            return False
        self._steer(live, other)
        obstacles = list_obstacles([item for item in neighbours if item.key != self._other], self.half_width)
        share = (self._mover.left - self._start_left) / self._shift
        if share > settings.seen_share:
            # It keeps coming: the ego wants to stand before the place where the other has to turn back.
            stop = (
                (other.first - settings.back_gap) * self.ego_speed(live) / max(self.ego_speed(live) + other.speed, 1.0)
            )
            obstacles.append(Obstacle(max(stop, 0.0) + settings.ego_stop_gap))
        self.take_ego(live, BRAKES_FREELY)
        self.driver.drive(live.sumo, obstacles)
        if share > settings.seen_share or self._returning:
            self.report(live, (self._other,))
        return True

    def _steer(self, live: LiveTraffic, other: Neighbour) -> None:
        """Over, slower and slower, and back."""
        settings, vehicle, step = self.config.wrong_way, live.sumo.vehicle, self.config.driver.step_s
        if not self._returning and other.first < settings.back_gap + self.ego_speed(live) * 0.5:
            self._returning = True
            self._mover.swerve(live.sumo, self._start_left, settings.back_length)
        run = max(other.first - settings.back_gap, 0.0) / 2.0
        wanted = min(self._speed, (settings.near_speed**2 + 2.0 * settings.decel * run) ** 0.5)
        speed = vehicle.getSpeed(self._other)
        speed = min(max(wanted, speed - settings.decel * step), speed + settings.decel * step)
        vehicle.setSpeedMode(self._other, NO_CHECKS)
        vehicle.setSpeed(self._other, speed)
        self._mover.move_sideways(live.sumo)

    def clear(self, live: LiveTraffic) -> None:
        """Give the other vehicle back; it ends its swerve at once if it is not yet over."""
        if self._other in live.sumo.vehicle.getIDList():
            live.sumo.vehicle.setSpeed(self._other, -1.0)
            live.sumo.vehicle.setSpeedMode(self._other, ALL_CHECKS)
            self._mover.keep_lane(live.sumo, False)
