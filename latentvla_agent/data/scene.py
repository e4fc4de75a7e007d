"""What an agent sees and what a scene holds, under the attribute names of NAVSIM's own dataclasses.

An agent written against these types also runs inside NAVSIM: it reads attributes, and the attributes are the same
(`navsim.common.dataclasses`, v1.1 and v2.2). Poses are (x, y, heading) of the rear axle in metres and radians.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, ClassVar, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.sensors import NO_CAMERAS, NO_LIDAR, Cameras, Lidar, LogSensors, SensorConfig, load_history
from latentvla_agent.errors import DataError, TrajectoryError

FloatArray = npt.NDArray[np.float64]

LOG_INTERVAL_S = 0.5  # frames of an OpenScene log are 2 Hz
MIN_INTERVAL_S = 1e-3  # of a planned trajectory; the scorer's clock counts microseconds
UNIT_TOLERANCE = 1e-14  # of a squared quaternion


class PoseIndex(IntEnum):
    """Columns of a pose array."""

    X = 0
    Y = 1
    HEADING = 2


class BoxIndex(IntEnum):
    """Columns of `gt_boxes`: centre, extent and heading in the ego (rear-axle) frame."""

    X = 0
    Y = 1
    Z = 2
    LENGTH = 3
    WIDTH = 4
    HEIGHT = 5
    HEADING = 6


class AgentBoxIndex(IntEnum):
    """Columns of an agent's box from above: centre [m] and heading [rad] in the ego frame, extent [m]."""

    X = 0
    Y = 1
    HEADING = 2
    LENGTH = 3
    WIDTH = 4


class EgoStatusIndex(IntEnum):
    """Entries of the ego status as planners get it: velocity [m/s] and acceleration [m/s^2] in the ego frame, then the
    driving command, one of which is 1."""

    VELOCITY_X = 0
    VELOCITY_Y = 1
    ACCELERATION_X = 2
    ACCELERATION_Y = 3
    LEFT = 4
    STRAIGHT = 5
    RIGHT = 6
    UNKNOWN = 7


# Of the way between two frames: dx, dy [m], dyaw [rad] in the frame before; velocity [m/s], acceleration [m/s^2] there.
MOTION_SIZE = 7


def wrap_angle(angle: Any) -> Any:
    """Map an angle [rad], scalar or array, into [-pi, pi]."""
    return np.arctan2(np.sin(angle), np.cos(angle))


def to_local_frame(poses: FloatArray, origin: FloatArray) -> npt.NDArray[np.float64]:
    """Express global poses (T, 3) in the frame of the pose `origin` (3,)."""
    offset = np.asarray(poses, dtype=np.float64) - np.asarray(origin, dtype=np.float64)
    cos, sin = np.cos(origin[PoseIndex.HEADING]), np.sin(origin[PoseIndex.HEADING])
    x, y, heading = offset[..., PoseIndex.X], offset[..., PoseIndex.Y], offset[..., PoseIndex.HEADING]
    return np.stack([cos * x + sin * y, cos * y - sin * x, wrap_angle(heading)], axis=-1)


def to_global_frame(poses: FloatArray, origin: FloatArray) -> npt.NDArray[np.float64]:
    """Inverse of `to_local_frame`: local poses (..., 3) of the frame `origin` (3,) in global coordinates."""
    local = np.asarray(poses, dtype=np.float64)
    cos, sin = np.cos(origin[PoseIndex.HEADING]), np.sin(origin[PoseIndex.HEADING])
    x, y, heading = local[..., PoseIndex.X], local[..., PoseIndex.Y], local[..., PoseIndex.HEADING]
    return np.stack(
        [
            origin[PoseIndex.X] + (cos * x - sin * y),
            origin[PoseIndex.Y] + (sin * x + cos * y),
            wrap_angle(heading + origin[PoseIndex.HEADING]),
        ],
        axis=-1,
    )


@dataclass(frozen=True)
class TrajectorySampling:
    """`num_poses` poses, the first of them `interval_length` seconds after the current frame."""

    num_poses: int = 8
    interval_length: float = 0.5

    def __post_init__(self) -> None:
        if self.num_poses < 1 or not MIN_INTERVAL_S <= self.interval_length < np.inf:
            raise TrajectoryError(f"sampling needs num_poses >= 1 and interval >= {MIN_INTERVAL_S} s, got {self}")

    @property
    def time_horizon(self) -> float:
        """Seconds from the current frame to the last pose."""
        return self.num_poses * self.interval_length


