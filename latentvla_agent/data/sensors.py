"""Cameras and lidar of an agent's input, under NAVSIM's attribute names, and where they are loaded from.

Only what an agent's `SensorConfig` asks for is read. Before that, a `SensorSource` may make the files. Real logs lack a
sensor now and then: it is then empty, as one that nobody asked for, where NAVSIM's own loader fails. A file that a log
names must be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, List, Mapping, Optional, Protocol, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.checks import describe, is_finite
from latentvla_agent.data.sensor_files import Image, PointCloud, locate, read_lidar, read_reduced_image
from latentvla_agent.errors import DataError

CAMERA_NAMES = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")
LIDAR_NAME = "lidar_pc"
SENSOR_NAMES = (*CAMERA_NAMES, LIDAR_NAME)
SENSOR_FOLDER = "sensor_blobs"
_CALIBRATION: Mapping[str, Tuple[str, Tuple[int, ...]]] = {  # our name -> (that in a log, shape)
    "sensor2lidar_rotation": ("sensor2lidar_rotation", (3, 3)),
    "sensor2lidar_translation": ("sensor2lidar_translation", (3,)),
    "intrinsics": ("cam_intrinsic", (3, 3)),
    "distortion": ("distortion", (5,)),
}


@dataclass(frozen=True)
class Camera:
    """A picture (H, W, 3) and calibration (see `calibration.CameraCalibration`) of a camera.

    None if not asked for, or not in the log. `intrinsics` are those of the picture as it was read, maybe reduced.
    `camera_path` is the picture's path in the log.
    """

    image: Optional[Image] = None
    sensor2lidar_rotation: Optional[npt.NDArray[Any]] = None
    sensor2lidar_translation: Optional[npt.NDArray[Any]] = None
    intrinsics: Optional[npt.NDArray[Any]] = None
    distortion: Optional[npt.NDArray[Any]] = None
    camera_path: Optional[str] = None


@dataclass(frozen=True)
class Cameras:
    """The eight cameras of one frame."""

    cam_f0: Camera = Camera()
    cam_l0: Camera = Camera()
    cam_l1: Camera = Camera()
    cam_l2: Camera = Camera()
    cam_r0: Camera = Camera()
    cam_r1: Camera = Camera()
    cam_r2: Camera = Camera()
    cam_b0: Camera = Camera()


@dataclass(frozen=True)
class Lidar:
    """The merged point cloud (6, N) of one frame (rows: `sensor_files.LidarIndex`).

    None if not asked for, or not in the log.
    """

    lidar_pc: Optional[PointCloud] = None
    lidar_path: Optional[str] = None


NO_CAMERAS, NO_LIDAR = Cameras(), Lidar()


@dataclass(frozen=True)
class SensorConfig:
    """Which sensors an agent wants: True for all history frames, or the list of their frame indices (0 = oldest).

    `picture_size` (width, height) [px], which NAVSIM's own class has not: as much of each picture is enough, which is
    then decoded at a half, a quarter or an eighth where that has it.
    """

    cam_f0: Any = False
    cam_l0: Any = False
    cam_l1: Any = False
    cam_l2: Any = False
    cam_r0: Any = False
    cam_r1: Any = False
    cam_r2: Any = False
    cam_b0: Any = False
    lidar_pc: Any = False
    picture_size: Optional[Tuple[int, int]] = None

    @classmethod
    def build_all_sensors(cls, include: Any = True) -> SensorConfig:
        """Every sensor, in all history frames or in those listed."""
        return cls(**{name: include for name in SENSOR_NAMES})

    @classmethod
    def build_no_sensors(cls) -> SensorConfig:
        """For agents that only read ego status and command."""
        return cls()

    def get_sensors_at_iteration(self, iteration: int) -> List[str]:
        """Names of the sensors wanted in the history frame of that index."""
        return names_at(self, iteration)


def names_at(config: Any, iteration: int) -> List[str]:
    """As `SensorConfig.get_sensors_at_iteration`; `config` may also be NAVSIM's own."""
    return [name for name in SENSOR_NAMES if _is_wanted(getattr(config, name), iteration)]


def _is_wanted(included: Any, iteration: int) -> bool:
    return included is True or (isinstance(included, (list, tuple)) and iteration in included)


