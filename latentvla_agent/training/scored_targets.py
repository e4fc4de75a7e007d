"""Targets for NAVSIM's own training of planners whose proposals are scored: the trajectory, and which scene it is.

NAVSIM hands a loss tensors and no tokens. So the metric cache of a scene is kept in a file that is named by a number,
and the number travels as a tensor.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, Optional

import numpy as np
import torch

from latentvla_agent.data.worlds import cache_base
from latentvla_agent.features.trajectory import TrajectoryTargets
from latentvla_agent.scoring.metric_cache import VERSION, build_metric_cache, cache_path, write_metric_cache

SCENE_NUMBER = "scene_number"
FOLDER, GROUP = "training-metric-caches", "scenes"


class ScoredTargets:
    """A target builder of NAVSIM's interface, for scenes of ours with maps; writes the metric caches it needs."""

    def __init__(self, num_poses: int, folder: Optional[Path] = None):
        self._trajectory = TrajectoryTargets(num_poses)
        self._folder = folder or default_folder()

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        return f"latentvla_scored_{self._trajectory.get_unique_name()}"

    def compute_targets(self, scene: Any) -> Dict[str, torch.Tensor]:
        """trajectory (T, 3) float32, scene_number () int64; the scene's metric cache is made if it is not there."""
        number = number_scene(scene.token)
        if not find_numbered_cache(number, self._folder).is_file():
            cache = build_metric_cache(scene, scene.map_api)
            write_metric_cache(replace(cache, log_name=GROUP, token=name_number(number)), self._folder)
        return {**self._trajectory.compute_targets(scene), SCENE_NUMBER: torch.tensor(number)}


def default_folder() -> Path:
    """Where the caches lie if no folder is named."""
    return cache_base() / f"{FOLDER}-{VERSION}"


def number_scene(token: str) -> int:
    """A number of 64 bits, the same in every process."""
    return int(np.frombuffer(hashlib.sha256(token.encode()).digest()[:8], "<i8")[0])


def name_number(number: int) -> str:
    """The number as a file name."""
    return f"{number & (2**64 - 1):016x}"


def find_numbered_cache(number: int, folder: Path) -> Path:
    """Where the metric cache of this scene lies."""
    return cache_path(folder, GROUP, name_number(number))