@dataclass(frozen=True)
class Trajectory:
    """Planned poses (T, 3) in the ego frame of the current frame.

    Raises `TrajectoryError` for a shape that does not fit the sampling, or a value that is not finite.
    """

    poses: npt.NDArray[Any]
    trajectory_sampling: TrajectorySampling = TrajectorySampling()

    def __post_init__(self) -> None:
        expected = (self.trajectory_sampling.num_poses, len(PoseIndex))
        if np.shape(self.poses) != expected:
            raise TrajectoryError(f"expected poses of shape {expected}, got {np.shape(self.poses)}")
        if not np.isfinite(self.poses).all():
            raise TrajectoryError("poses are not finite (NaN or infinity)")


@dataclass(frozen=True)
class EgoStatus:
    """Ego pose (3,), velocity and acceleration (2,), one-hot command (4,): left, straight, right, unknown."""

    ego_pose: FloatArray
    ego_velocity: npt.NDArray[np.float32]
    ego_acceleration: npt.NDArray[np.float32]
    driving_command: npt.NDArray[np.int64]
    in_global_frame: bool = False


@dataclass(frozen=True)
class AgentInput:
    """What an agent may see: history and current frame, oldest first, poses in the current ego frame.

    Sensors that it did not ask for are None in `cameras` and `lidars`.
    """

    ego_statuses: Sequence[EgoStatus]
    cameras: Sequence[Cameras] = field(default_factory=list)
    lidars: Sequence[Lidar] = field(default_factory=list)


@dataclass(frozen=True)
class Annotations:
    """Boxes (N, 7, see `BoxIndex`) and velocities (N, 3) in the ego frame of their frame, with N names and tokens."""

    boxes: npt.NDArray[np.float32]
    names: Sequence[str]
    velocity_3d: npt.NDArray[np.float32]
    instance_tokens: Sequence[str]
    track_tokens: Sequence[str]


@dataclass(frozen=True)
class Frame:
    """One 2 Hz frame of a log; the ego pose is global. `sensors` keeps the log's `cams` and `lidar_path` unread."""

    token: str
    timestamp: int
    roadblock_ids: Sequence[str]
    traffic_lights: Sequence[Tuple[str, bool]]
    annotations: Annotations
    ego_status: EgoStatus
    sensors: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class SceneMetadata:
    """Where a scene comes from. `initial_token` is the token of the current frame and names the scene.

    Of synthetic scenes (NAVSIM v2.2) only: the frame of the log at the same time, and the current frame of the scene
    that it goes on from.
    """

    log_name: str
    scene_token: str
    map_name: str
    initial_token: str
    num_history_frames: int
    num_future_frames: int
    corresponding_original_scene: Optional[str] = None
    corresponding_original_initial_token: Optional[str] = None


@dataclass(frozen=True)
class Scene:
    """A window of a log: history, current and future frames. Only privileged agents and the scorer see it.

    `map_api` is the map of the scene's city (`latentvla_agent.data.maps.CityMap`), loaded when first asked for;
    `sensor_files` is where an agent's cameras and lidar are read.
    """

    scene_metadata: SceneMetadata
    frames: Sequence[Frame]
    map_source: Optional[Any] = None
    sensor_files: Optional[LogSensors] = None
    pose_type: ClassVar[Any] = np.float32  # of an agent's input

    @property
    def token(self) -> str:
        """Token of the current frame."""
        return self.scene_metadata.initial_token

    @property
    def current_index(self) -> int:
        """Index of the current frame in `frames`."""
        return self.scene_metadata.num_history_frames - 1

    @property
    def current_frame(self) -> Frame:
        """The frame at which the agent plans."""
        return self.frames[self.current_index]

    @property
    def map_api(self) -> Any:
        """The city map; raises `DataError` where the map file is missing or broken."""
        if self.map_source is None:
            raise DataError(f"scene {self.token} was built without maps, but an agent asked for its map")
        return self.map_source.load(self.scene_metadata.map_name)

    def global_ego_poses(self) -> npt.NDArray[np.float64]:
        """Rear-axle poses (F, 3) of all frames in the map's frame."""
        return np.array([frame.ego_status.ego_pose for frame in self.frames], dtype=np.float64)

    def get_future_trajectory(self, num_trajectory_frames: Optional[int] = None) -> Trajectory:
        """The human's future poses (T, 3) at 2 Hz in the current ego frame, float64 as NAVSIM has them.

        Raises `DataError` where the scene has fewer future frames.
        """
        num = num_trajectory_frames or self.scene_metadata.num_future_frames
        poses = self.global_ego_poses()[self.current_index : self.current_index + num + 1]
        if len(poses) <= num:
            raise DataError(f"scene {self.token}: expected {num} future frames of the human, got {len(poses) - 1}")
        local = to_local_frame(poses[1:], poses[0])
        return Trajectory(local, TrajectorySampling(len(local), LOG_INTERVAL_S))

    def get_agent_input(self, sensor_config: Optional[SensorConfig] = None) -> AgentInput:
        """History and current ego status, poses in the current ego frame (NAVSIM's `AgentInput`, to the last bit).

        The sensors that `sensor_config`, ours or NAVSIM's, asks for are read, and no others: none by default. Raises
        `DataError` naming a sensor file that is missing or broken.
        """
        history = self.frames[: self.scene_metadata.num_history_frames]
        local = _to_last_frame(self.global_ego_poses()[: len(history)])
        statuses: List[EgoStatus] = [
            EgoStatus(
                pose.astype(self.pose_type),
                frame.ego_status.ego_velocity,
                frame.ego_status.ego_acceleration,
                frame.ego_status.driving_command,
            )
            for frame, pose in zip(history, local)
        ]
        if sensor_config is None:
            return AgentInput(statuses, [NO_CAMERAS] * len(statuses), [NO_LIDAR] * len(statuses))
        return AgentInput(statuses, *load_history(self.sensor_files, history, sensor_config))


