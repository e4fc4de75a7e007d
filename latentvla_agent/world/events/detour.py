"""A stalled vehicle or road works on the ego's lane: the ego slows down and swings out, or waits until it can."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, List, Optional, Tuple

import numpy as np

from latentvla_agent.world.events.base import BRAKES_FREELY, OWN_SAFETY, EgoEvent
from latentvla_agent.world.events.driver import Obstacle
from latentvla_agent.world.events.kerbs import find_kerb
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import Neighbour, in_corridor, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic import LiveTraffic

FOR_EVER_S = 10000.0
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
    _gone = False

    # Setting the stage --------------------------------------------------------------------------------------------------
    def find(self, live: LiveTraffic, path: Path) -> bool:
        """A stretch of open road out of sight where the ego will be on the rightmost lane."""
        settings, place = self.config.detour, self.config.place
        if self.ego_speed(live) < place.ego_speed:
            return False
        for _, first, last in path.open_road(settings.room_behind + self.extent(), settings.room_ahead):
            first = max(first, place.sight + self.extent())
            if last <= first or find_kerb(live, path, first) is None:
                continue
            self._stalled = self.send_vehicle(live, path, self.draw((first, last)), self.choose_model(), 0.0) or ""
            if self._stalled:
                self._sent_at, self._overlap = live.step, self.draw(settings.kerb_overlap)
                return True
        return False

    def choose_model(self) -> str:
        """The look of what stands there."""
        models = self.config.detour.models
        return models[int(self.rng.integers(len(models)))]

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
        vehicle.setSpeedMode(self._stalled, 0)
        vehicle.setSpeed(self._stalled, 0.0)
        vehicle.setLaneChangeMode(self._stalled, 0)
        lane_width = live.sumo.lane.getWidth(vehicle.getLaneID(self._stalled))
        left = self._overlap + (lane_width - vehicle.getWidth(self._stalled)) / 2.0
        vehicle.setLateralLanePosition(self._stalled, -left)
        self._left_edge = vehicle.getWidth(self._stalled) / 2.0 - left
        self._length = vehicle.getLength(self._stalled)
        self._front = vehicle.getPosition(self._stalled)
        return True

    def actors(self) -> List[str]:
        """Keys of all that stands there."""
        return [self._stalled, *self._props]

    # The event ------------------------------------------------------------------------------------------------------------
    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Wait for the ego, then bring it past."""
        if self._left_edge is None:
            return self._settle(live, path)
        settings, speed = self.config.detour, self.ego_speed(live)
        if live.step > self._sent_at + self.steps(settings.longest_s) or self._stalled not in live.sumo.vehicle.getIDList():
            return False
        front, left = path.locate(*self._front)
        gap = front - self._length
        if abs(left) > 2.0 * self.config.place.ego_width and front > 0.0 or front <= -settings.restart_gap:
            return False
        if self._seen_at is None and gap > min(settings.on_gap, settings.on_s * max(speed, settings.pass_speed)):
            return True
        return self._bring_past(live, path, gap, front)

    def _bring_past(self, live: LiveTraffic, path: Path, gap: float, front: float) -> bool:
        settings = self.config.detour
        assert self._left_edge is not None
        self._seen_at = live.step if self._seen_at is None else self._seen_at
        neighbours = [item for item in self.neighbours(live, path, settings.attention) if item.key != self._stalled]
        offset = self._left_edge + settings.pass_gap + self.half_width
        start = gap - settings.swing_length - settings.swing_margin  # where the ego has to start swinging out
        if not self._passing and start < settings.swing_room * 2.0 and self._is_free(live, neighbours, gap, front, offset):
            self._passing = True
            self.driver.swerve(live.sumo, offset, max(min(settings.swing_length, gap - settings.swing_margin), 8.0))
        if self._passing and front < -self.config.place.ego_length:
            self.driver.swerve(live.sumo, 0.0, settings.swing_length)
        ahead = [item for item in neighbours if item.first > 0.0]
        obstacles = list_obstacles(ahead, self.half_width + settings.side_clear, self.driver.left if self._passing else 0.0)
        obstacles += self._for_obstacle(live, start, front)
        self.take_ego(live, OWN_SAFETY if front > -self.config.place.ego_length else BRAKES_FREELY)
        self.driver.drive(live.sumo, obstacles)
        if front > 0.0 or not self.happened:
            self.report(live, self.actors())
        if not self._passing and live.step > self._seen_at + self.steps(settings.patience_s):
            self.restart(live)
            return False
        return True

    def _for_obstacle(self, live: LiveTraffic, start: float, front: float) -> List[Obstacle]:
        """Slow down to pass, stop if the way round is not free."""
        settings, standstill = self.config.detour, self.config.driver.standstill_gap
        if not self._passing:
            # It slows as if it could go round; if not, it comes to a stop in time.
            return [Obstacle(start + settings.swing_room + standstill)]
        if front > 0.0 and self.ego_speed(live) > settings.pass_speed:
            return [Obstacle(max(start, 0.0) + standstill, settings.pass_speed)]
        return []

    def _is_free(
        self, live: LiveTraffic, neighbours: List[Neighbour], gap: float, front: float, offset: float
    ) -> bool:
        """Whether nobody needs the strip beside the obstacle until the ego is past it."""
        settings = self.config.detour
        half = self.half_width + settings.side_clear
        needed = front + self.config.place.ego_length + settings.over_gap
        time = needed / max(self.ego_speed(live), settings.pass_speed) + settings.time_margin_s
        for item in neighbours:
            if not in_corridor(item, half, offset) or in_corridor(item, half) and item.first > front:
                continue
            if item.oncoming:
                if item.last > 0.0 and item.first - time * max(item.speed, settings.others_speed) < needed:
                    return False
            elif item.last > -settings.behind_clear and item.first < needed:
                return False
        return True

    def restart(self, live: LiveTraffic) -> None:
        """The obstacle drives off."""
        vehicle = live.sumo.vehicle
        if self._stalled in vehicle.getIDList():
            vehicle.setSpeedMode(self._stalled, 31)
            vehicle.setSpeed(self._stalled, -1.0)
            vehicle.setLaneChangeMode(self._stalled, 1621)

    def clear(self, live: LiveTraffic) -> None:
        """A stalled vehicle drives off when the ego is past."""
        self.restart(live)


class Cones(StalledVehicle):
    """The same with a works van and a row of cones that narrows the lane before it; they stay."""

    kind: ClassVar[str] = "cones"

    def choose_model(self) -> str:
        """The works van."""
        return self.config.detour.works_model

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
        lateral = np.linspace(-lane_half, self._left_edge + settings.cone_outside - settings.cone_size[1], settings.cones)
        rear = front - self._length
        for number, left in enumerate(lateral.tolist()):
            along = rear - (settings.cones - number - 0.5) * settings.cone_gap
            x, y, heading = path.point_at(along, left)
            self.put_prop(live, "traffic_cone", ("cone", *settings.cone_size), (x, y, heading, 0.0))
        self._left_edge += settings.cone_outside
        self._length += self.extent()
        live.sumo.vehicle.setLength(self._stalled, self._length)  # queues end before the cones
        return True

    def restart(self, live: LiveTraffic) -> None:
        """Road works stay where they are."""

    def _tidy(self, live: LiveTraffic) -> None:
        """Van and cones go together, out of sight."""
        super()._tidy(live)
        if not self._props and self._stalled and self._stalled in live.sumo.vehicle.getIDList():
            live.sumo.vehicle.remove(self._stalled)
            self._stalled = ""
