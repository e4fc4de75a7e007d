"""What a planner with a live teacher gets: its own features, of sensors or none, and the teacher's."""

from __future__ import annotations

from typing import Any, Dict

import torch

from latentvla_agent.data.sensors import SENSOR_NAMES, SensorConfig


class FusedFeatures:
    """A feature builder of NAVSIM's interface, made of two."""

    def __init__(self, planner: Any, teacher: Any):
        self.planner, self.teacher = planner, teacher
        self.config = getattr(planner, "config", None)
        own = getattr(planner, "sensor_config", None)
        self.sensor_config = teacher.sensor_config if own is None else join_sensors(own, teacher.sensor_config)

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        return f"{self.planner.get_unique_name()}_{self.teacher.get_unique_name()}"

    def compute_features(self, agent_input: Any) -> Dict[str, torch.Tensor]:
        """Of both; what both have (`ego_status`) is the same."""
        return {**self.teacher.compute_features(agent_input), **self.planner.compute_features(agent_input)}


def join_sensors(first: SensorConfig, second: SensorConfig) -> SensorConfig:
    """Sensors that one of two wants, in pictures that are large enough for both."""
    wanted = {name: _join(getattr(first, name), getattr(second, name)) for name in SENSOR_NAMES}
    sizes = [config.picture_size for config in (first, second)]
    known = [size for size in sizes if size is not None]
    size = (max(width for width, _ in known), max(height for _, height in known)) if len(known) == len(sizes) else None
    return SensorConfig(**wanted, picture_size=size)


def _join(one: Any, other: Any) -> Any:
    """True is every history frame, a list some of them."""
    if one is True or other is True:
        return True
    return sorted({*(one or ()), *(other or ())}) or False
