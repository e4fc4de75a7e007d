"""The two ways to be in the ego's way at a junction: running a red light, standing in the middle of it."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Optional

from latentvla_agent.world.events.crossing import CrossingEvent, travel_time
from latentvla_agent.world.events.surroundings import Conflict, Neighbour

if TYPE_CHECKING:
    from latentvla_agent.world.roads.lanes import RoadConnector
    from latentvla_agent.world.traffic.simulation import LiveTraffic


class RedLightRunner(CrossingEvent):
    """Runs its red light right before the ego."""

    kind: ClassVar[str] = "red_light_runner"

    def suits(self, connector: RoadConnector) -> bool:
        """Only where there are traffic lights."""
        return connector.signal is not None

    def top_speed(self) -> float:
        """As fast as it can."""
        return self.config.crossing.runner_speed

    def times_fit(self, conflict: Conflict, ego_speed: float) -> bool:
        """It would be in the middle of the ego's way when the ego comes."""
        settings = self.config.crossing
        ego_s = conflict.ego_first / ego_speed
        other_s = travel_time(conflict.other_first, settings.accel, self.top_speed())
        in_time = settings.ego_eta_s[0] <= ego_s <= settings.ego_eta_s[1]
        return in_time and settings.ahead_s[0] <= ego_s - other_s <= settings.ahead_s[1]

    def drive_other(self, live: LiveTraffic, other: Neighbour) -> None:
        """As fast as it can."""
        self.push(live, self.config.crossing.runner_speed, self.config.crossing.accel)


class BlockedIntersection(CrossingEvent):
    """Drives into the junction and stands there, across the ego's way, until the ego has waited a while."""

    kind: ClassVar[str] = "blocked_intersection"
    _run = 0.0  # m that it has to drive
    _came_from = 0.0  # its odometer at the start
    _stands_until: Optional[int] = None

    def suits(self, connector: RoadConnector) -> bool:
        """Any junction will do."""
        return True

    def top_speed(self) -> float:
        """Not so fast."""
        return self.config.crossing.blocker_speed

    def times_fit(self, conflict: Conflict, ego_speed: float) -> bool:
        """It stands when the ego would be there."""
        settings = self.config.crossing
        ego_s = conflict.ego_first / ego_speed
        self._run = conflict.other_first + settings.stand_share * (conflict.other_last - conflict.other_first)
        in_s = travel_time(conflict.other_first, settings.accel, self.top_speed())
        low, high = settings.blocker_eta_s
        return low <= ego_s <= high and in_s < ego_s

    def drive_other(self, live: LiveTraffic, other: Neighbour) -> None:
        """In, stop, wait for the ego to have waited, out."""
        settings, vehicle = self.config.crossing, live.sumo.vehicle
        driven = vehicle.getDistance(self._other)
        if self._came_from == 0.0:
            self._came_from = max(driven, 1e-6)
        left = max(self._run - (driven - self._came_from), 0.0)
        if self._stands_until is not None and live.step >= self._stands_until:
            self.push(live, settings.blocker_speed, settings.accel)
            return
        if self._stands_until is None and self.ego_speed(live) < settings.calm_speed:
            self._stands_until = live.step + self.steps(self.draw(settings.hold_s))
        top = min(settings.blocker_speed, math.sqrt(2.0 * settings.blocker_decel * left))
        self.push(live, top, settings.accel)
