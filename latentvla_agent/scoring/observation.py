"""The other road users over the scored horizon, as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Dict, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import LOG_INTERVAL_S, BoxIndex, Frame, PoseIndex, Scene, to_global_frame
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.config import DEFAULT_CONFIG, STEP_S, MetricConfig, VehicleConfig
from latentvla_agent.scoring.kernels import Objects, compile_kernel
from latentvla_agent.scoring.metrics.contact import boxes_touch
from latentvla_agent.scoring.state import FloatArray, find_centroid, initial_state, place_box
from latentvla_agent.scoring.versions import V1, V2, Rules

STEPS_PER_FRAME = int(round(LOG_INTERVAL_S / STEP_S))


class ObjectType(IntEnum):
    """Object classes in nuPlan's order; the first three move."""

    VEHICLE = 0
    PEDESTRIAN = 1
    BICYCLE = 2
    TRAFFIC_CONE = 3
    BARRIER = 4
    CZONE_SIGN = 5
    GENERIC_OBJECT = 6

    @property
    def is_agent(self) -> bool:
        """Whether the class moves by itself; hitting one costs more."""
        return self <= ObjectType.BICYCLE


@dataclass(frozen=True)
class Detections:
    """The K objects of one frame in the map frame: poses (K, 3), sizes (K, 2) length and width, velocities (K, 2)."""

    tokens: Sequence[str]
    types: npt.NDArray[np.int64]
    poses: FloatArray
    sizes: FloatArray
    velocities: FloatArray

    @property
    def is_agent(self) -> npt.NDArray[np.bool_]:
        """Which objects (K,) move by themselves."""
        return self.types <= int(ObjectType.BICYCLE)


def detect_objects(frame: Frame, vehicle: VehicleConfig = DEFAULT_CONFIG.vehicle) -> Detections:
    """Objects of a frame, brought from the ego frame into the map frame."""
    boxes = frame.annotations.boxes.astype(np.float64)
    pose = initial_state(frame.ego_status, vehicle)[: len(PoseIndex)]
    poses = to_global_frame(boxes[:, [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING]], pose)
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    vx, vy = frame.annotations.velocity_3d[:, :2].astype(np.float64).T
    types = np.array([ObjectType[name.upper()] for name in frame.annotations.names], dtype=np.int64)
    velocities = np.stack([vx * cos - vy * sin, vx * sin + vy * cos], axis=-1)
    sizes = boxes[:, [BoxIndex.LENGTH, BoxIndex.WIDTH]]
    return Detections(frame.annotations.track_tokens, types, poses, sizes, velocities)


@dataclass(frozen=True)
class Tracks:
    """K tracks over D frames (2 Hz): poses (D, K, 3) where `detected` (D, K).

    `types`, `sizes` (K, 2) and `velocities` (K, 2) are those of the first detection.
    """

    tokens: Sequence[str]
    types: npt.NDArray[np.int64]
    sizes: FloatArray
    velocities: FloatArray
    poses: FloatArray
    detected: npt.NDArray[np.bool_]


def collect_tracks(scene: Scene, vehicle: VehicleConfig = DEFAULT_CONFIG.vehicle) -> Tracks:
    """Tracks of the scored window, in order of first appearance, as far as any generation of the score looks.

    Raises `DataError` for a window that is too short for all of them.
    """
    frames = scene.frames[scene.current_index : scene.current_index + 1 + V1.future_frames]
    if len(frames) <= V2.future_frames:
        raise DataError(
            f"scene {scene.token}: expected {V2.future_frames} future frames to score ({V1.future_frames} for "
            f"{V1.name}), got {len(frames) - 1}"
        )
    return join_detections([detect_objects(frame, vehicle) for frame in frames])


def join_detections(detections: Sequence[Detections]) -> Tracks:
    """Tracks through D frames, in order of first appearance."""
    num_frames = len(detections)
    first: Dict[str, Tuple[int, int]] = {}
    for d, found in enumerate(detections):
        for row, token in enumerate(found.tokens):
            first.setdefault(token, (d, row))
    index = {token: k for k, token in enumerate(first)}
    poses = np.zeros((num_frames, len(index), 3))
    detected = np.zeros((num_frames, len(index)), dtype=bool)
    for d, found in enumerate(detections):
        columns = [index[token] for token in found.tokens]
        poses[d, columns] = found.poses
        detected[d, columns] = True
    return Tracks(
        tokens=list(first),
        types=np.array([detections[d].types[row] for d, row in first.values()], dtype=np.int64),
        sizes=np.array([detections[d].sizes[row] for d, row in first.values()]).reshape(-1, 2),
        velocities=np.array([detections[d].velocities[row] for d, row in first.values()]).reshape(-1, 2),
        poses=poses,
        detected=detected,
    )


