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

# Steps of a sequence that fills the unit square evenly: powers of the plastic number's inverse.
PLASTIC = np.array([0.7548776662466927, 0.5698402909980532])


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
    """Places (N, 3), in the ego frame, all over the surface of each object, and the objects (N,)."""
    mesh = scene.actors.mesh
    places, objects = [np.zeros((0, 3))], [np.zeros(0, mesh.objects.dtype)]
    for index in missed:
        corners = mesh.vertices[mesh.faces[mesh.objects == index]].astype(np.float64)
        places.append(spread_places(corners, config.probes))
        objects.append(np.full(len(places[-1]), index, mesh.objects.dtype))
    found = np.concatenate(places)
    x, y = found[:, 0] - scene.pose[0], found[:, 1] - scene.pose[1]
    cos, sin = np.cos(scene.pose[2]), np.sin(scene.pose[2])
    return np.column_stack([cos * x + sin * y, cos * y - sin * x, found[:, 2]]), np.concatenate(objects)


def spread_places(corners: npt.NDArray[np.float64], count: int) -> npt.NDArray[np.float64]:
    """`count` places (N, 3) spread evenly, always alike, over triangles (F, 3, 3); none where these have no area."""
    edges = corners[:, 1:] - corners[:, :1]
    areas = np.cumsum(np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1))
    if len(areas) == 0 or areas[-1] <= 0.0:
        return np.zeros((0, 3))
    number = np.arange(count)
    rows = np.searchsorted(areas, (number + 0.5) / count * areas[-1])
    shares = number[:, None] * PLASTIC % 1.0
    shares = np.where(shares.sum(axis=1, keepdims=True) > 1.0, 1.0 - shares, shares)  # into the triangle
    placed: npt.NDArray[np.float64] = corners[rows, 0] + np.einsum("ns,nsx->nx", shares, edges[rows])
    return placed


def choose_probes(found: npt.NDArray[Any], meant: npt.NDArray[Any], distances: Float32Array) -> npt.NDArray[np.intp]:
    """Numbers of the probes to keep: for each object the nearest one that met what it was meant for."""
    hits = np.flatnonzero(found == meant)
    order = hits[np.lexsort((distances[hits], meant[hits]))]
    _, first = np.unique(meant[order], return_index=True)
    chosen: npt.NDArray[np.intp] = order[first]
    return chosen
