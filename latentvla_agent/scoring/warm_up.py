"""Compiling the kernels once, before workers that would each compile them."""

from __future__ import annotations

import numpy as np

from latentvla_agent.scoring.areas import DrivableAreas
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.observation import Tracks
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.state import StateIndex


def compile_kernels() -> None:
    """Score a made-up scene, so that numba compiles (half a minute, once a machine) or loads its cache (0.3 s)."""
    cache = MetricCache(
        token="warm-up",
        log_name="warm-up",
        map_name="warm-up",
        timestamp=0,
        start=np.zeros(len(StateIndex)),
        tracks=_one_parked_car(),
        areas=_one_square(),
        centerline=np.array([[0.0, 0.0], [100.0, 0.0]]),
        reference=np.zeros((51, 3)),
    )
    Scorer().score(cache, np.zeros((1, 8, 3)))


def _one_parked_car() -> Tracks:
    return Tracks(
        tokens=["car"],
        types=np.zeros(1, dtype=np.int64),
        sizes=np.array([[4.0, 2.0]]),
        velocities=np.zeros((1, 2)),
        poses=np.full((11, 1, 3), 10.0),
        detected=np.ones((11, 1), dtype=bool),
    )


def _one_square() -> DrivableAreas:
    square = np.array([[-50.0, -50.0], [50.0, -50.0], [50.0, 50.0], [-50.0, 50.0], [-50.0, -50.0]])
    return DrivableAreas(
        kinds=np.zeros(1, dtype=np.int64),
        on_route=np.ones(1, dtype=bool),
        bounds=np.array([[-50.0, -50.0, 50.0, 50.0]]),
        polygon_starts=np.array([0, 1]),
        ring_starts=np.array([0, 5]),
        vertices=square,
    )
