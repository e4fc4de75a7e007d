"""nuScenes as scenes of ours: an agent of NAVSIM drives there without a change.

A key frame of nuScenes (2 Hz, though 0.4 to 0.6 s may lie between two) is a frame, its ego pose that of the lidar's
moment. Both ego frames have their origin at the rear axle on the road, x forward, y left: nothing is shifted. Like the
literature, this takes the n-th key frame to be n half seconds away; only velocities know the true times.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.nuscenes.boxes import GlobalBoxes, annotate, outline_boxes, read_boxes
from latentvla_agent.data.nuscenes.map import NuScenesMaps
from latentvla_agent.data.nuscenes.motion import choose_command, estimate_motion, replace_by_can_bus
from latentvla_agent.data.nuscenes.routes import find_routes
from latentvla_agent.data.nuscenes.sensors import NuScenesSensors, describe_sensors, ego_transform, find_lidar
from latentvla_agent.data.nuscenes.tables import NuScenesTables, Row
from latentvla_agent.data.rotations import heading_of_quaternion
from latentvla_agent.data.scene import (
    LOG_INTERVAL_S,
    EgoStatus,
    EgoStatusIndex,
    FloatArray,
    Frame,
    PoseIndex,
    Scene,
    SceneMetadata,
    to_global_frame,
    to_local_frame,
)
from latentvla_agent.errors import ConfigError, DataError, suggest

HORIZON_FRAMES = 6  # 3 s: of the command and of what is measured in open loop, however far a scene goes


@dataclass(frozen=True)
class NuScenesConfig:
    """How scenes are cut. The command is left or right where the human ends up `command_offset_m` or more to a side."""

    num_history_frames: int = 4  # NAVSIM's, the current one among them
    num_future_frames: int = 6  # 3 s
    command_offset_m: float = 2.0
    use_can_bus: bool = True

    def __post_init__(self) -> None:
        if self.num_history_frames < 1 or self.num_future_frames < 1 or not self.command_offset_m > 0:
            raise ConfigError(f"expected frames of history and future and an offset above 0 m, got {self}")


@dataclass(frozen=True)
class NuScenesScene(Scene):
    """A scene whose current frame is a nuScenes sample.

    It has fewer future frames where the drive ends. The drive's first samples lack a history: `num_padded` frames
    repeat the oldest that there is, with a pose as if the ego had come at its velocity. `motion_source`: see
    `motion`; `command_source`: in words.
    """

    num_padded: int = 0
    motion_source: str = ""
    command_source: str = ""


@dataclass(frozen=True, eq=False)
class FutureTruth:
    """What the human did after a sample and what was around, in the ego frame of the sample; T steps of 0.5 s.

    `poses` (T, 3), NaN where not `valid` (T,): after the end of the drive. Of each valid step's key frame: `boxes`,
    arrays (K, 5, see `AgentBoxIndex`), and their nuScenes `categories`.
    """

    token: str
    log_name: str
    poses: FloatArray
    valid: npt.NDArray[np.bool_]
    boxes: Sequence[FloatArray] = field(default_factory=list)
    categories: Sequence[Sequence[str]] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class _Drive:
    """All key frames of one of nuScenes' scenes."""

    row: Row
    log: Row
    frames: List[Frame]
    boxes: List[GlobalBoxes]
    sources: List[str]


