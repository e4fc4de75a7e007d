"""Makes log frames of an ego's drive: OpenScene's keys, and under `world` what rendering needs beyond them."""

from __future__ import annotations

import datetime
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Dict, List, Sequence, Tuple

import numpy as np

from latentvla_agent.data.calibration import camera_rig, describe_cameras, lidar_path
from latentvla_agent.data.logs import LogFrame
from latentvla_agent.data.scene import BoxIndex
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.world.routes import Command, IntArray, Route, RouteConfig, follow_route
from latentvla_agent.world.splits import DEFAULT_SIZE
from latentvla_agent.world.traffic.recording import FloatArray, Recording, StateIndex, Track

if TYPE_CHECKING:
    from latentvla_agent.world.roads.lanes import Roads
    from latentvla_agent.world.roads.layers import RoadIds

TOKEN_LENGTH = 16
QUATERNION_DECIMALS, POSITION_DECIMALS, ANGLE_DECIMALS, MOTION_DECIMALS = 12, 3, 6, 6
MICROSECONDS = 1_000_000
PHASE_OF_STATE = {"r": "r", "R": "r", "u": "r", "y": "y", "Y": "y", "g": "g", "G": "g", "s": "g"}


@dataclass(frozen=True)
class DriveSpec:
    """What a log says about itself. `sun`: azimuth (counter-clockwise from east) and elevation in radians.

    `picture_size`: width and height [px] of the cameras' pictures.
    """

    town: str
    log_name: str
    location: str
    seed: int
    weather: str = "clear"
    sun: Tuple[float, float] = (0.6, 0.9)
    picture_size: Tuple[int, int] = DEFAULT_SIZE


@dataclass(frozen=True)
class DriveConfig:
    """Metres; dates are drawn between `first_day` and `num_days` later, in daytime."""

    object_radius: float = 100.0
    light_radius: float = 120.0
    rear_axle_to_center: float = DEFAULT_CONFIG.vehicle.rear_axle_to_center
    first_day: Tuple[int, int, int] = (2021, 3, 1)
    num_days: int = 600
    first_hour: int = 8
    num_hours: int = 9
    route: RouteConfig = RouteConfig()


@dataclass(frozen=True, eq=False)
class _Tables:
    """All tracks over all steps: states (N, T, 4) and velocities (N, T, 2), NaN where a track doesn't exist."""

    tracks: List[Track]
    states: FloatArray
    velocities: FloatArray
    signal_keys: List[Tuple[str, int]]
    signal_places: FloatArray  # (S, 2) of the stop lines
    signal_ids: List[int]  # lane connector FIDs


def make_frames(
    recording: Recording,
    ego: str,
    steps: Sequence[int],
    roads: Roads,
    road_ids: RoadIds,
    offset: Tuple[float, float],
    spec: DriveSpec,
    config: DriveConfig = DriveConfig(),
) -> List[LogFrame]:
    """Frames of the ego's drive at the steps of the recording (every fifth is 2 Hz), ready for `write_log`.

    `offset` moves the town frame into UTM metres. Raises `DataError` for steps at which the ego isn't there.
    """
    track = recording.get_track(ego)
    for step in steps:
        track.state_at(step)
    tables = _tabulate(recording, roads, road_ids)
    drive = _Drive(recording, track, follow_route(recording, ego, roads, config.route), road_ids, tables, spec, config)
    tokens = [drive.token(step) for step in steps]
    frames = [drive.frame(step, np.asarray(offset, dtype=np.float64)) for step in steps]
    for index, frame in enumerate(frames):
        frame["frame_idx"] = index
        frame["sample_prev"] = tokens[index - 1] if index > 0 else None
        frame["sample_next"] = tokens[index + 1] if index + 1 < len(frames) else None
    return frames


def make_token(*parts: object) -> str:
    """16 hexadecimal characters that depend on the parts alone."""
    return hashlib.sha256(":".join(str(part) for part in parts).encode()).hexdigest()[:TOKEN_LENGTH]


def start_time(spec: DriveSpec, config: DriveConfig = DriveConfig()) -> int:
    """Microseconds since 1970 at the recording's start: a plausible date, from the town and its seed."""
    rng = np.random.Generator(np.random.PCG64([spec.seed, int(make_token(spec.town), 16)]))
    day = datetime.datetime(*config.first_day, tzinfo=datetime.timezone.utc)
    day += datetime.timedelta(
        days=int(rng.integers(config.num_days)),
        hours=config.first_hour + int(rng.integers(config.num_hours)),
        seconds=int(rng.integers(3600)),
    )
    return int(day.timestamp()) * MICROSECONDS


