"""Centrelines of nuScenes' map expansion: chains of Dubins paths, each of three turns or straights.

A piece is {start_pose [x, y, heading], end_pose, shape such as "LSR", radius [m], segment_length [three lengths, m]}.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Sequence

import numpy as np

from latentvla_agent.data.checks import Check, is_vector
from latentvla_agent.data.scene import FloatArray, PoseIndex

Piece = Dict[str, Any]

STEP_M = 1.0  # most between two points: the scorer looks for the nearest vertex
SAME_M = 0.02  # pieces meet to less than this
MAX_LENGTH_M = 10_000.0  # of a turn or straight
STRAIGHT_RADIUS_M = 999.999  # nuScenes' own for lanes that hardly bend
TURNS: Mapping[str, float] = {"L": 1.0, "S": 0.0, "R": -1.0}

PIECE_CHECKS: Dict[str, Check] = {
    "start_pose": ("x, y and heading", is_vector(3)),
    "shape": ("three letters of L, S, R", lambda value: isinstance(value, str) and _is_shape(value)),
    "radius": ("a number above 0", lambda value: is_vector(1)([value]) and value > 0),
    "segment_length": (
        f"three lengths up to {MAX_LENGTH_M:g} m",
        lambda value: is_vector(3)(value) and min(value) >= 0 and max(value) <= MAX_LENGTH_M,
    ),
}


def _is_shape(text: str) -> bool:
    return len(text) == 3 and set(text) <= set(TURNS)


def trace_path(pieces: Sequence[Piece]) -> FloatArray:
    """Points (M, 2) along the pieces, at most `STEP_M` apart and none twice; (0, 2) without pieces."""
    points: List[FloatArray] = [np.zeros((0, 2))]
    for piece in pieces:
        pose = np.array(piece["start_pose"], np.float64)
        points.append(pose[None, : PoseIndex.HEADING])
        for letter, length in zip(piece["shape"], piece["segment_length"]):
            poses = _follow(pose, TURNS[letter] / piece["radius"], float(length))
            points.append(poses[:, : PoseIndex.HEADING])
            pose = poses[-1]
    return _drop_repeats(np.concatenate(points))


def _follow(pose: FloatArray, curvature: float, length: float) -> FloatArray:
    """Poses (N, 3) along an arc from a pose (3,), without it, with the end."""
    steps = max(int(np.ceil(length / STEP_M)), 1)
    way = length * np.arange(1, steps + 1) / steps
    heading = pose[PoseIndex.HEADING]
    headings = heading + curvature * way
    if curvature == 0.0:
        x, y = way * np.cos(heading), way * np.sin(heading)
    else:
        x = (np.sin(headings) - np.sin(heading)) / curvature
        y = (np.cos(heading) - np.cos(headings)) / curvature
    return np.stack([pose[PoseIndex.X] + x, pose[PoseIndex.Y] + y, headings], axis=1)


def _drop_repeats(points: FloatArray) -> FloatArray:
    kept: List[FloatArray] = []
    for point in points:
        if not kept or np.hypot(*(point - kept[-1])) > SAME_M:
            kept.append(point)
    return np.array(kept).reshape(-1, 2)


def make_pieces(points: FloatArray) -> List[Piece]:
    """A line (M, 2) as pieces, one straight from each point to the next."""
    pieces = []
    for start, end in zip(points[:-1], points[1:]):
        heading = float(np.arctan2(*(end - start)[::-1]))
        pieces.append(
            {
                "start_pose": [*map(float, start), heading],
                "end_pose": [*map(float, end), heading],
                "shape": "LSR",
                "radius": STRAIGHT_RADIUS_M,
                "segment_length": [0.0, float(np.hypot(*(end - start))), 0.0],
            }
        )
    return pieces
