"""How an event drives a vehicle: brakes for what SUMO does not see, swerves, and hands it back, without any jerk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence, Tuple

import numpy as np

from latentvla_agent.world.events.config import DriverSettings

SUMO_DRIVES = -1.0  # setSpeed's word for "as SUMO thinks"
NO_LANE_CHANGE = 0  # lane-change mode: none but those that are asked for
SUMO_LANE_CHANGE = 1621  # SUMO's default


@dataclass(frozen=True)
class Obstacle:
    """Something ahead: `gap` metres from the front bumper, moving along the path at `speed`, braking with `decel`."""

    gap: float
    speed: float = 0.0
    decel: float = 3.0


class Driver:
    """Slows one vehicle for obstacles and moves it sideways; otherwise SUMO drives it.

    SUMO's safe speed, signals and right of way stay in force as the speed mode says; what is asked for is a bound.
    """

    def __init__(self, key: str, settings: DriverSettings, left: float = 0.0) -> None:
        self.key = key
        self.settings = settings
        self._accel: Optional[float] = None  # None: SUMO drives
        self._speed = 0.0
        self._left = left
        self._swerve: Optional[Tuple[float, float, float, float]] = None  # odometer, length, from, to
        self._keeps_lane = False

    @property
    def braking(self) -> bool:
        """Whether the driver is slowing the vehicle now."""
        return self._accel is not None and self._accel < -self.settings.release_decel

    @property
    def left(self) -> float:
        """Metres to the left of the lane's centre, as commanded."""
        return self._left

    def drive(
        self,
        sumo: Any,
        obstacles: Sequence[Obstacle] = (),
        start_decel: Optional[float] = None,
        cruise: Optional[float] = None,
    ) -> None:
        """One step: brake as hard as the nearest obstacles demand, let go when none does any more.

        `start_decel`: the deceleration that must be needed before it begins to brake, if other than usual. `cruise`:
        the speed to drive at while nothing has to be braked for; without it SUMO drives then.
        """
        speed = sumo.vehicle.getSpeed(self.key)
        accel = sumo.vehicle.getAcceleration(self.key) if self._accel is None else self._accel
        need = max((self._needed(speed, obstacle, accel) for obstacle in obstacles), default=0.0)
        settings = self.settings
        holds = self.braking or speed < settings.ease_speed  # who stands or nearly does keeps the brake on
        least = settings.release_decel if holds else start_decel or settings.start_decel
        if need >= least:
            self._brake(sumo, speed, need, accel)
        elif cruise is not None:
            self._cruise(sumo, speed, accel, cruise)
        else:
            self._let_go(sumo, speed, held=need > 0.0 and speed < settings.ease_speed)
        self.move_sideways(sumo)

    def _needed(self, speed: float, obstacle: Obstacle, accel: float) -> float:
        """Constant deceleration that keeps the standstill gap, the rise of the brake allowed for."""
        settings = self.settings
        if speed <= obstacle.speed and obstacle.gap > settings.standstill_gap:
            return 0.0
        run = obstacle.gap - settings.standstill_gap + obstacle.speed**2 / (2.0 * obstacle.decel)
        rough = speed**2 / (2.0 * max(run, settings.shortest_run))
        rise = max(0.0, min(rough, settings.hard_decel) + min(accel, 0.0)) / settings.jerk
        run = max(run - speed * rise / 2.0, settings.shortest_run)
        need = speed**2 / (2.0 * run)
        if run < speed * settings.ease_s + settings.shortest_run:  # the last metre: the speed dies away
            need = max(need, settings.start_decel)
        return float(need)

    def _brake(self, sumo: Any, speed: float, need: float, accel: float) -> None:
        settings = self.settings
        hard = need > settings.hard_decel * 1.25
        wanted = min(need, settings.emergency_decel if hard else settings.hard_decel)
        wanted = min(wanted, settings.least_decel + speed * settings.hard_decel / settings.ease_speed / 2.0)
        step = (settings.emergency_jerk if hard else settings.jerk) * settings.step_s
        self._accel = float(np.clip(-wanted, accel - step, accel + step))
        self._command(sumo, speed)

    def _cruise(self, sumo: Any, speed: float, accel: float, target: float) -> None:
        settings = self.settings
        step = settings.jerk * settings.step_s
        wanted = float(np.clip((target - speed) / settings.cruise_s, -settings.cruise_accel, settings.cruise_accel))
        self._accel = float(np.clip(wanted, accel - step, accel + step))
        self._command(sumo, speed)

    def _let_go(self, sumo: Any, speed: float, held: bool) -> None:
        """Ease the brake until SUMO drives again; stay where it stands if something still stands ahead."""
        if self._accel is None:
            return
        settings = self.settings
        self._accel = min(self._accel + settings.jerk * settings.step_s, 0.0 if held else settings.start_decel)
        self._command(sumo, speed)
        if not held and self._speed >= sumo.vehicle.getSpeedWithoutTraCI(self.key):
            self.release(sumo)

    def _command(self, sumo: Any, speed: float) -> None:
        assert self._accel is not None
        self._speed = max(0.0, speed + self._accel * self.settings.step_s)
        sumo.vehicle.setSpeed(self.key, self._speed)

    def release(self, sumo: Any) -> None:
        """Give the speed back to SUMO."""
        self._accel = None
        sumo.vehicle.setSpeed(self.key, SUMO_DRIVES)

    def keep_lane(self, sumo: Any, keeps: bool) -> None:
        """Forbid or allow SUMO's lane changes."""
        if keeps != self._keeps_lane:
            sumo.vehicle.setLaneChangeMode(self.key, NO_LANE_CHANGE if keeps else SUMO_LANE_CHANGE)
            self._keeps_lane = keeps

    def start_from(self, left: float) -> None:
        """Where the vehicle is across its lane, before a swerve."""
        self._left = left

    def swerve(self, sumo: Any, left: float, length: Optional[float] = None) -> None:
        """Begin to move to `left` metres left of the lane's centre, over `length` metres of driving."""
        if self._swerve is not None and self._swerve[3] == left:
            return
        settings = self.settings
        if length is None:
            length = float(np.clip(sumo.vehicle.getSpeed(self.key) * settings.shift_time_s, *settings.shift_length))
        self._swerve = (sumo.vehicle.getDistance(self.key), length, self._left, left)

    def end_swerve(self) -> None:
        """Leave the vehicle where it is across its lane; SUMO brings it back to the middle."""
        self._swerve = None

    def move_sideways(self, sumo: Any) -> None:
        """One step of the swerve that has begun."""
        if self._swerve is None:
            return
        start, length, left_from, left_to = self._swerve
        share = float(np.clip((sumo.vehicle.getDistance(self.key) - start) / length, 0.0, 1.0))
        share = share**3 * (10.0 - 15.0 * share + 6.0 * share**2)  # no jump of curvature at either end
        self._left = left_from + (left_to - left_from) * share
        sumo.vehicle.setLateralLanePosition(self.key, self._left)
        if share == 1.0 and left_to == 0.0:
            self._swerve = None