def _tabulate(recording: Recording, roads: Roads, road_ids: RoadIds) -> _Tables:
    tracks = list(recording.tracks.values())
    states = np.full((len(tracks), recording.num_steps, len(StateIndex)), np.nan)
    velocities = np.full((len(tracks), recording.num_steps, 2), np.nan)
    for row, track in enumerate(tracks):
        span = slice(track.first_step, track.last_step + 1)
        states[row, span] = track.states
        places = track.states[:, [StateIndex.X, StateIndex.Y]]
        velocities[row, span] = np.gradient(places, recording.step_s, axis=0) if len(places) > 1 else 0.0
        # Places are whole millimetres: what stands has a speed of exactly 0, not the rounding's.
        velocities[row, span][track.states[:, StateIndex.SPEED] == 0.0] = 0.0
    lit = [connector for connector in roads.connectors.values() if connector.signal in recording.signals]
    places = np.array([connector.line[0] for connector in lit]).reshape(-1, 2)
    ids = [road_ids.connector[connector.key] for connector in lit]
    return _Tables(tracks, states, velocities, [connector.signal for connector in lit if connector.signal], places, ids)


class _Drive:
    """One ego's drive; makes the frame of a step."""

    def __init__(
        self,
        recording: Recording,
        track: Track,
        route: Route,
        road_ids: RoadIds,
        tables: _Tables,
        spec: DriveSpec,
        config: DriveConfig,
    ) -> None:
        self._recording, self._track, self._route, self._road_ids = recording, track, route, road_ids
        self._tables, self._spec, self._config = tables, spec, config
        self._ego_row = [other.key for other in tables.tracks].index(track.key)
        self._rig = camera_rig(*spec.picture_size)
        self._start = start_time(spec, config)
        self._motion = _describe_motion(track, recording.step_s)
        self._track_tokens = [make_token(spec.town, "track", other.key) for other in tables.tracks]

    def token(self, step: int) -> str:
        """Name of the frame of a step."""
        return make_token(self._spec.town, self._spec.seed, self._track.key, step)

    def frame(self, step: int, offset: FloatArray) -> LogFrame:
        """The frame of a step, but for its neighbours."""
        spec, token, row = self._spec, self.token(step), step - self._track.first_step
        pose = _rear_axle(self._track.state_at(step), self._config.rear_axle_to_center)
        heading = float(pose[2])
        rows = self._find_objects(step, pose)
        lights = self._find_lights(step, pose)
        return {
            "token": token,
            "timestamp": self._start + int(round(step * self._recording.step_s * MICROSECONDS)),
            "log_name": spec.log_name,
            "log_token": make_token(spec.log_name, "log"),
            "scene_name": f"{spec.log_name}-scene",
            "scene_token": make_token(spec.log_name, "scene"),
            "map_location": spec.location,
            "vehicle_name": self._track.key,
            "roadblock_ids": self._route.roadblock_ids(row, self._road_ids),
            "can_bus": np.zeros(CAN_BUS_SIZE),
            "lidar_path": lidar_path(spec.log_name, token),
            "lidar2ego_translation": np.zeros(3),
            "lidar2ego_rotation": [1.0, 0.0, 0.0, 0.0],
            "ego2global_translation": np.array([*np.round(pose[:2] + offset, POSITION_DECIMALS), 0.0]),
            "ego2global_rotation": np.round(
                [np.cos(0.5 * heading), 0.0, 0.0, np.sin(0.5 * heading)], QUATERNION_DECIMALS
            ),
            "ego_dynamic_state": self._motion[row].tolist(),
            "traffic_lights": [(str(id_), state in RED_STATES) for id_, state in lights],
            "driving_command": self._command(row, pose),
            "cams": describe_cameras(self._rig, spec.log_name, token),
            "anns": self._annotate(step, rows, pose, token),
            "world": self._describe_world(step, rows, lights),
        }

    def _command(self, row: int, pose: FloatArray) -> IntArray:
        command = np.zeros(len(Command), dtype=np.int64)
        command[self._route.command(row, pose[:2])] = 1
        return command

    def _find_objects(self, step: int, pose: FloatArray) -> List[int]:
        """Rows of the tracks around the ego, itself left out."""
        places = self._tables.states[:, step, :2]
        near = np.hypot(places[:, 0] - pose[0], places[:, 1] - pose[1]) <= self._config.object_radius
        near[self._ego_row] = False
        return np.flatnonzero(near).tolist()

    def _find_lights(self, step: int, pose: FloatArray) -> List[Tuple[int, str]]:
        """Lane connector FID and SUMO's letter of the lights around the ego, without those that are off."""
        tables, found = self._tables, []
        near = np.hypot(*(tables.signal_places - pose[:2]).T) <= self._config.light_radius
        for index in np.flatnonzero(near).tolist():
            state = self._recording.signals[tables.signal_keys[index]][step]
            if state in PHASE_OF_STATE:
                found.append((tables.signal_ids[index], state))
        return found

    def _annotate(self, step: int, rows: List[int], pose: FloatArray, token: str) -> Dict[str, Any]:
        tracks = [self._tables.tracks[row] for row in rows]
        states, velocities = self._tables.states[rows, step], self._tables.velocities[rows, step]
        cos, sin = np.cos(pose[2]), np.sin(pose[2])
        rotation = np.array([[cos, -sin], [sin, cos]])  # as columns: the ego's axes
        boxes = np.zeros((len(rows), len(BoxIndex)))
        boxes[:, : BoxIndex.Z] = (states[:, :2] - pose[:2]) @ rotation
        boxes[:, BoxIndex.LENGTH : BoxIndex.HEADING] = [(t.length, t.width, t.height) for t in tracks] or 0.0
        boxes[:, BoxIndex.Z] = 0.5 * boxes[:, BoxIndex.HEIGHT]
        turn = states[:, StateIndex.HEADING] - pose[2]
        boxes[:, BoxIndex.HEADING] = np.round(np.arctan2(np.sin(turn), np.cos(turn)), ANGLE_DECIMALS)
        boxes[:, : BoxIndex.HEADING] = np.round(boxes[:, : BoxIndex.HEADING], POSITION_DECIMALS)
        flat = np.round(velocities @ rotation, POSITION_DECIMALS)
        return {
            "gt_boxes": boxes.astype(np.float32) + np.float32(0.0),
            "gt_names": np.array([track.name for track in tracks], NAME_DTYPE),
            "gt_velocity_3d": np.column_stack([flat, np.zeros(len(rows))]).astype(np.float32) + np.float32(0.0),
            "instance_tokens": [make_token(token, track.key) for track in tracks],
            "track_tokens": [self._track_tokens[row] for row in rows],
        }

    def _describe_world(self, step: int, rows: List[int], lights: List[Tuple[int, str]]) -> Dict[str, Any]:
        tracks = [self._tables.tracks[row] for row in rows]
        kinds = [event.kind for event in self._recording.events_at(step, self._track.key)]
        return {
            "town": self._spec.town,
            "seed": self._spec.seed,
            "weather": self._spec.weather,
            "sun": list(self._spec.sun),
            "models": [track.model for track in tracks],
            "braking": [bool(track.braking[step - track.first_step]) for track in tracks],
            "phases": [[str(id_), PHASE_OF_STATE[state]] for id_, state in lights],
            "events": list(dict.fromkeys(kinds)),
        }


