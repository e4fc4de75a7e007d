"""A vehicle of the crossing road runs its red light when the ego comes with green."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, List, Optional, Tuple

from latentvla_agent.world.events.base import ALL_CHECKS, BRAKES_FREELY, RUNS_RED, EgoEvent
from latentvla_agent.world.events.driver import Obstacle
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import Conflict, Neighbour, find_conflict, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic import LiveTraffic


class RedLightRunner(EgoEvent):
    """Picks the first vehicle at a red light whose way crosses the ego's, and sends it so that they would meet."""

    kind: ClassVar[str] = "red_light_runner"
    _runner = ""
    _started_at = 0
    _conflict: Tuple[float, float] = (0.0, 0.0)  # where the runner's way enters the ego's
    _cleared = False

    def find(self, live: LiveTraffic, path: Path) -> bool:
        """The ego has green at a junction ahead, somebody waits or comes with red, and the times fit."""
        settings, speed = self.config.crossing, self.ego_speed(live)
        lights = live.sumo.vehicle.getNextTLS(self.ego)
        if speed < self.config.place.ego_speed or not lights or lights[0][3] not in "Gg":
            return False
        light, distance = lights[0][0], lights[0][2]
        if distance > settings.search or distance < speed * settings.ego_eta_s[0] / 2.0:
            return False
        neighbours = self.neighbours(live, path, settings.search)
        if list_obstacles([item for item in neighbours if item.first < distance + settings.calm_radius / 2.0], self.half_width):
            return False  # somebody else would be hit
        for item in neighbours:
            conflict = self._meeting(live, path, item, light, speed)
            if conflict is not None and self._is_calm(live, path, neighbours, item.key, conflict):
                self._runner, self._started_at = item.key, live.step
                self._conflict = path.point_at(conflict.ego_first)[:2]
                return True
        return False

    def _meeting(self, live: LiveTraffic, path: Path, item: Neighbour, light: str, speed: float) -> Optional[Conflict]:
        """The conflict with that vehicle, if it has red, is the first at its line and would get there just before the ego."""
        settings, vehicle = self.config.crossing, live.sumo.vehicle
        lights = vehicle.getNextTLS(item.key)
        if item.going_along or not lights or lights[0][0] != light or lights[0][3] != "r":
            return None
        if lights[0][2] > settings.far_from_line or vehicle.getLaneID(item.key).startswith(":"):
            return None
        leader = vehicle.getLeader(item.key, settings.far_from_line)
        if leader is not None and leader[0] and leader[1] < lights[0][2] + settings.calm_radius / 2.0:
            return None
        way = self.look_ahead(live, item.key)
        if way is None or not item.key or vehicle.getLength(item.key) < self.config.cut_in.least_length:
            return None
        width = self.half_width + vehicle.getWidth(item.key) / 2.0 + settings.clear
        conflict = find_conflict(path.until(settings.search), way.until(settings.search), width)
        if conflict is None or abs(math.sin(conflict.turned)) < math.sin(settings.least_angle):
            return None
        return conflict if self._times_fit(conflict, item.speed, speed) else None

    def _times_fit(self, conflict: Conflict, runner_speed: float, speed: float) -> bool:
        settings, driver = self.config.crossing, self.config.driver
        ego_s = conflict.ego_first / speed
        runner_s = _travel_time(conflict.other_first, runner_speed, settings.accel, settings.speed)
        run = conflict.ego_first - driver.standstill_gap - speed * (settings.reaction_s + settings.ego_decel / driver.jerk / 2.0)
        can_stop = run > speed**2 / (2.0 * settings.ego_decel)
        fits = settings.ahead_s[0] <= ego_s - runner_s <= settings.ahead_s[1]
        return settings.ego_eta_s[0] <= ego_s <= settings.ego_eta_s[1] and fits and can_stop

    def _is_calm(
        self, live: LiveTraffic, path: Path, neighbours: List[Neighbour], runner: str, conflict: Conflict
    ) -> bool:
        """Nobody else moves towards the conflict."""
        settings, vehicle = self.config.crossing, live.sumo.vehicle
        x, y = path.point_at(0.5 * (conflict.ego_first + conflict.ego_last))[:2]
        for item in neighbours:
            px, py = vehicle.getPosition(item.key)
            away = math.hypot(px - x, py - y)
            if item.key == runner or item.speed < settings.moving or away > settings.calm_radius:
                continue
            heading = math.radians(90.0 - vehicle.getAngle(item.key))
            if (x - px) * math.cos(heading) + (y - py) * math.sin(heading) > 0.0:
                return False
        return True

    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Drive the runner across; the ego brakes for it until it is past."""
        settings, vehicle = self.config.crossing, live.sumo.vehicle
        if self._runner not in vehicle.getIDList() or live.step > self._started_at + self.steps(settings.longest_s):
            return False
        neighbours = self.neighbours(live, path, settings.search)
        runner = next((item for item in neighbours if item.key == self._runner), None)
        entry, _ = path.locate(*self._conflict)
        if runner is None:
            return False
        if not self._cleared:
            self._drive_runner(live)
            self._cleared = self._is_past(live, path, runner)
            if self._cleared:
                self.clear(live)
        obstacles = list_obstacles([item for item in neighbours if item.key != self._runner], self.half_width)
        if not self._cleared and live.step >= self._started_at + self.steps(settings.reaction_s) and entry > 0.0:
            obstacles.append(Obstacle(entry))
        self.take_ego(live, BRAKES_FREELY)
        self.driver.drive(live.sumo, obstacles)
        self.report(live, (self._runner,))
        return not self._cleared or self.driver.braking

    def _drive_runner(self, live: LiveTraffic) -> None:
        settings, vehicle = self.config.crossing, live.sumo.vehicle
        vehicle.setSpeedMode(self._runner, RUNS_RED)
        speed = vehicle.getSpeed(self._runner) + settings.accel * self.config.driver.step_s
        vehicle.setSpeed(self._runner, min(settings.speed, speed))

    def _is_past(self, live: LiveTraffic, path: Path, runner: Neighbour) -> bool:
        """Whether it has crossed the strip that the ego needs."""
        reach = self.half_width + self.config.crossing.past
        came_from_left = math.sin(runner.turned) < 0.0
        outside = runner.left < -reach if came_from_left else runner.right > reach
        return outside or runner.going_along and runner.first > 0.0

    def clear(self, live: LiveTraffic) -> None:
        """Give the runner back."""
        if self._runner in live.sumo.vehicle.getIDList():
            live.sumo.vehicle.setSpeed(self._runner, -1.0)
            live.sumo.vehicle.setSpeedMode(self._runner, ALL_CHECKS)


def _travel_time(distance: float, speed: float, accel: float, top: float) -> float:
    """Seconds for a distance, speeding up to `top` first."""
    speed = min(speed, top)
    rise = (top**2 - speed**2) / (2.0 * accel)
    if distance < rise:
        return (math.sqrt(speed**2 + 2.0 * accel * distance) - speed) / accel
    return (top - speed) / accel + (distance - rise) / top
