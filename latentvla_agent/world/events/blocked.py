"""A vehicle of the crossing road stands in the junction, across the ego's way."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, List, Optional

from latentvla_agent.world.events.base import ALL_CHECKS, BRAKES_FREELY, NO_CHECKS, EgoEvent
from latentvla_agent.world.events.driver import Obstacle
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import Neighbour, find_conflict, in_corridor, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic import LiveTraffic


class BlockedIntersection(EgoEvent):
    """Stops a vehicle that is crossing the ego's way inside the junction; those behind it queue up."""

    kind: ClassVar[str] = "blocked_intersection"
    _blocker = ""
    _started_at = 0
    _decel = 0.0
    _seen_at: Optional[int] = None
    _hold_until: Optional[int] = None
    _released_at: Optional[int] = None

    def find(self, live: LiveTraffic, path: Path) -> bool:
        """Somebody is about to cross the ego's way in the junction ahead and can stop on it."""
        settings, speed = self.config.blocked, self.ego_speed(live)
        junction = path.next_junction()
        if speed < self.config.place.ego_speed or junction is None or junction.first > settings.search:
            return False
        neighbours = self.neighbours(live, path, settings.search)
        if list_obstacles([item for item in neighbours if item.first < junction.last], self.half_width):
            return False
        for item in neighbours:
            decel = self._stopping_decel(live, path, item, speed)
            if decel is not None:
                self._blocker, self._decel, self._started_at = item.key, decel, live.step
                return True
        return False

    def _stopping_decel(self, live: LiveTraffic, path: Path, item: Neighbour, speed: float) -> Optional[float]:
        """The deceleration with which it stops in the middle of the ego's way; None if it can't, or the ego couldn't."""
        settings, driver, vehicle = self.config.blocked, self.config.driver, live.sumo.vehicle
        if item.going_along or item.speed < 1.0 or vehicle.getLength(item.key) < self.config.cut_in.least_length:
            return None
        way = self.look_ahead(live, item.key)
        if way is None or not any(part.inside_junction for part in way.until(settings.reach).parts):
            return None
        conflict = find_conflict(path.until(settings.search), way.until(settings.reach), self.half_width + settings.clear)
        if conflict is None or way.part_at(conflict.other_first).inside_junction is False:
            return None
        run = conflict.other_first + settings.stand_share * (
            conflict.other_last - conflict.other_first + vehicle.getLength(item.key)
        )
        decel = item.speed**2 / (2.0 * max(run, 0.5))
        eta, stop = conflict.ego_first / speed, conflict.ego_first - vehicle.getWidth(item.key) - driver.standstill_gap
        ego_can = stop - speed * driver.start_decel / driver.jerk > speed**2 / (2.0 * settings.ego_decel)
        in_time = settings.ego_eta_s[0] <= eta <= settings.ego_eta_s[1] and item.speed / decel < eta
        return decel if settings.decel[0] <= decel <= settings.decel[1] and in_time and ego_can else None

    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Stop the blocker, keep it until the ego has waited a while, let it go."""
        settings = self.config.blocked
        if self._blocker not in live.sumo.vehicle.getIDList():
            return False
        if self._released_at is None:
            self._hold(live)
        neighbours = self.neighbours(live, path, settings.search)
        others = [item for item in neighbours if item.key != self._blocker]
        obstacles = list_obstacles(others, self.half_width)
        obstacles += self._obstacle_of(neighbours)
        self.take_ego(live, BRAKES_FREELY)
        self.driver.drive(live.sumo, obstacles)
        self.report(live, [self._blocker])
        return self._released_at is None or live.step < self._released_at + self.steps(settings.over_s) or self.driver.braking

    def _obstacle_of(self, neighbours: List[Neighbour]) -> List[Obstacle]:
        """The blocker, as long as it is or comes on the ego's way."""
        for item in neighbours:
            if item.key == self._blocker and item.last > 0.0:
                if self._released_at is None or in_corridor(item, self.half_width + self.config.blocked.clear):
                    return [Obstacle(item.first)]
        return []

    def _hold(self, live: LiveTraffic) -> None:
        settings, vehicle = self.config.blocked, live.sumo.vehicle
        vehicle.setSpeedMode(self._blocker, NO_CHECKS)
        speed = vehicle.getSpeed(self._blocker) - self._decel * self.config.driver.step_s
        vehicle.setSpeed(self._blocker, max(speed, 0.0))
        if self._hold_until is None and self.ego_speed(live) < settings.calm_speed:
            self._hold_until = live.step + self.steps(self.draw(settings.hold_s))
        patience = self._started_at + self.steps(settings.longest_s)
        if live.step >= min(patience, self._hold_until or patience):
            self.clear(live)
            self._released_at = live.step

    def clear(self, live: LiveTraffic) -> None:
        """Give the blocker back."""
        if self._blocker in live.sumo.vehicle.getIDList():
            live.sumo.vehicle.setSpeed(self._blocker, -1.0)
            live.sumo.vehicle.setSpeedMode(self._blocker, ALL_CHECKS)