RED_STATES = "rRu"
NAME_DTYPE = "<U16"  # an array as in OpenScene: NAVSIM's drawing of boxes picks names by a mask
CAN_BUS_SIZE = 18  # nuScenes' bus signals, which nuPlan's logs don't have either


def _rear_axle(state: FloatArray, to_center: float) -> FloatArray:
    """Pose (3,) of the rear axle, rounded as it is written."""
    heading = np.round(state[StateIndex.HEADING], ANGLE_DECIMALS)
    place = state[:2] - to_center * np.array([np.cos(heading), np.sin(heading)])
    return np.array([*np.round(place, POSITION_DECIMALS), heading])


def _describe_motion(track: Track, step_s: float) -> FloatArray:
    """vx, vy, ax, ay (T, 4) of the rear axle in the ego's axes: it doesn't slip."""
    speed = track.states[:, StateIndex.SPEED]
    if len(speed) < 2:
        raise DataError(f"track {track.key}: expected at least two steps of an ego, got {len(speed)}")
    turning = np.gradient(track.states[:, StateIndex.HEADING], step_s)
    still = np.zeros_like(speed)
    motion = np.column_stack([speed, still, np.gradient(speed, step_s), speed * turning])
    rounded: FloatArray = np.round(motion, MOTION_DECIMALS) + 0.0
    return rounded