class NuScenesDatabase:
    """Samples of a nuScenes database. Holds the tables, and one drive at a time.

    `root` holds `<version>/`, `samples/` and maybe `can_bus/`. With `maps` scenes have a map and a route, where their
    location has a map. Raises `DataError` as `NuScenesTables` does.
    """

    def __init__(
        self,
        root: Path,
        version: str = "v1.0-trainval",
        config: NuScenesConfig = NuScenesConfig(),
        maps: Optional[NuScenesMaps] = None,
    ) -> None:
        self.tables, self.config, self._maps = NuScenesTables(root, version), config, maps
        self._sensors = NuScenesSensors(root, self.tables.path("sample_data"))
        self._drive: Optional[_Drive] = None

    def scene_names(self) -> List[str]:
        """Names of all drives, such as scene-0061, sorted."""
        return sorted(row["name"] for row in self.tables.rows("scene").values())

    def sample_tokens(self, scene_names: Optional[Sequence[str]] = None) -> List[str]:
        """Samples of these drives (default: all) in their order and that of time; `DataError` for an unknown name."""
        by_name = {row["name"]: row["token"] for row in self.tables.rows("scene").values()}
        wanted = self.scene_names() if scene_names is None else scene_names
        for name in wanted:
            if name not in by_name:
                raise DataError(
                    f"{self.tables.path('scene')}: expected a scene {name!r}, got none{suggest(name, by_name)}"
                )
        return [sample["token"] for name in wanted for sample in self.tables.samples_of(by_name[name])]

    def load(self, token: str) -> NuScenesScene:
        """The scene whose current frame is this sample; its sensors are read when an agent asks for them."""
        drive, position = self._find(token)
        config = self.config
        frames = drive.frames[max(0, position + 1 - config.num_history_frames) : position + 1]
        num_padded = config.num_history_frames - len(frames)
        future = drive.frames[position + 1 : position + 1 + config.num_future_frames]
        metadata = SceneMetadata(
            log_name=drive.log["logfile"],
            scene_token=drive.row["token"],
            map_name=drive.log["location"],
            initial_token=token,
            num_history_frames=config.num_history_frames,
            num_future_frames=len(future),
        )
        return NuScenesScene(
            metadata,
            [*_pad(frames[0], num_padded), *frames, *future],
            map_source=self._maps,
            sensor_files=self._sensors,
            num_padded=num_padded,
            motion_source=drive.sources[position],
            command_source=f"human's pose after 3 s or where the drive ends, {config.command_offset_m:g} m to a side",
        )

    def load_truth(self, token: str) -> FutureTruth:
        """What came after a sample, as far as the drive goes."""
        drive, position = self._find(token)
        steps = range(position + 1, position + 1 + HORIZON_FRAMES)
        there = [step for step in steps if step < len(drive.frames)]
        origin = drive.frames[position].ego_status.ego_pose
        poses = np.full((len(steps), len(PoseIndex)), np.nan)
        for row, step in enumerate(there):
            poses[row] = to_local_frame(drive.frames[step].ego_status.ego_pose, origin)
        return FutureTruth(
            token,
            drive.log["logfile"],
            poses,
            np.arange(len(steps)) < len(there),
            [outline_boxes(drive.boxes[step], origin) for step in there],
            [drive.boxes[step].categories for step in there],
        )

    def _find(self, token: str) -> Tuple[_Drive, int]:
        scene_token = self.tables.get("sample", token)["scene_token"]
        if self._drive is None or self._drive.row["token"] != scene_token:
            self._drive = None  # release the old one first
            self._drive = self._read_drive(scene_token)
        tokens = [frame.token for frame in self._drive.frames]
        if token not in tokens:
            place = f"{self.tables.path('sample')}: {token}"
            raise DataError(f"{place}: expected a sample of scene {self._drive.row['name']}, but its list lacks it")
        return self._drive, tokens.index(token)

    def _read_drive(self, scene_token: str) -> _Drive:
        tables, row = self.tables, self.tables.get("scene", scene_token)
        samples = tables.samples_of(scene_token)
        lidars = [find_lidar(tables, sample["token"]) for sample in samples]
        poses = np.array([_read_pose(tables, lidar) for lidar in lidars])
        timestamps = np.array([tables.get("ego_pose", lidar["ego_pose_token"])["timestamp"] for lidar in lidars])
        if np.any(np.diff(timestamps) <= 0):
            raise DataError(f"{tables.path('ego_pose')}: scene {row['name']}: expected poses in time order, got others")
        motion, sources = estimate_motion(poses, (timestamps - timestamps[0]) * 1e-6)
        if self.config.use_can_bus:
            motion, sources = replace_by_can_bus(tables.root, row["name"], timestamps, motion, sources)
        boxes = [read_boxes(tables, sample["token"]) for sample in samples]
        frames = [
            self._build_frame(sample, lidar, poses[number:], motion[number], boxes[number])
            for number, (sample, lidar) in enumerate(zip(samples, lidars))
        ]
        log = tables.get("log", row["log_token"])
        if self._maps is not None and self._maps.has(log["location"]):
            routes = find_routes(self._maps.load(log["location"]), poses)
            frames = [replace(frame, roadblock_ids=route) for frame, route in zip(frames, routes)]
        return _Drive(row, log, frames, boxes, sources)

    def _build_frame(self, sample: Row, lidar: Row, poses: FloatArray, motion: FloatArray, boxes: GlobalBoxes) -> Frame:
        """A frame of global poses (T, 3): its own and those after it."""
        velocity, acceleration = np.split(motion.astype(np.float32), [EgoStatusIndex.ACCELERATION_X])
        future = to_local_frame(poses[1 : HORIZON_FRAMES + 1], poses[0])
        command = choose_command(future, self.config.command_offset_m)
        annotations = annotate(boxes, ego_transform(self.tables, lidar), poses[0, PoseIndex.HEADING])
        for array in (poses, velocity, acceleration, command, annotations.boxes, annotations.velocity_3d):
            array.setflags(write=False)  # scenes share frames
        return Frame(
            token=sample["token"],
            timestamp=sample["timestamp"],
            roadblock_ids=[],
            traffic_lights=[],
            annotations=annotations,
            ego_status=EgoStatus(poses[0], velocity, acceleration, command, True),
            sensors=describe_sensors(self.tables, sample["token"]),
        )


def _read_pose(tables: NuScenesTables, lidar: Row) -> List[float]:
    pose = tables.get("ego_pose", lidar["ego_pose_token"])
    return [*pose["translation"][:2], heading_of_quaternion(pose["rotation"])]


def _pad(oldest: Frame, number: int) -> List[Frame]:
    """Frames before the first one of a drive, oldest first."""
    status = oldest.ego_status
    padded = []
    for steps in range(number, 0, -1):
        back = np.array([*(-steps * LOG_INTERVAL_S * status.ego_velocity), 0.0])
        pose = to_global_frame(back, status.ego_pose)
        timestamp = oldest.timestamp - int(steps * LOG_INTERVAL_S * 1e6)
        padded.append(replace(oldest, timestamp=timestamp, ego_status=replace(status, ego_pose=pose)))
    return padded