def yaw_of_quaternion(rotation: Any) -> float:
    """Yaw [rad] of a quaternion (w, x, y, z), not necessarily of unit length, as pyquaternion's `yaw_pitch_roll[0]`."""
    quaternion = np.asarray(rotation, dtype=np.float64)
    square = np.dot(quaternion, quaternion)
    if abs(1.0 - square) >= UNIT_TOLERANCE:  # pyquaternion's rule; dividing always would move the last bit
        quaternion = quaternion / np.sqrt(square)
    w, x, y, z = quaternion
    return float(np.arctan2(2.0 * (w * z - x * y), 1.0 - 2.0 * (y * y + z * z)))


def _to_last_frame(poses: FloatArray) -> FloatArray:
    """As `to_local_frame` for poses (T, 3) and the last of them, rounded as the matrix product in NAVSIM rounds."""
    cos, sin = np.cos(poses[-1, PoseIndex.HEADING]), np.sin(poses[-1, PoseIndex.HEADING])
    local: FloatArray = poses - poses[-1:]
    local[:, : PoseIndex.HEADING] = local[:, : PoseIndex.HEADING] @ np.array([[cos, sin], [-sin, cos]]).T
    local[:, PoseIndex.HEADING] = wrap_angle(local[:, PoseIndex.HEADING])
    return local


def frame_from_log(entry: Dict[str, Any]) -> Frame:
    """Build a `Frame` of one (validated) entry of a log pickle. Scenes share frames, so the arrays are read-only."""
    motion = _freeze(np.asarray(entry["ego_dynamic_state"], dtype=np.float32))
    translation = entry["ego2global_translation"]
    pose = _freeze(np.array([translation[0], translation[1], yaw_of_quaternion(entry["ego2global_rotation"])]))
    command = _freeze(np.asarray(entry["driving_command"]))
    anns = entry["anns"]
    return Frame(
        token=entry["token"],
        timestamp=int(entry["timestamp"]),
        roadblock_ids=[str(i) for i in entry["roadblock_ids"]],
        traffic_lights=[(str(connector), bool(is_red)) for connector, is_red in entry["traffic_lights"]],
        annotations=Annotations(
            boxes=_freeze(np.asarray(anns["gt_boxes"], dtype=np.float32).reshape(-1, len(BoxIndex))),
            names=[str(name) for name in anns["gt_names"]],
            velocity_3d=_freeze(np.asarray(anns["gt_velocity_3d"], dtype=np.float32).reshape(-1, 3)),
            instance_tokens=list(anns["instance_tokens"]),
            track_tokens=list(anns["track_tokens"]),
        ),
        ego_status=EgoStatus(pose, motion[:2], motion[2:4], command, True),
        sensors={"cams": entry.get("cams", {}), "lidar_path": entry.get("lidar_path")},
    )


def _freeze(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    frozen = array.view()  # the log's own array stays as it is
    frozen.setflags(write=False)
    return frozen
