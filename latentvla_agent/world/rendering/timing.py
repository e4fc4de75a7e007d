"""How fast sensors are rendered and written, on one core."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

from latentvla_agent.data.sensors import CAMERA_NAMES, LIDAR_NAME
from latentvla_agent.world.rendering.cache import SensorRenderer
from latentvla_agent.world.rendering.config import RenderConfig


@dataclass(frozen=True)
class RenderSpeed:
    """Seconds of processor time and of the clock for `frames` frames, and before them for opening the log once (map,
    street; kernels are compiled, or read from numba's cache, before that)."""

    frames: int
    cpu_s: float
    wall_s: float
    open_cpu_s: float

    @property
    def frames_per_cpu_second(self) -> float:
        """Frames per second of one core that has nothing else to do."""
        return self.frames / self.cpu_s


def measure_rendering(
    maps: Path,
    log_path: Path,
    tokens: Sequence[str],
    folder: Path,
    names: Sequence[str] = (*CAMERA_NAMES, LIDAR_NAME),
    config: RenderConfig = RenderConfig(),
) -> RenderSpeed:
    """Render and write the sensors `names` of the frames `tokens` of a log into `folder`, which must not hold them yet.

    The first token warms up and does not count. Includes encoding and writing.
    """
    SensorRenderer(maps, config).prepare(folder / "warm-up", log_path, tokens[0], names)
    source = SensorRenderer(maps, config)
    before = time.process_time()
    _ = source.open_log(log_path).renderer  # builds the street
    opened = time.process_time()
    source.prepare(folder, log_path, tokens[0], names)
    cpu, wall = time.process_time(), time.perf_counter()
    for token in tokens[1:]:
        source.prepare(folder, log_path, token, names)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return RenderSpeed(len(tokens) - 1, cpu, wall, opened - before)
