"""What the benchmark works on: scenes of a split, trajectories, and scenes that are made crowded."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import List, Optional, Sequence

import numpy as np

from latentvla_agent.data.scene import FloatArray, PoseIndex, Scene, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.errors import TrajectoryError
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.observation import Tracks

SEED = 4
PLAN_FRAMES = 8  # 4 s at 2 Hz
HORIZON_S = 4.0
CROWD_RADIUS = 50.0  # metres around the ego in which more objects are placed


@dataclass(frozen=True)
class Proposals:
    """Trajectories (N, T, 3) in the ego frame and their sampling."""

    poses: FloatArray
    sampling: TrajectorySampling


def choose_refs(refs: Sequence[SceneRef], count: int) -> List[SceneRef]:
    """`count` scenes spread evenly over the split."""
    rows = np.unique(np.linspace(0, len(refs) - 1, min(count, len(refs))).round().astype(int))
    return [refs[row] for row in rows]


def vary_human(scene: Scene, count: int) -> Proposals:
    """The human's path at other speeds and bent to the sides; the same ones in every run."""
    rng = np.random.default_rng(SEED)
    human = scene.get_future_trajectory(PLAN_FRAMES)
    poses = human.poses * rng.uniform(0.2, 1.4, (count, 1, 1))
    bend = rng.normal(0.0, 0.03, (count, 1))
    along = poses[..., PoseIndex.X]
    poses[..., PoseIndex.Y] += 0.5 * bend * along
    poses[..., PoseIndex.HEADING] += bend
    return Proposals(poses, human.trajectory_sampling)


def read_vocabulary(path: Path, count: int) -> Proposals:
    """`count` trajectories of a vocabulary (V, T, 3) of 4 s, drawn with a fixed seed."""
    try:
        vocabulary = np.load(path, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise TrajectoryError(f"{path}: not a readable .npy file ({error})") from error
    if vocabulary.ndim != 3 or vocabulary.shape[2] != len(PoseIndex) or len(vocabulary) == 0:
        raise TrajectoryError(f"{path}: expected trajectories of shape (V, T, 3), got {vocabulary.shape}")
    rows = np.random.default_rng(SEED).integers(0, len(vocabulary), count)
    num_poses = vocabulary.shape[1]
    return Proposals(vocabulary[rows].astype(np.float64), TrajectorySampling(num_poses, HORIZON_S / num_poses))


def make_proposals(scene: Scene, count: int, vocabulary: Optional[Path]) -> Proposals:
    """Trajectories to score in a scene."""
    return vary_human(scene, count) if vocabulary is None else read_vocabulary(vocabulary, count)


def crowd_scene(cache: MetricCache, count: int) -> MetricCache:
    """The scene with `count` objects: copies of its own tracks, moved to random places around the ego."""
    rng, tracks = np.random.default_rng(SEED), cache.tracks
    rows = np.arange(count) % len(tracks.types)
    first = np.argmax(tracks.detected, axis=0)
    origins = tracks.poses[first, np.arange(len(tracks.types)), :2]
    targets = cache.start[:2] + rng.uniform(-CROWD_RADIUS, CROWD_RADIUS, (count, 2))
    poses = tracks.poses[:, rows].copy()
    poses[..., :2] += targets - origins[rows]
    crowd = Tracks(
        tokens=[f"object-{row}" for row in range(count)],
        types=tracks.types[rows],
        sizes=tracks.sizes[rows],
        velocities=tracks.velocities[rows],
        poses=poses,
        detected=np.ascontiguousarray(tracks.detected[:, rows]),
    )
    return replace(cache, tracks=crowd)