def observe_tracks(tracks: Tracks, ego_box: FloatArray, rules: Rules, config: MetricConfig) -> Objects:
    """What a trajectory is scored against: the tracks of the log, interpolated to 10 Hz.

    Gaps between the first and the last detection are bridged; a track detected once stands there all the time. v2.2
    sees 4 s instead of 5, and removes what touches the ego's box (4, 2) at the start.
    """
    num_frames = 1 + rules.future_frames
    seen = tracks.detected[:num_frames].any(axis=0)
    detected, poses = tracks.detected[:num_frames, seen], tracks.poses[:num_frames, seen]
    objects = make_objects(detected.shape, tracks.types[seen], tracks.sizes[seen], tracks.velocities[seen], config)
    _interpolate(np.ascontiguousarray(poses), np.ascontiguousarray(detected), tracks.sizes[seen] / 2.0, objects)
    if rules.drops_touching:
        drop_touching(objects, ego_box)
    return objects


def make_objects(
    shape: Tuple[int, int],
    types: npt.NDArray[np.int64],
    sizes: FloatArray,
    velocities: FloatArray,
    config: MetricConfig,
) -> Objects:
    """Objects of which everything is known but where they are; `shape` is (frames at 2 Hz, objects)."""
    num_steps, count = STEPS_PER_FRAME * (shape[0] - 1) + 1, shape[1]
    is_agent = types <= int(ObjectType.BICYCLE)
    speeds = np.hypot(velocities[:, 0], velocities[:, 1])
    return Objects(
        corners=np.empty((num_steps, count, 4, 2)),
        centers=np.empty((num_steps, count, 2)),
        present=np.empty((num_steps, count), dtype=np.bool_),
        reach=np.hypot(sizes[:, 0], sizes[:, 1]) / 2.0,
        bounds=np.empty((count, 4)),
        is_agent=is_agent,
        is_stopped=~is_agent | (speeds <= config.stopped_track_speed),
        ignored=np.zeros(count, dtype=np.bool_),
        frame_of_step=np.arange(num_steps),
    )


@compile_kernel
def _interpolate(poses: Any, detected: Any, half_sizes: Any, objects: Objects) -> None:
    """Place all objects at all steps from poses (D, K, 3) where detected (D, K)."""
    for k in range(detected.shape[1]):
        first = last = -1
        for d in range(detected.shape[0]):
            if detected[d, k]:
                first = d if first < 0 else first
                last = d
        before, after, turn = first, first, 0.0
        for step in range(objects.present.shape[0]):
            time = step * STEP_S
            objects.present[step, k] = first == last or first * LOG_INTERVAL_S <= time <= last * LOG_INTERVAL_S
            while after < last and after * LOG_INTERVAL_S < time:
                before, after = after, after + 1
                while not detected[after, k]:
                    after += 1
                turn = poses[after, k, 2] - poses[before, k, 2]
                turn = np.arctan2(np.sin(turn), np.cos(turn))
            span = (after - before) * LOG_INTERVAL_S if after > before else 1.0
            elapsed = min(max(time - before * LOG_INTERVAL_S, 0.0), span) if after > before else 0.0
            x = (poses[after, k, 0] - poses[before, k, 0]) / span * elapsed + poses[before, k, 0]
            y = (poses[after, k, 1] - poses[before, k, 1]) / span * elapsed + poses[before, k, 1]
            heading = turn / span * elapsed + poses[before, k, 2]
            objects.centers[step, k, 0], objects.centers[step, k, 1] = x, y
            cos, sin = np.cos(heading), np.sin(heading)
            place_box(x, y, cos, sin, half_sizes[k, 0], half_sizes[k, 1], objects.corners[step, k])
            find_centroid(objects.corners[step, k], objects.centers[step, k])
        bound_object(objects, k)


@compile_kernel
def bound_object(objects: Objects, k: int) -> None:
    """Bounds of object `k` over the frames in which it is present."""
    bounds = objects.bounds[k]
    bounds[0] = bounds[1] = np.inf
    bounds[2] = bounds[3] = -np.inf
    for f in range(objects.present.shape[0]):
        if objects.present[f, k]:
            for c in range(4):
                x, y = objects.corners[f, k, c, 0], objects.corners[f, k, c, 1]
                bounds[0], bounds[1] = min(bounds[0], x), min(bounds[1], y)
                bounds[2], bounds[3] = max(bounds[2], x), max(bounds[3], y)


@compile_kernel
def drop_touching(objects: Objects, ego_box: Any) -> None:
    """Ignore the objects that touch the ego's box (4, 2) in frame 0."""
    for k in range(objects.ignored.shape[0]):
        objects.ignored[k] = objects.present[0, k] and boxes_touch(ego_box, objects.corners[0, k])
