"""What a planner may learn from a scored proposal besides its scores: where it leaves road and route, whom it hits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentvla_agent.scoring.config import NUM_STATES
from latentvla_agent.scoring.kernels import NO_STEP, World
from latentvla_agent.scoring.observation import STEPS_PER_FRAME
from latentvla_agent.scoring.scorer import Scores
from latentvla_agent.scoring.state import FloatArray

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


def label_rollouts(scores: Scores, world: World) -> ProposalLabels:
    """Labels of proposals that were scored in `world`."""
    planned = slice(STEPS_PER_FRAME, None, STEPS_PER_FRAME)
    hits = scores.collision_idx != NO_STEP
    frames = world.objects.frame_of_step[scores.collision_idx[hits]]
    boxes = np.zeros((len(hits), HIT_COLUMNS))
    corners = world.objects.corners[frames, scores.collision_object[hits]]
    boxes[hits] = _describe_boxes(corners, scores.simulated[0, 0, :3])
    return ProposalLabels(scores.off_road[:, planned], scores.off_route[:, planned], hits, boxes)


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
