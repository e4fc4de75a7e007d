"""Sensor files that are rendered when somebody first asks for them.

A file is written whole or not at all, so that a process that is killed, or one that finds the disk full, leaves
nothing that looks like a picture; the same command then goes on. Two processes may render the same file: both write
the same bytes, and the later one wins.
"""

from __future__ import annotations

import time
import zlib
from collections import OrderedDict
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Set, Tuple

import numpy as np

from latentvla_agent.data.files import is_leftover, write_atomically
from latentvla_agent.data.logs import LogFrame, read_log
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.sensor_files import encode_image, encode_lidar, locate
from latentvla_agent.data.sensors import CAMERA_NAMES, LIDAR_NAME
from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.streets import build_street
from latentvla_agent.world.rendering.config import RenderConfig, read_setting
from latentvla_agent.world.rendering.renderer import Renderer
from latentvla_agent.world.rendering.views import ViewCache

LEFTOVER_AGE_S = 900.0  # of a temporary file that nobody can still be writing
MAX_OPEN_LOGS = 2  # a street takes about 200 MB


class OpenLog:
    """One log with its street, which is built when something is rendered: it takes seconds."""

    def __init__(self, log_path: Path, frames: Sequence[LogFrame], make_renderer: Callable[[], Renderer]):
        self.log_path = log_path
        self._make_renderer = make_renderer
        self.frames = tuple(frames)
        self._frames: Dict[str, LogFrame] = {str(frame["token"]): frame for frame in frames}

    @cached_property
    def renderer(self) -> Renderer:
        """What renders in this log's street."""
        return self._make_renderer()

    def frame_of(self, token: str) -> LogFrame:
        """The raw frame of a token; raises `DataError` where the log has none."""
        if token not in self._frames:
            raise DataError(f"{self.log_path}: expected a frame {token!r}, got none among {len(self._frames)}")
        return self._frames[token]


class SensorRenderer:
    """A `data.sensors.SensorSource`: renders the pictures and clouds of logs that are asked for and not there yet."""

    def __init__(self, maps: Path, config: RenderConfig = RenderConfig()):
        self.config = config
        self._maps = MapStore(maps)
        self._logs: OrderedDict[Path, OpenLog] = OrderedDict()
        self._cleaned: Set[Path] = set()
        self._views = ViewCache()

    def prepare(self, folder: Path, log_path: Path, token: str, names: Sequence[str]) -> None:
        """See to it that the files of these sensors (`cam_f0` … `lidar_pc`) in the frame `token` of a log are there.

        `folder` is that of the log's split, below which the log's own paths lie. Raises `DataError` for a path that
        leaves it, for a log that says nothing of a sensor, and where the disk does not take the file.
        """
        frame = self.open_log(log_path).frame_of(token)
        missing = []
        for name in names:
            path = locate(folder, path_in_log(frame, name))
            if not path.is_file():
                missing.append((name, path))
        for name, path in missing:
            self._remove_leftovers(path.parent)
            self._store(path, self._render(log_path, frame, name))

    def open_log(self, log_path: Path) -> OpenLog:
        """The log, with its street where one was needed; the last ones stay open."""
        key = log_path.resolve()
        if key not in self._logs:
            self._logs[key] = self._open(log_path)
            while len(self._logs) > MAX_OPEN_LOGS:
                self._logs.popitem(last=False)
        self._logs.move_to_end(key)
        return self._logs[key]

    def _open(self, log_path: Path) -> OpenLog:
        frames = read_log(log_path)
        if not frames:
            raise DataError(f"{log_path}: expected frames, got none")
        return OpenLog(log_path, frames, partial(self._make_renderer, frames))

    def _make_renderer(self, frames: Sequence[LogFrame]) -> Renderer:
        city_map = self._maps.load(str(frames[0]["map_location"]))
        path = np.array([frame["ego2global_translation"][:2] for frame in frames], np.float64)
        seed = street_seed(frames[0], self.config)
        street = build_street(city_map, path, self.config.street_radius_m, seed, list_signals(frames))
        return Renderer(street, self.config, views=self._views)

    def _render(self, log_path: Path, frame: LogFrame, name: str) -> bytes:
        renderer = self.open_log(log_path).renderer
        if name == LIDAR_NAME:
            return encode_lidar(renderer.scan_lidar(frame))
        return encode_image(renderer.render_cameras(frame, [name])[name], self.config.jpeg_quality)

    def _store(self, path: Path, content: bytes) -> None:
        try:
            write_atomically(path, content, durable=False)
        except OSError as error:
            raise DataError(f"{path}: expected room for a sensor file, got: {error.strerror or error}") from error

    def _remove_leftovers(self, folder: Path) -> None:
        """Remove what killed processes left of their temporary files, once per folder."""
        if folder in self._cleaned or not folder.is_dir():
            return
        self._cleaned.add(folder)
        oldest = time.time() - LEFTOVER_AGE_S
        for path in sorted(folder.glob(".*")):
            try:
                if is_leftover(path, (".jpg", ".pcd")) and path.stat().st_mtime < oldest:
                    path.unlink()
            except FileNotFoundError:  # another process was faster
                continue


def path_in_log(frame: Mapping[str, Any], name: str) -> Any:
    """What a raw frame says of the path of a sensor; raises `DataError` where it says nothing."""
    if name == LIDAR_NAME:
        found = frame.get("lidar_path")
    elif name in CAMERA_NAMES:
        found = frame.get("cams", {}).get(name.upper(), {}).get("data_path")
    else:
        raise DataError(f"sensors: expected some of {', '.join((*CAMERA_NAMES, LIDAR_NAME))}, got {name!r}")
    if found is None:
        raise DataError(f"frame {frame['token']}: expected a path of {name}, got none")
    return found


def street_seed(frame: Mapping[str, Any], config: RenderConfig) -> int:
    """Seed of the houses and trees: the world's own, or one that is made of the log's name."""
    seed = read_setting(frame, config).seed
    return seed or zlib.crc32(str(frame["log_name"]).encode())


def list_signals(frames: Sequence[Mapping[str, Any]]) -> List[str]:
    """Ids of the lane connectors that have a traffic light in any frame, sorted."""
    found: Set[str] = set()
    for frame in frames:
        found.update(str(connector) for connector, _ in frame["traffic_lights"])
        found.update(str(connector) for connector, _ in (frame.get("world") or {}).get("phases", ()))
    return sorted(found)


def ensure_sensors(
    roots: DataRoots,
    log_path: Path,
    tokens: Sequence[str],
    names: Sequence[str] = (*CAMERA_NAMES, LIDAR_NAME),
    config: RenderConfig = RenderConfig(),
    renderer: Optional[SensorRenderer] = None,
) -> Tuple[Path, ...]:
    """Render what is missing of the sensors `names` in frames of one log; returns the paths of all of them."""
    source = renderer or SensorRenderer(roots.maps, config)
    folder = roots.sensors / log_path.parent.name
    paths = []
    for token in tokens:
        source.prepare(folder, log_path, token, names)
        frame = source.open_log(log_path).frame_of(token)
        paths += [locate(folder, path_in_log(frame, name)) for name in names]
    return tuple(paths)
