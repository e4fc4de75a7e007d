"""What a planner may learn from a scored proposal besides its scores: where it leaves road and route, whom it hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentvla_agent.scoring.config import NUM_STATES, ScoringConfig
from latentvla_agent.scoring.kernels import NO_STEP, World, compile_kernel
from latentvla_agent.scoring.metrics.contact import boxes_touch
from latentvla_agent.scoring.metrics.ego_area import NUM_FLAGS, OFF_ROAD, OFF_ROUTE, find_near, flag_areas
from latentvla_agent.scoring.observation import STEPS_PER_FRAME
from latentvla_agent.scoring.state import FloatArray, place_ego

NUM_POSES = (NUM_STATES - 1) // STEPS_PER_FRAME
HIT_COLUMNS = 5  # x, y [m] and heading [rad] of the box in the start frame, length, width [m]


@dataclass(frozen=True)
class ProposalLabels:
    """Of N proposals: `off_road` and `off_route` (N, 8) at the simulated 2 Hz poses, a corner off the drivable area and
    the centre off the route; `hits` (N,), an at-fault collision, and the `hit_boxes` (N, 5) it is with, else zeros."""

    off_road: npt.NDArray[np.bool_]
    off_route: npt.NDArray[np.bool_]
    hits: npt.NDArray[np.bool_]
    hit_boxes: FloatArray


def label_rollouts(
    states: FloatArray, collision_idx: npt.NDArray[np.int64], world: World, config: ScoringConfig
) -> ProposalLabels:
    """Labels of simulated states (N, 41, 11), whose first at-fault collisions are at `collision_idx` (N,), or -1."""
    count, vehicle = len(states), config.vehicle
    flags = np.zeros((count, NUM_FLAGS, NUM_POSES), dtype=np.bool_)
    corners = np.zeros((count, 4, 2))
    own = vehicle.rear_axle_to_center, vehicle.half_length, vehicle.half_width
    _label(np.ascontiguousarray(states), collision_idx, world, *own, flags, corners)
    hits = collision_idx != NO_STEP
    boxes = np.zeros((count, HIT_COLUMNS))
    boxes[hits] = _describe_boxes(corners[hits], states[0, 0, :3])
    return ProposalLabels(flags[:, OFF_ROAD], flags[:, OFF_ROUTE], hits, boxes)


def _describe_boxes(corners: FloatArray, origin: FloatArray) -> FloatArray:
    """Boxes (H, 5) in the frame of `origin` (x, y, heading) of corners (H, 4, 2), front left, rear left and so on."""
    forward, left = corners[:, 0] - corners[:, 1], corners[:, 0] - corners[:, 3]
    heading = np.arctan2(forward[:, 1], forward[:, 0]) - origin[2]
    offset = corners.mean(axis=1) - origin[:2]
    cos, sin = np.cos(origin[2]), np.sin(origin[2])
    columns = [
        cos * offset[:, 0] + sin * offset[:, 1],
        cos * offset[:, 1] - sin * offset[:, 0],
        np.arctan2(np.sin(heading), np.cos(heading)),
        np.hypot(*forward.T),
        np.hypot(*left.T),
    ]
    return np.stack(columns, axis=-1)


@compile_kernel
def _label(
    states: Any,
    steps: Any,
    world: World,
    rear_axle_to_center: float,
    half_length: float,
    half_width: float,
    flags: Any,
    hit_corners: Any,
) -> None:
    corners, centers = np.empty((NUM_POSES, 4, 2)), np.empty((NUM_POSES, 2))
    near = np.empty(world.areas.kinds.shape[0], dtype=np.int64)
    box = np.empty(4)
    for n in range(states.shape[0]):
        for t in range(NUM_POSES):
            state = states[n, (t + 1) * STEPS_PER_FRAME]
            place_ego(state, rear_axle_to_center, half_length, half_width, corners[t], centers[t])
        box[0], box[1] = corners[:, :, 0].min(), corners[:, :, 1].min()
        box[2], box[3] = corners[:, :, 0].max(), corners[:, :, 1].max()
        flag_areas(corners, centers, world.areas, near[: find_near(world.areas.bounds, box, near)], flags[n])
        if steps[n] != NO_STEP:
            place_ego(states[n, steps[n]], rear_axle_to_center, half_length, half_width, corners[0], centers[0])
            k = _find_hit(corners[0], centers[0], world, steps[n])
            hit_corners[n] = world.objects.corners[world.objects.frame_of_step[steps[n]], k]


@compile_kernel
def _find_hit(corners: Any, center: Any, world: World, step: int) -> int:
    """The nearest object that touches the ego's corners (4, 2) at a step."""
    objects = world.objects
    f, nearest, found = objects.frame_of_step[step], np.inf, 0
    for k in range(objects.reach.shape[0]):
        if not objects.present[f, k] or objects.ignored[k] or not boxes_touch(corners, objects.corners[f, k]):
            continue
        distance = np.hypot(objects.centers[f, k, 0] - center[0], objects.centers[f, k, 1] - center[1])
        if distance < nearest:
            nearest, found = distance, k
    return found
