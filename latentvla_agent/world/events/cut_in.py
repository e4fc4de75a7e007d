"""A vehicle from the next lane cuts in right ahead of the ego and slows down."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, List, Optional

from latentvla_agent.world.events.base import ALL_CHECKS, BRAKES_FREELY, NO_CHECKS, EgoEvent
from latentvla_agent.world.events.driver import SUMO_LANE_CHANGE, Driver, Obstacle
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import Neighbour, find_leader, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic.simulation import LiveTraffic

SMALLEST_SHIFT, LARGEST_SHIFT = 2.4, 4.6  # m between the middles of two lanes side by side
SLOWING_S = 2.0
ASKED_LANE_CHANGE = 512  # only when asked, and safely


class CutIn(EgoEvent):
    """Lets the ego draw up to a vehicle of the next lane, then moves that one over and slows it."""

    kind: ClassVar[str] = "cut_in"
    _cutter = ""
    _shift = 0.0  # m to the left that the cutter has to move
    _target_speed = 0.0
    _from = 0.0  # where across its lane it was at the start
    _mover: Driver
    _merged_at: Optional[int] = None
    _over_at: Optional[int] = None
    _hold_steps = 0
    _cruise_speed = 0.0  # of the ego, meanwhile: who speeds up brakes late

    def find(self, live: LiveTraffic, path: Path) -> bool:
        """A vehicle on a lane beside the ego's, a little ahead; one further ahead is slowed until the ego is there."""
        settings, speed = self.config.cut_in, self.ego_speed(live)
        reach = self.config.place.pace_reach
        neighbours = self.neighbours(live, path, reach)
        leader = find_leader(neighbours, self.half_width)
        if leader is not None:
            self.pace(live, leader, settings.follow_gap)
        elif not self._sent:
            self.send_ahead(live, path, self.draw(settings.insert_ahead), self.draw_model())
        if speed < self.config.place.ego_speed or not self._open_road(path, speed):
            return False
        beside = self._list_beside(live, neighbours)
        if leader is not None and leader.first < settings.stage_ahead and not beside:
            self._ask_aside(live, path, leader, speed)
        if leader is not None and leader.first < settings.ahead[1] + settings.room / 2.0:
            return False
        for item in beside:
            low = settings.ahead[0] + max(0.0, speed - item.speed) * settings.move_s[0] / 2.0
            if low <= item.first <= settings.ahead[1] + low and item.speed > speed - settings.least_speed_gap:
                self._begin(live, item, speed)
                return True
        if beside and beside[0].first > settings.ahead[1]:
            live.sumo.vehicle.slowDown(beside[0].key, max(settings.stage_share * speed, 4.0), SLOWING_S)
        elif beside and beside[0].first < settings.ahead[0] and beside[0].first > -settings.stage_ahead / 3.0:
            live.sumo.vehicle.slowDown(beside[0].key, speed + 1.0, SLOWING_S)
        return False

    def _ask_aside(self, live: LiveTraffic, path: Path, leader: Neighbour, speed: float) -> None:
        """A leader on a road of several lanes is asked to take the next one: it becomes the cutter."""
        vehicle = live.sumo.vehicle
        lane = path.part_at(leader.first).lane
        if lane.startswith(":") or vehicle.getLaneID(leader.key) != lane:
            return
        edge, index = lane.rsplit("_", 1)
        for other in (int(index) + 1, int(index) - 1):
            if 0 <= other < live.sumo.edge.getLaneNumber(edge) and f"{edge}_{other}" in live.roads.lanes:
                vehicle.setLaneChangeMode(leader.key, ASKED_LANE_CHANGE)
                vehicle.changeLane(leader.key, other, SLOWING_S)
                vehicle.slowDown(leader.key, max(self.config.cut_in.stage_share * speed, 4.0), SLOWING_S)
                return

    def _open_road(self, path: Path, speed: float) -> bool:
        here = path.part_at(0.0)
        return not here.inside_junction and here.last > max(self.config.cut_in.room, 4.0 * speed)

    def _list_beside(self, live: LiveTraffic, neighbours: List[Neighbour]) -> List[Neighbour]:
        """Vehicles on the same road, one lane to the left or right, the nearest ahead first."""
        edge = live.sumo.vehicle.getRoadID(self.ego)
        found = [
            item
            for item in neighbours
            if SMALLEST_SHIFT < abs(item.middle) < LARGEST_SHIFT
            and item.going_along
            and item.last - item.first > self.config.cut_in.least_length
            and item.last < self.config.cut_in.stage_ahead
            and live.sumo.vehicle.getRoadID(item.key) == edge
        ]
        return sorted(found, key=lambda item: (item.first < 0.0, abs(item.first)))

    def _begin(self, live: LiveTraffic, item: Neighbour, speed: float) -> None:
        settings = self.config.cut_in
        self._cutter, self._shift = item.key, -item.middle
        self._hold_steps = self.steps(self.draw(settings.hold_s))
        self._cruise_speed, self._target_speed = speed, speed * self.draw(settings.slow_to)
        self._from = live.sumo.vehicle.getLateralLanePosition(item.key)
        self._mover = Driver(item.key, self.config.driver, self._from)
        self._mover.keep_lane(live.sumo, True)
        length = max(item.speed * self.draw(settings.move_s), settings.least_length_m)
        self._mover.swerve(live.sumo, self._from + self._shift, length)

    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Move the cutter over, slow it, give it back; the ego makes room."""
        settings = self.config.cut_in
        if self._cutter not in live.sumo.vehicle.getIDList():
            return False
        if self._over_at is not None and live.step >= self._over_at:
            return False
        share = (self._mover.left - self._from) / self._shift
        self._move_over(live, share)
        if share > settings.slow_share:
            self._slow_cutter(live)
        self.take_ego(live, BRAKES_FREELY)
        neighbours = self.neighbours(live, path, settings.stage_ahead)
        obstacles = list_obstacles(neighbours, self.half_width)
        if share > settings.encroach:
            obstacles += [Obstacle(item.first, item.speed) for item in neighbours if item.key == self._cutter]
        self.driver.drive(live.sumo, obstacles, cruise=self._cruise_speed)
        self.report(live, (self._cutter,))
        return True

    def _move_over(self, live: LiveTraffic, share: float) -> None:
        """Sideways inside SUMO's lane of the cutter, until it is handed over to the ego's lane at the end."""
        if self._merged_at is not None:
            return
        vehicle = live.sumo.vehicle
        self._mover.move_sideways(live.sumo)
        if share >= 1.0:
            x, y = vehicle.getPosition(self._cutter)
            edge, index = vehicle.getLaneID(self.ego).rsplit("_", 1)
            vehicle.moveToXY(self._cutter, edge, int(index), x, y, keepRoute=1)
            self._merged_at = live.step

    def _slow_cutter(self, live: LiveTraffic) -> None:
        settings, vehicle = self.config.cut_in, live.sumo.vehicle
        if self._merged_at is not None and live.step >= self._merged_at + self._hold_steps:
            if self._over_at is None:
                self.clear(live)
                self._over_at = live.step + self.steps(settings.after_s)
            return
        vehicle.setSpeedMode(self._cutter, NO_CHECKS)
        speed = vehicle.getSpeed(self._cutter)
        vehicle.setSpeed(
            self._cutter, max(self._target_speed, speed - settings.cutter_decel * self.config.driver.step_s)
        )

    def clear(self, live: LiveTraffic) -> None:
        """Give the cutter back."""
        if self._cutter in live.sumo.vehicle.getIDList():
            live.sumo.vehicle.setSpeed(self._cutter, -1.0)
            live.sumo.vehicle.setSpeedMode(self._cutter, ALL_CHECKS)
            live.sumo.vehicle.setLaneChangeMode(self._cutter, SUMO_LANE_CHANGE)
