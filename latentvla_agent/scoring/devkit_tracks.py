"""The road users of a devkit's metric cache as 2 Hz tracks.

The devkit keeps what it interpolated to 10 Hz: v1.1 only outlines, v2.2 the boxes too. Between the frames of the log
it interpolates linearly, so every fifth step gives the tracks back, gaps filled; a track that the log saw once stands
there at every step.
"""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.data.devkit_records import argument, look_up
from latentvla_agent.data.scene import LOG_INTERVAL_S
from latentvla_agent.scoring.devkit_pickles import Record, as_floats, read_box, read_polygons, read_vector
from latentvla_agent.scoring.observation import STEPS_PER_FRAME, Detections, ObjectType, Tracks, join_detections
from latentvla_agent.scoring.state import CornerIndex, FloatArray
from latentvla_agent.scoring.versions import Rules

Frame = Tuple[Sequence[str], FloatArray]  # track tokens and poses (K, 3) of one step


def read_tracks(observation: Any, rules: Rules) -> Tracks:
    """Tracks of a PDMObservation over the horizon of these rules; raises `ValueError` where it is not whole."""
    first = _read_first(look_up(observation, "_unique_objects"))
    index = {token: k for k, token in enumerate(first.tokens)}
    seen = np.zeros(len(index), dtype=np.bool_)
    detections: List[Detections] = []
    for tokens, poses in (
        _read_outlines(observation, rules) if rules.generation == 1 else _read_boxes(observation, rules)
    ):
        k = np.array([index[token] for token in tokens], dtype=np.int64)
        poses = np.where(seen[k, None], poses, first.poses[k])
        seen[k] = True
        detections.append(Detections(list(tokens), first.types[k], poses, first.sizes[k], first.velocities[k]))
    return join_detections(detections)


def _read_first(objects: Dict[str, Record]) -> Detections:
    """Every track as it was first detected; objects that do not move have no velocity."""
    boxes = [read_box(look_up(item, "_box")) for item in objects.values()]
    still = (0.0, 0.0)
    velocities = [read_vector(look_up(item, "_velocity")) if _is_agent(item) else still for item in objects.values()]
    types = [ObjectType(_type_of(item)) for item in objects.values()]
    return Detections(
        tokens=list(objects),
        types=np.array(types, dtype=np.int64),
        poses=as_floats([pose for pose, _ in boxes] or np.empty((0, 3)), -1, 3),
        sizes=as_floats([size for _, size in boxes] or np.empty((0, 2)), -1, 2),
        velocities=as_floats(velocities or np.empty((0, 2)), -1, 2),
    )


def _type_of(item: Record) -> Any:
    return argument(look_up(item, "_tracked_object_type"), "TrackedObjectType", 0)


def _is_agent(item: Record) -> bool:
    return ObjectType(_type_of(item)).is_agent


def _frames_of(observation: Any, name: str, rules: Rules) -> Sequence[Any]:
    """Every fifth of the steps over the horizon of the rules."""
    steps: Sequence[Any] = look_up(observation, name)
    count = STEPS_PER_FRAME * int(round(rules.observed_s / LOG_INTERVAL_S)) + 1
    if len(steps) != count:
        raise ValueError(f"expected {count} steps of observation, got {len(steps)}")
    return steps[::STEPS_PER_FRAME]


def _read_outlines(observation: Any, rules: Rules) -> Iterator[Frame]:
    for occupancy in _frames_of(observation, "_occupancy_maps", rules):
        tokens = argument(occupancy, "PDMOccupancyMap", 0)
        yield tokens, _poses_of_outlines(read_polygons(argument(occupancy, "PDMOccupancyMap", 1)))


def _poses_of_outlines(polygons: Any) -> FloatArray:
    """Poses (K, 3) of boxes from their outlines, rings in the order of `CornerIndex`.

    A ring repeats its first corner at the end, unless a box without width has its last corner there already.
    """
    num_corners = len(CornerIndex)
    counts = shapely.get_num_coordinates(polygons)
    if not np.isin(counts, (num_corners, num_corners + 1)).all():
        raise ValueError("expected outlines of boxes")
    starts = np.cumsum(counts) - counts
    corners = shapely.get_coordinates(polygons)[starts[:, None] + np.arange(num_corners)]
    front_left, rear_left, rear_right, front_right = (corners[:, int(corner)] for corner in CornerIndex)
    forward = front_left - rear_left + front_right - rear_right
    left = front_left - front_right + rear_left - rear_right
    is_long = np.hypot(*forward.T) >= np.hypot(*left.T)  # the longer side gives the heading with the smaller error
    direction = np.where(is_long[:, None], forward, np.stack([left[:, 1], -left[:, 0]], axis=-1))
    headings = np.arctan2(direction[:, 1], direction[:, 0])
    return np.concatenate([corners.mean(axis=1), headings[:, None]], axis=-1)


def _read_boxes(observation: Any, rules: Rules) -> Iterator[Frame]:
    for frame in _frames_of(observation, "_detections_tracks", rules):
        items = look_up(frame, "tracked_objects", "tracked_objects")
        tokens = [look_up(item, "_metadata", "track_token") for item in items]
        poses = [read_box(look_up(item, "_box"))[0] for item in items]
        yield tokens, as_floats(poses or np.empty((0, 3)), -1, 3)
