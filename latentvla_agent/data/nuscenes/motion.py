"""Ego velocity, acceleration and driving command of nuScenes, whose tables hold nothing but poses.

Motion comes from the CAN bus where its files are there, else from differences of the poses so far: no agent is told
of its future. The command is that of the literature: where the human will be in three seconds.
"""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path
from typing import Any, List, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.checks import describe, is_timestamp, is_vector
from latentvla_agent.data.nuscenes.tables import MAX_TIME_US, read_json
from latentvla_agent.data.scene import EgoStatusIndex, FloatArray, PoseIndex
from latentvla_agent.data.sensor_files import locate
from latentvla_agent.errors import DataError

CAN_FOLDER = "can_bus"
MAX_CAN_AGE_US = 200_000  # the bus speaks at 50 Hz; what is older than this says nothing of now

FROM_CAN_BUS = "can_bus"
FROM_POSES = "poses"  # of this key frame and those before
FROM_NEXT_POSE = "next_pose"  # of the first key frame of a scene there is no other way


class Command(IntEnum):
    """Entries of the one-hot driving command."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3


def estimate_motion(poses: FloatArray, times: FloatArray) -> Tuple[FloatArray, List[str]]:
    """Motion (F, 4) at global poses (F, 3) and times (F,) [s], and where each comes from.

    Columns: the first of `EgoStatusIndex`, velocity and acceleration in the ego frame.
    A parabola through a pose and the two before it; a line where there is one before. The first has the velocity up to
    the second; of a single pose nothing is known: zeros.
    """
    motion = np.zeros((len(poses), EgoStatusIndex.LEFT))
    sources = [FROM_NEXT_POSE if len(poses) > 1 else FROM_POSES] + [FROM_POSES] * (len(poses) - 1)
    if len(poses) < 2:
        return motion, sources
    steps = np.diff(times)[:, None]
    means = np.diff(poses[:, : PoseIndex.HEADING], axis=0) / steps  # velocity halfway between two poses
    accelerations = np.zeros_like(means)
    accelerations[1:] = np.diff(means, axis=0) / ((steps[1:] + steps[:-1]) / 2)
    velocities = means + accelerations * steps / 2
    velocities, accelerations = (np.vstack([array[:1], array]) for array in (velocities, accelerations))
    headings = poses[:, PoseIndex.HEADING]
    motion[:, : EgoStatusIndex.ACCELERATION_X] = _turn(velocities, -headings)
    motion[:, EgoStatusIndex.ACCELERATION_X :] = _turn(accelerations, -headings)
    return motion, sources


def _turn(vectors: FloatArray, angles: FloatArray) -> FloatArray:
    cos, sin = np.cos(angles), np.sin(angles)
    x, y = vectors[:, 0], vectors[:, 1]
    return np.stack([cos * x - sin * y, sin * x + cos * y], axis=1)


def replace_by_can_bus(
    root: Path, scene_name: str, timestamps: npt.NDArray[np.int64], motion: FloatArray, sources: List[str]
) -> Tuple[FloatArray, List[str]]:
    """Motion and sources as `estimate_motion` gives them, with those of the CAN bus where it has spoken just before.

    Reads `<root>/can_bus/<scene>_pose.json`, which not every scene has; raises `DataError` where it is broken.
    """
    path = locate(root, f"{CAN_FOLDER}/{scene_name}_pose.json")
    if not path.is_file():
        return motion, sources
    times, spoken = _read_can_bus(path)
    last = np.searchsorted(times, timestamps, side="right") - 1
    fresh = (last >= 0) & (timestamps - times[np.maximum(last, 0)] <= MAX_CAN_AGE_US)
    replaced = np.where(fresh[:, None], spoken[last], motion)
    return replaced, [FROM_CAN_BUS if new else source for new, source in zip(fresh, sources)]


def _read_can_bus(path: Path) -> Tuple[npt.NDArray[np.int64], FloatArray]:
    """Times [microseconds] and motion of all messages, in time order."""
    messages = read_json(path)
    if not isinstance(messages, list) or not messages:
        raise DataError(f"{path}: expected a list of messages, got {describe(messages)}")
    for number, message in enumerate(messages):
        if not _is_message(message):
            expected = "utime in microseconds, vel and accel of 3 finite numbers"
            raise DataError(f"{path}: message {number}: expected {expected}, got {describe(message)}")
    times = np.array([message["utime"] for message in messages], np.int64)
    motion = np.array([[*message["vel"][:2], *message["accel"][:2]] for message in messages], np.float64)
    order = np.argsort(times, kind="stable")
    return times[order], motion[order]


def _is_message(message: Any) -> bool:
    if not isinstance(message, dict) or not is_timestamp(message.get("utime")) or message["utime"] > MAX_TIME_US:
        return False
    return all(is_vector(3)(message.get(key)) for key in ("vel", "accel"))


def choose_command(future: FloatArray, offset: float) -> npt.NDArray[np.int64]:
    """One-hot command (4,) of the human's next poses (T, 3) in the ego frame, as UniAD, VAD and ST-P3 derive it.

    Left or right where the last of them lies `offset` [m] or more to that side, else straight; unknown without any.
    """
    command = np.zeros(len(Command), np.int64)
    side = future[-1, PoseIndex.Y] if len(future) else np.nan
    if np.isnan(side):
        command[Command.UNKNOWN] = 1
    elif abs(side) < offset:
        command[Command.STRAIGHT] = 1
    else:
        command[Command.LEFT if side > 0 else Command.RIGHT] = 1
    return command
