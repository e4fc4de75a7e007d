"""Annotated boxes of nuScenes: global, in an ego frame, and as a frame of ours has them.

nuScenes gives a box's size as width, length, height; here it is length, width, height.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.nuscenes.tables import NuScenesTables, Row
from latentvla_agent.data.rotations import apply_transform, heading_of_quaternion, invert_transform
from latentvla_agent.data.scene import (
    AgentBoxIndex,
    Annotations,
    BoxIndex,
    FloatArray,
    PoseIndex,
    to_local_frame,
    wrap_angle,
)

MAX_VELOCITY_GAP_S = 1.5  # between the annotations before and after: further apart they say nothing of now

# The first prefix that fits; NAVSIM's names are fewer.
_NAMES: Mapping[str, str] = {
    "vehicle.bicycle": "bicycle",
    "vehicle.motorcycle": "bicycle",
    "vehicle.": "vehicle",
    "human.pedestrian.stroller": "generic_object",
    "human.": "pedestrian",
    "movable_object.trafficcone": "traffic_cone",
    "movable_object.barrier": "barrier",
}


@dataclass(frozen=True)
class GlobalBoxes:
    """N boxes of one sample in the global frame: columns `BoxIndex` (N, 7), nuScenes' categories, and tokens."""

    boxes: FloatArray
    velocities: FloatArray  # (N, 3) m/s; zeros where unknown
    categories: Sequence[str]
    tokens: Sequence[str]
    instances: Sequence[str]


def read_boxes(tables: NuScenesTables, sample_token: str) -> GlobalBoxes:
    """The annotated boxes of a sample, in the order of the file."""
    rows = tables.annotations_of(sample_token)
    boxes = [_build_box(row) for row in rows]
    return GlobalBoxes(
        boxes=np.array(boxes, np.float64).reshape(-1, len(BoxIndex)),
        velocities=np.array([_measure_velocity(tables, row) for row in rows], np.float64).reshape(-1, 3),
        categories=[tables.category_of(row) for row in rows],
        tokens=[row["token"] for row in rows],
        instances=[row["instance_token"] for row in rows],
    )


def _build_box(row: Row) -> List[float]:
    width, length, height = row["size"]
    return [*row["translation"], length, width, height, heading_of_quaternion(row["rotation"])]


def _measure_velocity(tables: NuScenesTables, row: Row) -> FloatArray:
    """Between the annotations before and after; of the first and the last of an object, from or to itself."""
    before, after = (tables.get("sample_annotation", row[key]) if row[key] else row for key in ("prev", "next"))
    times = [tables.get("sample", end["sample_token"])["timestamp"] * 1e-6 for end in (before, after)]
    gap, most = times[1] - times[0], MAX_VELOCITY_GAP_S * (1.0 if before is row or after is row else 2.0)
    if not 0.0 < gap <= most:
        return np.zeros(3)
    way = np.subtract(after["translation"], before["translation"])
    velocity: FloatArray = way / gap
    return velocity


def name_category(category: str) -> str:
    """NAVSIM's name for one of nuScenes' categories; generic_object for whatever it has no name for."""
    return next((name for prefix, name in _NAMES.items() if category.startswith(prefix)), "generic_object")


def annotate(boxes: GlobalBoxes, ego2global: FloatArray, ego_heading: float) -> Annotations:
    """The boxes in the ego frame, as a frame of ours has them; `ego2global` (4, 4), heading [rad] of the ego."""
    local = boxes.boxes.copy()
    local[:, : BoxIndex.LENGTH] = apply_transform(invert_transform(ego2global), local[:, : BoxIndex.LENGTH])
    local[:, BoxIndex.HEADING] = wrap_angle(local[:, BoxIndex.HEADING] - ego_heading)
    return Annotations(
        boxes=local.astype(np.float32),
        names=[name_category(category) for category in boxes.categories],
        velocity_3d=(boxes.velocities @ ego2global[:3, :3]).astype(np.float32),
        instance_tokens=list(boxes.tokens),
        track_tokens=list(boxes.instances),
    )


def outline_boxes(boxes: GlobalBoxes, ego_pose: FloatArray) -> FloatArray:
    """The boxes from above (N, 5, see `AgentBoxIndex`) in the frame of an ego pose (3,)."""
    columns: Dict[AgentBoxIndex, npt.NDArray[np.float64]] = {}
    poses = to_local_frame(boxes.boxes[:, [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING]], ego_pose)
    columns[AgentBoxIndex.X], columns[AgentBoxIndex.Y] = poses[:, PoseIndex.X], poses[:, PoseIndex.Y]
    columns[AgentBoxIndex.HEADING] = poses[:, PoseIndex.HEADING]
    columns[AgentBoxIndex.LENGTH] = boxes.boxes[:, BoxIndex.LENGTH]
    columns[AgentBoxIndex.WIDTH] = boxes.boxes[:, BoxIndex.WIDTH]
    return np.stack([columns[column] for column in AgentBoxIndex], axis=1)
