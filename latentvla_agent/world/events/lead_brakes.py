"""The vehicle ahead brakes hard."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Optional

from latentvla_agent.world.events.base import ALL_CHECKS, BRAKES_FREELY, EgoEvent
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import Neighbour, find_leader, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic.simulation import LiveTraffic

RISE_S = 0.4  # of the lead's brake


class LeadBrakesHard(EgoEvent):
    """Slows the lead until the ego has closed up, then brakes it to a stop; the ego brakes behind it."""

    kind: ClassVar[str] = "lead_brakes_hard"
    _lead = ""
    _decel = 0.0
    _accel = 0.0
    _final_speed = 0.0
    _hold_until: Optional[int] = None
    _over_at: Optional[int] = None

    def find(self, live: LiveTraffic, path: Path) -> bool:
        """A lead at the right distance on the open road; one further away is slowed."""
        settings, speed = self.config.lead_brakes, self.ego_speed(live)
        if speed < self.config.place.ego_speed:
            return False
        lead = find_leader(self.neighbours(live, path, self.config.place.pace_reach), self.half_width)
        if lead is None:
            if not self._sent:
                self._send_lead(live, path)
            return False
        self.pace(live, lead, min(settings.gap[1], settings.gap_s * speed))
        if lead.speed < settings.lead_speed or abs(lead.middle) > settings.beside:
            return False
        if lead.last - lead.first < self.config.cut_in.least_length:
            return False
        decel = self._choose_decel(lead, speed)
        if decel is None or not self._stops_clear_of_junctions(path, lead, decel):
            return False
        self._lead, self._decel, self._accel = lead.key, decel, 0.0
        self._final_speed = self.draw(settings.final_speed)
        return True

    def _send_lead(self, live: LiveTraffic, path: Path) -> None:
        """A slow vehicle far ahead, which the ego catches up with."""
        settings = self.config.lead_brakes
        self.send_ahead(live, path, self.draw(settings.insert_ahead), self.draw_model())

    def _choose_decel(self, lead: Neighbour, speed: float) -> Optional[float]:
        """As hard as the ego can bear; None if the lead is too near, too far or too fast to matter."""
        settings, driver = self.config.lead_brakes, self.config.driver
        if not settings.gap[0] <= lead.first <= min(settings.gap[1], settings.gap_s * speed):
            return None
        run = speed**2 / (2.0 * settings.ego_decel) + speed * settings.reaction_s + driver.standstill_gap - lead.first
        hardest = settings.decel[1] if run <= 0.0 else lead.speed**2 / (2.0 * run)
        return min(hardest, settings.decel[1]) if hardest >= settings.decel[0] else None

    def _stops_clear_of_junctions(self, path: Path, lead: Neighbour, decel: float) -> bool:
        stop = lead.last + lead.speed**2 / (2.0 * decel)
        clear = self.config.place.before_junction
        parts = [part for part in path.parts if part.inside_junction]
        return not any(part.first - clear / 2.0 < stop and part.last + clear > 0.0 for part in parts)

    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Brake the lead, hold it, let it go; the ego follows."""
        if self._lead not in live.sumo.vehicle.getIDList():
            return False
        if self._over_at is None:
            self._brake_lead(live)
        elif live.step >= self._over_at:
            return False
        self.take_ego(live, BRAKES_FREELY)
        neighbours = self.neighbours(live, path, self.config.lead_brakes.attention)
        self.driver.drive(live.sumo, list_obstacles(neighbours, self.half_width))
        self.report(live, (self._lead,))
        return True

    def _brake_lead(self, live: LiveTraffic) -> None:
        settings, vehicle = self.config.lead_brakes, live.sumo.vehicle
        step = self.config.driver.step_s
        vehicle.setSpeedMode(self._lead, BRAKES_FREELY)
        self._accel = max(self._accel - self._decel * step / RISE_S, -self._decel)
        speed = max(self._final_speed, vehicle.getSpeed(self._lead) + self._accel * step)
        vehicle.setSpeed(self._lead, speed)
        if speed <= self._final_speed and self._hold_until is None:
            self._hold_until = live.step + self.steps(self.draw(settings.hold_s))
        if self._hold_until is not None and live.step >= self._hold_until:
            self.clear(live)
            self._over_at = live.step + self.steps(settings.over_s)

    def clear(self, live: LiveTraffic) -> None:
        """Give the lead back."""
        if self._lead in live.sumo.vehicle.getIDList():
            live.sumo.vehicle.setSpeed(self._lead, -1.0)
            live.sumo.vehicle.setSpeedMode(self._lead, ALL_CHECKS)
