"""The other road users over the scored horizon, as flat arrays."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Dict, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import LOG_INTERVAL_S, BoxIndex, Frame, Scene, to_global_frame, wrap_angle
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.config import STEP_S, MetricConfig
from latentvla_agent.scoring.state import FloatArray, box_corners

OBSERVED_S = 5.0  # v1.1 interpolates and observes five seconds
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


def detect_objects(frame: Frame) -> Detections:
    """Objects of a frame, brought from the ego frame into the map frame."""
    boxes = frame.annotations.boxes.astype(np.float64)
    pose = frame.ego_status.ego_pose
    poses = to_global_frame(boxes[:, [BoxIndex.X, BoxIndex.Y, BoxIndex.HEADING]], pose)
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    vx, vy = frame.annotations.velocity_3d[:, :2].astype(np.float64).T
    types = np.array([ObjectType[name.upper()] for name in frame.annotations.names], dtype=np.int64)
    velocities = np.stack([vx * cos - vy * sin, vx * sin + vy * cos], axis=-1)
    sizes = boxes[:, [BoxIndex.LENGTH, BoxIndex.WIDTH]]
    return Detections(frame.annotations.track_tokens, types, poses, sizes, velocities)


@dataclass(frozen=True)
class Observation:
    """K objects in F frames; step `s` of the simulation (10 Hz) sees frame `frame_of_step[s]`.

    corners (F, K, 4, 2), centers (F, K, 2), present (F, K), reach (K,): half diagonal. `is_stopped` (K,) is judged by
    the first detection and holds in every frame, as in the devkit. `ignored` (K,) objects never count.
    """

    tokens: Sequence[str]
    corners: FloatArray
    centers: FloatArray
    present: npt.NDArray[np.bool_]
    reach: FloatArray
    is_agent: npt.NDArray[np.bool_]
    is_stopped: npt.NDArray[np.bool_]
    ignored: npt.NDArray[np.bool_]
    frame_of_step: npt.NDArray[np.int64]


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


def collect_tracks(scene: Scene) -> Tracks:
    """Tracks of the scored window, in order of first appearance; raises `DataError` for a window that is too short."""
    num_frames = int(OBSERVED_S / LOG_INTERVAL_S) + 1
    frames = scene.frames[scene.current_index : scene.current_index + num_frames]
    if len(frames) < num_frames:
        raise DataError(f"scene {scene.token}: expected {num_frames - 1} future frames to score, got {len(frames) - 1}")
    detections = [detect_objects(frame) for frame in frames]
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


def observe_tracks(tracks: Tracks, config: MetricConfig) -> Observation:
    """What a trajectory is scored against: the tracks of the log, interpolated to 10 Hz (NAVSIM v1.1).

    Gaps between the first and the last detection are bridged; a track detected once stands there all the time.
    """
    poses, present = _interpolate_tracks(tracks.poses, tracks.detected)
    half = tracks.sizes / 2.0
    lengths, widths = (np.broadcast_to(half[:, i], present.shape) for i in (0, 1))
    is_agent = tracks.types <= int(ObjectType.BICYCLE)
    speeds = np.hypot(tracks.velocities[:, 0], tracks.velocities[:, 1])
    return Observation(
        tokens=tracks.tokens,
        corners=box_corners(poses[..., :2], poses[..., 2], lengths, widths),
        centers=np.ascontiguousarray(poses[..., :2]),
        present=present,
        reach=np.hypot(half[:, 0], half[:, 1]),
        is_agent=is_agent,
        is_stopped=~is_agent | (speeds <= config.stopped_track_speed),
        ignored=np.zeros(len(tracks.tokens), dtype=bool),
        frame_of_step=np.arange(len(poses)),
    )


def _interpolate_tracks(poses: FloatArray, detected: npt.NDArray[np.bool_]) -> Tuple[FloatArray, npt.NDArray[np.bool_]]:
    """From poses (D, K, 3) at 2 Hz to (T, K, 3) at 10 Hz, with T = 5 (D - 1) + 1, and where they are present."""
    num_frames, num_tracks = detected.shape
    frames = np.arange(num_frames)[:, None]
    before = np.maximum.accumulate(np.where(detected, frames, -1), axis=0)
    after = np.minimum.accumulate(np.where(detected, frames, num_frames)[::-1], axis=0)[::-1]
    first, last = after[0], before[-1]
    steps = np.arange(STEPS_PER_FRAME * (num_frames - 1) + 1)
    time = (steps / STEPS_PER_FRAME)[:, None]
    lower = np.clip(before[steps // STEPS_PER_FRAME], first, None)
    upper = np.clip(after[-(-steps // STEPS_PER_FRAME)], None, last)
    columns = np.arange(num_tracks)
    start, end = poses[lower, columns], poses[upper, columns]
    span = np.maximum(upper - lower, 1)
    fraction = np.clip((time - lower) / span, 0.0, 1.0)[..., None]
    change = end - start
    change[..., 2] = wrap_angle(change[..., 2])
    result = start + fraction * change
    result[..., 2] = wrap_angle(result[..., 2])
    present = ((time >= first) & (time <= last)) | (first == last)
    return result, present
