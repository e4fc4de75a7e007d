"""All sub-scores of planned poses in one scene, before any comparison with another plan: the hot path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentvla_agent.scoring.area_index import find_near
from latentvla_agent.scoring.config import NUM_STATES, STEP_S, ScoringConfig
from latentvla_agent.scoring.kernels import NO_STEP, Numbers, Rollout, SubScore, World, compile_kernel, inline_kernel
from latentvla_agent.scoring.metrics.area_cells import make_cells, no_cells
from latentvla_agent.scoring.metrics.comfort import score_comfort
from latentvla_agent.scoring.metrics.drivable_area_compliance import score_drivable_area
from latentvla_agent.scoring.metrics.driving_direction_compliance import score_driving_direction
from latentvla_agent.scoring.metrics.ego_area import NUM_FLAGS, flag_areas
from latentvla_agent.scoring.metrics.ego_progress import measure_progress
from latentvla_agent.scoring.metrics.lane_keeping import score_lane_keeping
from latentvla_agent.scoring.metrics.no_at_fault_collisions import NO_OBJECT, score_collisions
from latentvla_agent.scoring.metrics.time_to_collision import score_time_to_collision
from latentvla_agent.scoring.metrics.traffic_light_compliance import score_traffic_lights
from latentvla_agent.scoring.simulation import Tracker, make_tracker, simulate_rollout
from latentvla_agent.scoring.state import FloatArray, StateIndex, place_ego
from latentvla_agent.scoring.versions import Rules

WORTH_CELLS = 12  # plans from which on cells for all of them cost less than they save
NUM_VALUES, NUM_STEPPED = len(SubScore), int(SubScore.PROGRESS)
COLLISION, DRIVABLE_AREA = int(SubScore.COLLISION), int(SubScore.DRIVABLE_AREA)
DRIVING_DIRECTION, TRAFFIC_LIGHT = int(SubScore.DRIVING_DIRECTION), int(SubScore.TRAFFIC_LIGHT)
TIME_TO_COLLISION, LANE_KEEPING = int(SubScore.TIME_TO_COLLISION), int(SubScore.LANE_KEEPING)
COMFORT, PROGRESS = int(SubScore.COMFORT), int(SubScore.PROGRESS)


@dataclass(frozen=True)
class Rollouts:
    """N rollouts: states (N, 41, 11), values (N, 8) by `SubScore`, first infractions (N, 7), `NO_STEP` for none, the
    objects (N,) of the first at-fault collisions, `NO_OBJECT` for none, and flags (N, 2, 41) of `ego_area`.

    A sub-score that the rules do not know is 1.
    """

    states: FloatArray
    values: FloatArray
    first_steps: npt.NDArray[np.int64]
    struck: npt.NDArray[np.int64]
    flags: npt.NDArray[np.bool_]

    def multiplier(self, rules: Rules) -> FloatArray:
        """Product (N,) of the multiplying sub-scores, in the devkit's order."""
        product = self.values[:, COLLISION] * self.values[:, DRIVABLE_AREA]
        if rules.generation == 1:
            return product
        return product * self.values[:, TRAFFIC_LIGHT] * self.values[:, DRIVING_DIRECTION]


def make_numbers(config: ScoringConfig, rules: Rules) -> Numbers:
    """Thresholds for the kernels."""
    metrics, vehicle = config.metrics, config.vehicle
    return Numbers(
        half_length=vehicle.half_length,
        half_width=vehicle.half_width,
        rear_axle_to_center=vehicle.rear_axle_to_center,
        stopped_ego_speed=metrics.stopped_ego_speed,
        stopped_ttc_speed=metrics.stopped_ttc_speed,
        ahead=float(np.deg2rad(metrics.ahead_angle_deg)),
        behind=float(np.deg2rad(metrics.behind_angle_deg)),
        clamps_bearings=False,
        ttc_stride=metrics.ttc_stride,
        ttc_projections=metrics.ttc_projections,
        ttc_steps=rules.ttc_steps,
        direction_window=metrics.driving_direction_window,
        direction_compliance=metrics.driving_direction_compliance,
        direction_violation=metrics.driving_direction_violation,
        lane_deviation=metrics.lane_deviation,
        lane_deviation_steps=metrics.lane_deviation_steps,
        excuses_intersections=rules.excuses_intersections,
        has_lights=rules.has_lights,
        has_lane_keeping=rules.has_lane_keeping,
        history_comfort=rules.history_comfort,
    )


