"""Somebody steps out between parked cars."""

from __future__ import annotations

import math
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, List, Optional, Sequence, Tuple

import shapely

from latentvla_agent.world.events.base import BRAKES_FREELY, EgoEvent
from latentvla_agent.world.events.driver import Obstacle
from latentvla_agent.world.events.kerbs import Kerb, find_kerb
from latentvla_agent.world.events.path import Path
from latentvla_agent.world.events.surroundings import corners_of, list_obstacles

if TYPE_CHECKING:
    from latentvla_agent.world.traffic.simulation import LiveTraffic


class Walk(Enum):
    """What the pedestrian is doing."""

    HIDDEN = "stands behind the cars"
    OUT = "walks out"
    HESITATES = "stands on the lane"
    ON = "walks away"


class PedestrianStepsOut(EgoEvent):
    """Parks cars at the kerb out of sight; when the ego comes, somebody walks out between them, hesitates, and leaves.

    The pedestrian is described by its metres to the left of the ego's lane (`_left`, negative: to the right).
    """

    kind: ClassVar[str] = "pedestrian_steps_out"
    _place: Tuple[float, float, float] = (
        0.0,
        0.0,
        0.0,
    )  # x, y on the lane's middle where the pedestrian crosses; heading
    _kerb: Kerb
    _cars: Sequence[str] = ()
    _walk = Walk.HIDDEN
    _left = _start_left = _pause_left = _goal_left = _visible_left = 0.0
    _speed = 0.0
    _top_speed = 0.0
    _seen_at: Optional[int] = None
    _pause_until: Optional[int] = None
    _centred = False
    _cruise_speed = 0.0  # held from then on: who speeds up brakes late
    _walker = ""
    _walker_size: Tuple[float, float, float] = (0.0, 0.0, 0.0)
    _model = "adult"

    # Setting the stage
    def find(self, live: LiveTraffic, path: Path) -> bool:
        """A straight stretch out of sight with a kerb beside the ego's lane: park the cars there."""
        settings, place = self.config.pedestrian, self.config.place
        row = settings.cars * (settings.car_gap + settings.row_step)
        for _, first, last in path.open_road(place.after_junction + row, place.before_junction):
            first = max(first, place.sight + row)
            if last <= first or path.turning(first - row, last) > place.straightness:
                last = min(last, first + row / 4.0)
                if last <= first or path.turning(first - row, last) > place.straightness:
                    continue
            along = self.draw((first, last))
            kerb = find_kerb(live, path, along)
            if kerb is not None and self._park(live, path, along, kerb):
                return True
        return False

    def _park(self, live: LiveTraffic, path: Path, along: float, kerb: Kerb) -> bool:
        """The row of cars, and the pedestrian behind the gap before the last one."""
        settings = self.config.pedestrian
        looks = [look for look in live.config.kinds if look.model in settings.models]
        chosen = [looks[int(i)] for i in self.rng.integers(len(looks), size=settings.cars)]
        front, states = along - settings.car_gap / 2.0, []
        order = [chosen[0], *chosen[1:]]
        last = path.point_at(along + settings.car_gap / 2.0 + order[0].length / 2.0, self._beside(kerb, order[0].width))
        states.append((order[0], last))
        for look in order[1:]:
            states.append((look, path.point_at(front - look.length / 2.0, self._beside(kerb, look.width))))
            front -= look.length + settings.car_gap
        if not self.is_clear_of_props(live, *path.point_at(along)[:2]):
            return False
        if not all(self.is_hidden_from_egos(live, x, y) for _, (x, y, _) in states):
            return False
        boxes = [shapely.Polygon(corners_of(*state, look.length, look.width)[[0, 1, 3, 2]]) for look, state in states]
        if any(area.distance(box) < settings.car_gap for area in live.parking for box in boxes):
            return False
        self._solid += boxes
        self._cars = [
            self.put_prop(live, "vehicle", (look.model, look.length, look.width, look.height), (*state, 0.0))
            for look, state in states
        ]
        self._place, self._kerb = path.point_at(along), kerb
        self._visible_left = -kerb.right - settings.kerb_gap
        widest = max(look.width for look in order)
        self._prepare_walker(live, self._visible_left - widest)
        return True

    def _beside(self, kerb: Kerb, width: float) -> float:
        return -(kerb.right + self.config.pedestrian.kerb_gap + width / 2.0)

    def _prepare_walker(self, live: LiveTraffic, left: float) -> None:
        settings = self.config.pedestrian
        kind = live.config.child if self.rng.random() < settings.child_share else live.config.adult
        self._model, self._walker_size = kind.model, (kind.length, kind.width, kind.height)
        self._top_speed = self.draw(settings.walk_speed)
        self._left = self._start_left = self._goal_left = left
        self._pause_left = self.draw(settings.pause_left)
        look = (kind.model, *self._walker_size)
        self._walker = self.put_prop(live, "pedestrian", look, self._walker_state())

    def _walker_state(self) -> Tuple[float, float, float, float]:
        x, y, heading = self._place
        side = 1.0 if self._goal_left > self._left or self._walk in (Walk.HIDDEN, Walk.OUT, Walk.HESITATES) else -1.0
        return (
            x - self._left * math.sin(heading),
            y + self._left * math.cos(heading),
            heading + side * math.pi / 2.0,
            abs(self._speed),
        )

    # The event
    def play(self, live: LiveTraffic, path: Path) -> bool:
        """Walk when the ego is near; the ego brakes once it can see the pedestrian."""
        settings = self.config.pedestrian
        along, left = path.locate(self._place[0], self._place[1])
        gap = along - self._walker_size[1] / 2.0
        if abs(left) > self.config.place.ego_width or along <= 0.0 and self._walk is Walk.HIDDEN:
            return False  # the ego took another lane or is past: nothing happens
        self._step_walker(live, path, gap)
        live.move_prop(self._walker, self._walker_state())
        if 0.0 < gap < settings.center_gap and not self._centred:
            self.take_ego(live, BRAKES_FREELY)
            self.driver.start_from(live.sumo.vehicle.getLateralLanePosition(self.ego))
            self.driver.swerve(live.sumo, 0.0)
            self._centred, self._cruise_speed = True, self.ego_speed(live)
        if self._seen_at is None:
            if self._centred:
                self.driver.drive(live.sumo, cruise=self._cruise_speed)
            return True
        obstacles = list_obstacles(self.neighbours(live, path, settings.attention), self.half_width)
        if self._in_the_way() and live.step >= self._seen_at + self.steps(settings.reaction_s):
            obstacles.append(Obstacle(gap - settings.stop_gap))
        self.take_ego(live, BRAKES_FREELY)
        self.driver.drive(live.sumo, obstacles)
        self.report(live, self._actors())
        over = self._walk is Walk.ON and self._left == self._goal_left
        return not over

    def _actors(self) -> List[str]:
        return [self._walker, *self._cars]

    def _in_the_way(self) -> bool:
        settings = self.config.pedestrian
        reach = self.half_width + settings.clearance
        if self._walk in (Walk.OUT, Walk.HESITATES):
            return True
        leaving_left = self._goal_left > 0.0
        return self._left < reach if leaving_left else self._left > -reach

    def _step_walker(self, live: LiveTraffic, path: Path, gap: float) -> None:
        settings, speed = self.config.pedestrian, self.ego_speed(live)
        if self._walk is Walk.HIDDEN and self._is_time(gap, speed):
            self._walk = Walk.OUT
        if self._walk is Walk.OUT:
            self._advance(self._pause_left)
            if self._seen_at is None and self._left > self._visible_left - settings.peek:
                self._seen_at = live.step
            if self._left == self._pause_left:
                self._walk = Walk.HESITATES
        elif self._walk is Walk.HESITATES:
            if self._pause_until is None and speed < settings.calm_speed:
                self._pause_until = live.step + self.steps(self.draw(settings.hesitate_s))
            if self._pause_until is not None and live.step >= self._pause_until:
                self._goal_left = self._choose_goal(live, path)
                self._walk = Walk.ON
        elif self._walk is Walk.ON:
            self._advance(self._goal_left)

    def _is_time(self, gap: float, speed: float) -> bool:
        """The ego will be `time_left_s` away when the pedestrian comes out from behind the cars."""
        settings = self.config.pedestrian
        if speed < self.config.place.ego_speed:
            return False
        distance = self._visible_left - settings.peek - self._start_left
        walk_s = distance / self._top_speed + self._top_speed / settings.walk_accel / 2.0
        brake_s = speed / (2.0 * settings.ego_decel) + (self.config.driver.standstill_gap + settings.stop_gap) / speed
        spare_s = gap / speed - walk_s - brake_s
        return settings.spare_s[0] <= spare_s <= settings.spare_s[1]

    def _advance(self, goal: float) -> None:
        """One step towards the goal: speeds up and slows down at the walker's pace."""
        settings, step = self.config.pedestrian, self.config.driver.step_s
        away = goal - self._left
        fastest = min(self._top_speed, math.sqrt(2.0 * settings.walk_accel * abs(away)) + 0.05)
        speed = min(abs(self._speed) + settings.walk_accel * step, fastest)
        if speed * step >= abs(away):
            self._left, self._speed = goal, 0.0
        else:
            self._speed = math.copysign(speed, away)
            self._left += self._speed * step

    def _choose_goal(self, live: LiveTraffic, path: Path) -> float:
        """Across the road if nobody comes there, else back between the cars."""
        settings = self.config.pedestrian
        others = self.neighbours(live, path, settings.oncoming_clear)
        busy = any(item.left > self.half_width and item.last > -settings.behind_clear for item in others)
        return self._start_left if busy or self._kerb.left is None else self._kerb.left + settings.far_side
