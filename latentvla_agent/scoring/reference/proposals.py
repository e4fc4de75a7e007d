"""The 15 proposals of PDM-Closed: along three parallel paths, an IDM driver at each of five target speeds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.scoring.config import STEP_S, PlannerConfig, VehicleConfig
from latentvla_agent.scoring.polyline import Polyline
from latentvla_agent.scoring.reference.centerline import TREE_CAPACITY
from latentvla_agent.scoring.reference.forecast import Forecast
from latentvla_agent.scoring.state import FloatArray, ego_corners

Obstacles = List[Tuple[int, float]]  # (column of the forecast, progress of its centroid along the path)


@dataclass
class Lead:
    """What a driver follows: progress [m], speed [m/s], rear length [m].

    One value is reused for all drivers of a path at one step, and a driver overwrites only what it finds; so a driver
    behind a red light inherits the speed of the vehicle its neighbour follows. The devkit does this, hence so do we.
    """

    progress: float = 0.0
    speed: float = 0.0
    rear_length: float = 0.0


class ProposalPath:
    """Drivers with different target speeds on one path; unrolled step by step."""

    def __init__(
        self,
        path: Polyline,
        pose: FloatArray,
        speed: float,
        targets: FloatArray,
        forecast: Forecast,
        planner: PlannerConfig,
        vehicle: VehicleConfig,
    ):
        self._path, self._forecast, self._planner, self._vehicle = path, forecast, planner, vehicle
        self._targets = targets
        shape = (len(targets), planner.num_plan_steps + 1)
        self._progress, self._speed = np.zeros(shape), np.zeros(shape)
        self._leads = np.zeros(shape + (3,))
        self.poses = np.zeros(shape + (3,))
        start = float(path.line.project(shapely.Point(pose[0], pose[1])))
        self._progress[:, 0], self._speed[:, 0] = start, speed
        self.poses[:, 0] = path.interpolate(np.array([start]))
        horizon_s = planner.num_plan_steps * STEP_S
        ahead = path.cut(start, start + abs(float(targets.max())) * horizon_s)
        self._corridor = shapely.buffer(ahead, vehicle.half_width, cap_style="square")

    def unroll(self, first: int, last: int, drivers: Sequence[int]) -> None:
        """Advance the given drivers from step `first` to step `last`, both included."""
        rows = np.array(drivers)
        for step in range(first, last + 1):
            if step % self._planner.forecast_stride == 0:
                self._find_leads(step, drivers)
            else:
                self._leads[rows, step] = self._leads[rows, step - 1]
            self._follow(step, rows)
            self.poses[rows, step] = self._path.interpolate(self._progress[rows, step])

    def _find_leads(self, step: int, drivers: Sequence[int]) -> None:
        frame = step // self._planner.forecast_stride
        obstacles = self._find_obstacles(frame)
        lead = Lead()
        for driver in drivers:
            progress = self._progress[driver, step - 1]
            ahead = [column for column, place in obstacles if place > progress]
            if ahead:
                pose = self.poses[driver, step - 1]
                self._follow_nearest(lead, progress, pose, self._forecast.polygons[frame, ahead], ahead)
            else:
                lead.progress, lead.rear_length = float(self._path.line.length), self._vehicle.half_length
            self._leads[driver, step] = lead.progress, lead.speed, lead.rear_length

    def _find_obstacles(self, frame: int) -> Obstacles:
        """Obstacles in the corridor, in the order in which the devkit's tree returns them (it breaks ties)."""
        polygons = self._forecast.polygons[frame]
        if len(polygons) == 0:
            return []
        tree = shapely.STRtree(polygons, node_capacity=TREE_CAPACITY)
        columns = [int(c) for c in tree.query(self._corridor, predicate="intersects")]
        columns = [column for column in columns if not self._forecast.is_ignored[column]]
        return [(column, float(self._path.line.project(polygons[column].centroid))) for column in columns]

    def _follow_nearest(
        self, lead: Lead, progress: float, pose: FloatArray, polygons: npt.NDArray[np.object_], columns: Sequence[int]
    ) -> None:
        ego = shapely.Polygon(ego_corners(pose, self._vehicle))
        distances = shapely.distance(polygons, ego)
        nearest = int(np.argmin(distances))
        column = columns[nearest]
        lead.progress = progress + float(distances[nearest])
        if not self._forecast.is_red_light[column]:
            relative = self._forecast.headings[column] - pose[2]
            lead.speed = float(self._forecast.speeds[column] * np.cos(relative))

    def _follow(self, step: int, rows: npt.NDArray[np.int64]) -> None:
        """One Euler step of the intelligent driver model."""
        planner, targets = self._planner, self._targets[rows]
        place, speed = self._progress[rows, step - 1], self._speed[rows, step - 1]
        lead_place, lead_speed, rear_length = self._leads[rows, step].T
        braking = 2.0 * np.sqrt(planner.max_acceleration * planner.max_deceleration)
        wanted = planner.min_gap + speed * planner.headway_s + speed * (speed - lead_speed) / braking
        gap = np.maximum(lead_place - place - rear_length, planner.min_gap)
        free = (speed / targets) ** planner.acceleration_exponent
        acceleration = planner.max_acceleration * (1.0 - free - (wanted / gap) ** 2)
        acceleration = np.clip(acceleration, -planner.max_deceleration, planner.max_acceleration)
        self._progress[rows, step] = place + STEP_S * speed
        self._speed[rows, step] = speed + STEP_S * acceleration


def target_speeds(speed_limit: Optional[float], planner: PlannerConfig) -> FloatArray:
    """Target speeds of the five drivers [m/s]."""
    limit = planner.fallback_speed if speed_limit is None else speed_limit
    return np.array(planner.speed_limit_fractions) * limit
