"""Where a picture has edges that one ray per pixel would show as steps."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np

from latentvla_agent.world.meshes.mesh import Material
from latentvla_agent.world.rendering.compiled import compile_inlined, compile_kernel
from latentvla_agent.world.rendering.config import EdgeLimits
from latentvla_agent.world.rendering.surfaces import Surfaces

FOLIAGE = int(Material.FOLIAGE)
SAME_PLANE = 0.9999  # cosine between the normals of faces of one plane
COLOUR_STEP = 0.04  # sum over the channels of the albedo


@compile_inlined
def _differ(first: int, second: int, far: Tuple[float, float], surfaces: Surfaces, limits: EdgeLimits) -> bool:
    """Whether two neighbours show different things."""
    if first == second:
        return False
    if first < 0 or second < 0 or surfaces.objects[first] != surfaces.objects[second]:
        return True
    if surfaces.materials[first] != surfaces.materials[second]:
        return True
    ratio = max(far[0], far[1]) / min(far[0], far[1])
    if surfaces.materials[first] == FOLIAGE:
        return ratio > limits.leaf_ratio
    dot, change = 0.0, 0.0
    for axis in range(3):
        dot += surfaces.normals[first, axis] * surfaces.normals[second, axis]
        change += abs(surfaces.albedos[first, axis] - surfaces.albedos[second, axis])
    if abs(dot) < limits.cosine or change > COLOUR_STEP:
        return True
    # On a plane seen at a slant the distance jumps from row to row without an edge.
    return abs(dot) < SAME_PLANE and ratio > limits.ratio


@compile_inlined
def _contrast(radiance: Any, here: int, there: int, exposure: float) -> float:
    """Greatest difference over the channels of the roots of exposed radiance, nearly as the eye sees it."""
    greatest = 0.0
    for channel in range(3):
        first = np.sqrt(max(radiance[here, channel], 0.0) * exposure)
        second = np.sqrt(max(radiance[there, channel], 0.0) * exposure)
        greatest = max(greatest, abs(first - second))
    return greatest


@compile_kernel
def find_edges(
    distances: Any,
    faces: Any,
    radiance: Any,
    surfaces: Surfaces,
    shape: Tuple[int, int],
    exposure: float,
    limits: EdgeLimits,
) -> Any:
    """Which pixels (H * W,) border, in any of the four directions, on another thing of another brightness."""
    height, width = shape
    edges = np.zeros(height * width, np.bool_)
    for row in range(height):
        for column in range(width):
            here = row * width + column
            for step in range(2):
                if (step == 0 and column == width - 1) or (step == 1 and row == height - 1):
                    continue
                there = here + (1 if step == 0 else width)
                if edges[here] and edges[there]:
                    continue
                far = (distances[here], distances[there])
                if _differ(faces[here], faces[there], far, surfaces, limits):
                    if _contrast(radiance, here, there, exposure) > limits.contrast:
                        edges[here] = True
                        edges[there] = True
    return edges