class SensorSource(Protocol):
    """Makes sensor files when somebody first asks for them."""

    def prepare(self, folder: Path, log_path: Path, token: str, names: Sequence[str]) -> None:
        """See to it that the files of these sensors (`cam_f0` … `lidar_pc`) in the frame `token` of a log are there.

        `folder` is that of the log's split, below which the log's own paths lie.
        """


@dataclass(frozen=True)
class LogSensors:
    """The sensor files of one log, below `folder`; what `source`, if any, makes of them first."""

    folder: Path
    log_path: Path
    source: Optional[SensorSource] = None

    def load(
        self,
        token: str,
        paths: Mapping[str, Any],
        names: Sequence[str],
        picture_size: Optional[Tuple[int, int]] = None,
    ) -> Tuple[Cameras, Lidar]:
        """The sensors `names` of a frame, all others empty, as are those that the log lacks.

        `paths`: its `cams` and `lidar_path`; `picture_size`: see `SensorConfig`. Raises `DataError` naming what the log
        says wrongly, or the file that is missing or broken.
        """
        if self.source is not None:
            self.source.prepare(self.folder, self.log_path, token, names)
        place = f"{self.log_path}: frame {token}"
        cameras = {
            name: self._load_camera(place, paths["cams"], name, picture_size) for name in CAMERA_NAMES if name in names
        }
        path = paths["lidar_path"] if LIDAR_NAME in names else None
        return Cameras(**cameras), NO_LIDAR if path is None else Lidar(read_lidar(locate(self.folder, path)), str(path))

    def _load_camera(
        self, place: str, cams: Mapping[str, Mapping[str, Any]], name: str, picture_size: Optional[Tuple[int, int]]
    ) -> Camera:
        key = name.upper()
        entry = cams.get(key, {})
        path, calibration = entry.get("data_path"), {}
        if path is None:
            return Camera()
        for own, (theirs, shape) in _CALIBRATION.items():
            calibration[own] = _check_array(f"{place}: cams.{key}.{theirs}", entry.get(theirs), shape)
        image, scale = read_reduced_image(locate(self.folder, path), picture_size)
        if scale != 1:
            calibration["intrinsics"] = calibration["intrinsics"] / np.array([[scale], [scale], [1]])
        return Camera(image=image, camera_path=str(path), **calibration)


def _check_array(place: str, value: Any, shape: Tuple[int, ...]) -> npt.NDArray[Any]:
    if value is None or not is_finite(value) or np.shape(value) != shape:
        raise DataError(f"{place}: expected finite numbers of shape {shape}, got {describe(value)}")
    return np.asarray(value)


@dataclass(frozen=True)
class SensorStore:
    """Sensor files of all splits: those of the logs in `navsim_logs/<split>` lie in `<root>/<split>`."""

    root: Path
    source: Optional[SensorSource] = None

    def open_log(self, log_path: Path) -> LogSensors:
        """The sensor files of a log."""
        return LogSensors(self.root / log_path.parent.name, log_path, self.source)

    def open_synthetic_scene(self, path: Path) -> LogSensors:
        """The sensor files of a synthetic scene, which lie beside the folder of the scenes."""
        return LogSensors(path.parent.parent / SENSOR_FOLDER, path)


def load_history(
    sensors: Optional[LogSensors], frames: Sequence[Any], config: Any
) -> Tuple[List[Cameras], List[Lidar]]:
    """What `config` asks for of each history frame (`scene.Frame`), oldest first; raises `DataError` as `load` does."""
    if not any(getattr(config, name) for name in SENSOR_NAMES):  # most agents, in no time
        return [NO_CAMERAS] * len(frames), [NO_LIDAR] * len(frames)
    picture_size = getattr(config, "picture_size", None)
    loaded: List[Tuple[Cameras, Lidar]] = []
    for index, frame in enumerate(frames):
        names = names_at(config, index)
        if names and sensors is None:
            raise DataError(f"frame {frame.token}: an agent asked for {', '.join(names)}, but no sensor files are open")
        if sensors and names:
            loaded.append(sensors.load(frame.token, frame.sensors, names, picture_size))
        else:
            loaded.append((NO_CAMERAS, NO_LIDAR))
    return [cameras for cameras, _ in loaded], [lidar for _, lidar in loaded]
