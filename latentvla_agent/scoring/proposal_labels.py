"""What a planner may learn from a scored proposal besides its scores: where it leaves road and route, whom it hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from latentvla_agent.scoring.config import NUM_STATES, ScoringConfig
from latentvla_agent.scoring.kernels import NO_STEP, AreaIndex, World, compile_kernel
from latentvla_agent.scoring.metrics.ego_area import NUM_FLAGS, OFF_ROAD, OFF_ROUTE, find_near, flag_areas
from latentvla_agent.scoring.observation import STEPS_PER_FRAME
from latentvla_agent.scoring.scorer import Scores
from latentvla_agent.scoring.state import FloatArray, place_ego

NUM_POSES = (NUM_STATES - 1) // STEPS_PER_FRAME
HIT_COLUMNS = 5  # x, y [m] and heading [rad] of the box in the start frame, length, width [m]


@dataclass(frozen=True)
class ProposalLabels:
    """Of N proposals: `off_road` and `off_route` (N, 8) at the simulated 2 Hz poses, a corner off the drivable area and
    the centre off the route; `hits` (N,), an at-fault collision, and the `hit_boxes` (N, 5) of the first, else zeros.
    """

    off_road: npt.NDArray[np.bool_]
    off_route: npt.NDArray[np.bool_]
    hits: npt.NDArray[np.bool_]
    hit_boxes: FloatArray


def label_rollouts(scores: Scores, world: World, config: ScoringConfig) -> ProposalLabels:
    """Labels of the simulated states of scores in `world`."""
    count, vehicle = len(scores.simulated), config.vehicle
    flags = np.zeros((count, NUM_FLAGS, NUM_POSES), dtype=np.bool_)
    own = vehicle.rear_axle_to_center, vehicle.half_length, vehicle.half_width
    _flag(np.ascontiguousarray(scores.simulated), world.areas, *own, flags)
    hits = scores.collision_idx != NO_STEP
    frames = world.objects.frame_of_step[scores.collision_idx[hits]]
    boxes = np.zeros((count, HIT_COLUMNS))
    corners = world.objects.corners[frames, scores.collision_object[hits]]
    boxes[hits] = _describe_boxes(corners, scores.simulated[0, 0, :3])
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
def _flag(
    states: Any,
    areas: AreaIndex,
    rear_axle_to_center: float,
    half_length: float,
    half_width: float,
    flags: Any,
) -> None:
    corners, centers = np.empty((NUM_POSES, 4, 2)), np.empty((NUM_POSES, 2))
    near = np.empty(areas.kinds.shape[0], dtype=np.int64)
    box = np.empty(4)
    for n in range(states.shape[0]):
        for t in range(NUM_POSES):
            state = states[n, (t + 1) * STEPS_PER_FRAME]
            place_ego(state, rear_axle_to_center, half_length, half_width, corners[t], centers[t])
        box[0], box[1] = corners[:, :, 0].min(), corners[:, :, 1].min()
        box[2], box[3] = corners[:, :, 0].max(), corners[:, :, 1].max()
        flag_areas(corners, centers, areas, near[: find_near(areas.bounds, box, near)], flags[n])