def roll_out(poses: FloatArray, start: FloatArray, world: World, config: ScoringConfig) -> Rollouts:
    """Simulate planned global poses (N, 41, 3) from the ego state `start` (11,) and score them in `world`."""
    count = len(poses)
    rollouts = Rollouts(
        states=np.empty((count, NUM_STATES, len(StateIndex))),
        values=np.ones((count, NUM_VALUES)),
        first_steps=np.full((count, NUM_STEPPED), NO_STEP, dtype=np.int64),
        struck=np.full(count, NO_OBJECT, dtype=np.int64),
        flags=np.empty((count, NUM_FLAGS, NUM_STATES), dtype=np.bool_),
    )
    results = rollouts.states, rollouts.values, rollouts.first_steps, rollouts.struck, rollouts.flags
    _roll_out(poses, start, make_tracker(config), world, *results)
    return rollouts


@compile_kernel
def _roll_out(
    poses: Any,
    start: Any,
    tracker: Tracker,
    world: World,
    states: Any,
    values: Any,
    first_steps: Any,
    struck: Any,
    flags: Any,
) -> None:
    count, numbers = poses.shape[0], world.numbers
    corners, centers = np.empty((count, NUM_STATES, 4, 2)), np.empty((count, NUM_STATES, 2))
    near_areas = np.empty(world.areas.kinds.shape[0], dtype=np.int64)
    near_objects = np.empty(world.objects.reach.shape[0], dtype=np.int64)
    skip = np.empty(world.objects.reach.shape[0], dtype=np.bool_)
    for n in range(count):
        simulate_rollout(poses[n], start, tracker, states[n])
        _place_egos(states[n], numbers, corners[n], centers[n])
    whole = corners.reshape(count * NUM_STATES, 4, 2)
    cells = make_cells(world.areas, _bound_ego(whole, 0.0)) if count >= WORTH_CELLS else no_cells()
    for n in range(count):
        box = _bound_ego(corners[n], 0.0)
        areas = near_areas[: find_near(world.areas.bounds, box, near_areas)]
        flag_areas(corners[n], centers[n], world.areas, areas, cells, flags[n])
        box = _bound_ego(corners[n], _projection_reach(states[n], numbers))
        objects = near_objects[: find_near(world.objects.bounds, box, near_objects)]
        rollout = Rollout(states[n], corners[n], centers[n], flags[n], areas, objects, skip)
        struck[n] = _score(rollout, world, values[n], first_steps[n])


@compile_kernel
def _place_egos(states: Any, numbers: Numbers, corners: Any, centers: Any) -> None:
    shift, half_length, half_width = numbers.rear_axle_to_center, numbers.half_length, numbers.half_width
    for t in range(states.shape[0]):
        place_ego(states[t], shift, half_length, half_width, corners[t], centers[t])


@compile_kernel
def _bound_ego(corners: Any, margin: float) -> Any:
    """Box (4,) around corners (T, 4, 2), wider by the margin on all sides."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for t in range(corners.shape[0]):
        for c in range(4):
            low_x, low_y = min(low_x, corners[t, c, 0]), min(low_y, corners[t, c, 1])
            high_x, high_y = max(high_x, corners[t, c, 0]), max(high_y, corners[t, c, 1])
    return low_x - margin, low_y - margin, high_x + margin, high_y + margin


@compile_kernel
def _projection_reach(states: Any, numbers: Numbers) -> float:
    """Metres that the projections of time to collision reach beyond the ego's boxes."""
    fastest = 0.0
    for t in range(states.shape[0]):
        fastest = max(fastest, np.hypot(states[t, 3], states[t, 4]))
    return fastest * numbers.ttc_stride * (numbers.ttc_projections - 1) * STEP_S + 1e-3


@inline_kernel
def _score(rollout: Rollout, world: World, values: Any, steps: Any) -> int:
    """Fill values (8,) and first steps (7,) of one rollout; returns the object of the first at-fault collision."""
    numbers = world.numbers
    values[COLLISION], steps[COLLISION], struck = score_collisions(rollout, world)
    values[DRIVABLE_AREA], steps[DRIVABLE_AREA] = score_drivable_area(rollout)
    values[DRIVING_DIRECTION], steps[DRIVING_DIRECTION] = score_driving_direction(rollout, world)
    values[TIME_TO_COLLISION], steps[TIME_TO_COLLISION] = score_time_to_collision(rollout, world)
    values[COMFORT], steps[COMFORT] = score_comfort(rollout, world)
    if numbers.has_lights:
        values[TRAFFIC_LIGHT], steps[TRAFFIC_LIGHT] = score_traffic_lights(rollout, world)
    if numbers.has_lane_keeping:
        values[LANE_KEEPING], steps[LANE_KEEPING] = score_lane_keeping(rollout, world)
    values[PROGRESS] = measure_progress(rollout, world)
    return struck
