"""Compiling the kernels once, before workers that would each compile them."""

from __future__ import annotations

import numpy as np

from latentvla_agent.scoring.kernels import Areas, Lights, SubScore
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.observation import Tracks
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.state import StateIndex
from latentvla_agent.scoring.versions import GENERATIONS


def compile_kernels() -> None:
    """Score a made-up scene, so that numba compiles (half a minute, once a machine) or loads its cache (0.3 s)."""
    Scorer().score(make_parking_lot(), np.zeros((1, 8, 3)))


def make_parking_lot() -> MetricCache:
    """A scene without road users that move: the ego stands on a square, a parked car beside it."""
    square = np.array([[-50.0, -50.0], [50.0, -50.0], [50.0, 50.0], [-50.0, 50.0], [-50.0, -50.0]])
    return MetricCache(
        token="parking-lot",
        log_name="parking-lot",
        map_name="parking-lot",
        timestamp=0,
        start=np.zeros(len(StateIndex)),
        history=np.zeros((14, len(StateIndex))),
        tracks=Tracks(
            tokens=["car"],
            types=np.zeros(1, dtype=np.int64),
            sizes=np.array([[4.0, 2.0]]),
            velocities=np.zeros((1, 2)),
            poses=np.full((11, 1, 3), 10.0),
            detected=np.ones((11, 1), dtype=np.bool_),
        ),
        areas=Areas(
            kinds=np.zeros(1, dtype=np.int64),
            on_route=np.ones(1, dtype=np.bool_),
            bounds=np.array([[-50.0, -50.0, 50.0, 50.0]]),
            polygon_starts=np.array([0, 1]),
            ring_starts=np.array([0, 5]),
            vertices=square,
        ),
        lights=Lights(np.zeros(1, dtype=np.int64), np.empty((0, 2)), np.empty((41, 0), dtype=np.bool_)),
        centerline=np.array([[0.0, 0.0], [100.0, 0.0]]),
        references=np.zeros((len(GENERATIONS), 41, 3)),
        reference_values=np.array([[0.0, 1.0]] * len(GENERATIONS)),
        human_fails=np.zeros(len(SubScore), dtype=np.bool_),
    )
