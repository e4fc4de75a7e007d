"""Beams at objects that the pattern of a lidar misses, though they are in view: between two cars, or small and far.

Who annotates a real cloud marks what has points, so in our logs, too, an object in view has at least one.
"""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.rendering.config import LidarConfig
from latentvla_agent.world.rendering.embree import Float32Array
from latentvla_agent.world.rendering.frame_scene import FrameScene
from latentvla_agent.world.rendering.lidar_beams import Beams


def aim_probes(scene: FrameScene, missed: npt.NDArray[Any], config: LidarConfig) -> Tuple[Beams, npt.NDArray[Any]]:
    """Beams from every lidar to some places on the objects `missed`, and the object (N,) that each is meant for."""
    targets, objects = _list_targets(scene, missed, config)
    parts: List[Tuple[npt.NDArray[Any], ...]] = []
    first_ring = 0
    for head in config.heads:
        offsets = targets - np.array(head.position)
        ranges = np.linalg.norm(offsets, axis=1)
        near = (ranges < config.always_seen_m) & (ranges > config.min_range_m)
        directions = offsets[near] / ranges[near, None]
        elevations = np.arcsin(directions[:, 2])
        rings = np.abs(elevations[:, None] - np.array(head.elevations)).argmin(axis=1) + first_ring
        origins = np.broadcast_to(np.array(head.position), directions.shape)
        parts.append((origins, directions, rings, np.full(len(rings), head.code), objects[near]))
        first_ring += len(head.elevations)
    origins, directions, rings, codes, meant = (np.concatenate(columns) for columns in zip(*parts))
    arrays = (array.astype(np.float32) for array in (origins, directions, rings, codes))
    return Beams(*arrays), meant


def _list_targets(
    scene: FrameScene, missed: npt.NDArray[Any], config: LidarConfig
) -> Tuple[npt.NDArray[np.float64], npt.NDArray[Any]]:
    """Middles (N, 3), in the ego frame, of some faces of each object, and the objects (N,)."""
    mesh = scene.actors.mesh
    chosen = [np.zeros(0, np.int64)]
    for index in missed:
        faces = np.flatnonzero(mesh.objects == index)
        chosen.append(faces[np.linspace(0, len(faces) - 1, min(len(faces), config.probes)).astype(np.int64)])
    faces = np.concatenate(chosen)
    middles = mesh.vertices[mesh.faces[faces]].astype(np.float64).mean(axis=1)
    x, y = middles[:, 0] - scene.pose[0], middles[:, 1] - scene.pose[1]
    cos, sin = np.cos(scene.pose[2]), np.sin(scene.pose[2])
    return np.column_stack([cos * x + sin * y, cos * y - sin * x, middles[:, 2]]), mesh.objects[faces]


def choose_probes(found: npt.NDArray[Any], meant: npt.NDArray[Any], distances: Float32Array) -> npt.NDArray[np.intp]:
    """Numbers of the probes to keep: for each object the nearest one that met what it was meant for."""
    hits = np.flatnonzero(found == meant)
    order = hits[np.lexsort((distances[hits], meant[hits]))]
    _, first = np.unique(meant[order], return_index=True)
    chosen: npt.NDArray[np.intp] = order[first]
    return chosen
