"""Which rays to the sun may meet an actor at all, and what a wet ground mirrors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import Material
from latentvla_agent.world.rendering.compiled import cell_noise, compile_kernel, mix
from latentvla_agent.world.rendering.grids import Grid
from latentvla_agent.world.rendering.ground_texture import PAVED, SLAB, GroundTexture, sample_level
from latentvla_agent.world.rendering.lighting import Light
from latentvla_agent.world.rendering.shading import LEVEL, MIN_DESCENT
from latentvla_agent.world.rendering.sky import look_up_sky
from latentvla_agent.world.rendering.surfaces import Surfaces

GROUND, LAMP = int(Material.GROUND), int(Material.LAMP)
MAX_MIRROR_M = 70.0  # farther puddles mirror the sky only
RIPPLE_M = (0.35, 0.09)
MIRROR_LEVEL = 3  # of the ground texture, to ask whether it is paved
LEAST_PAVED = 0.5


@compile_kernel
def find_shadow_rays(grid: Grid, places: Any, sun: Any) -> Any:
    """Which of the rays (N,) from `places` to the sun start on a line that meets the ground in a marked cell."""
    found = np.zeros(len(places), np.bool_)
    rows, columns = grid.values.shape
    for index in range(len(places)):
        height = places[index, 2] / sun[2]
        column = int(np.floor((places[index, 0] - sun[0] * height - grid.x) / grid.cell))
        row = int(np.floor((places[index, 1] - sun[1] * height - grid.y) / grid.cell))
        if 0 <= row < rows and 0 <= column < columns:
            found[index] = grid.values[row, column] > 0.0
    return found


@compile_kernel
def aim_mirrored(
    origin: Any, directions: Any, hits: Any, surfaces: Surfaces, texture: GroundTexture, ripple: float, out: Any
) -> Any:
    """Which rays (N,) end on wet pavement near by; their mirrored unit directions (N, 3) go into `out`."""
    distances, faces, _, _ = hits
    chosen = np.zeros(len(faces), np.bool_)
    level = min(MIRROR_LEVEL, len(texture.shapes) - 1)
    for ray in range(len(faces)):
        face = faces[ray]
        dx, dy, dz = directions[ray, 0], directions[ray, 1], directions[ray, 2]
        if face < 0 or dz > -MIN_DESCENT or distances[ray] > MAX_MIRROR_M:
            continue
        if surfaces.materials[face] != GROUND or abs(surfaces.normals[face, 2]) < LEVEL:
            continue
        x, y = origin[0] + distances[ray] * dx, origin[1] + distances[ray] * dy
        ground = sample_level(texture, x, y, level)
        if ground[PAVED] + ground[SLAB] < LEAST_PAVED:
            continue
        nx, ny = 0.0, 0.0
        for layer in range(2):
            scale = 1.0 / RIPPLE_M[layer]
            nx += ripple * (cell_noise(x * scale, y * scale, 41 + layer) - 0.5)
            ny += ripple * (cell_noise(x * scale, y * scale, 51 + layer) - 0.5)
        dot = 2.0 * (dx * nx + dy * ny + dz)
        rx, ry, rz = dx - dot * nx, dy - dot * ny, max(dz - dot, 1e-3)
        length = 1.0 / np.sqrt(rx * rx + ry * ry + rz * rz)
        out[ray, 0], out[ray, 1], out[ray, 2] = rx * length, ry * length, rz * length
        chosen[ray] = True
    return chosen


@compile_kernel
def shade_mirrored(directions: Any, hits: Any, surfaces: Surfaces, light: Light, rays: Any, out: Any) -> None:
    """Rough radiance of what mirrored rays meet, into rows `rays` of `out`: no grain, no shadows."""
    distances, faces, _, _ = hits
    for index in range(len(faces)):
        ray, face = rays[index], faces[index]
        if face < 0:
            seen = look_up_sky(light.sky, directions[index, 0], directions[index, 1], directions[index, 2])
            out[ray, 0], out[ray, 1], out[ray, 2] = seen
            continue
        air = np.exp(-light.haze_per_m * distances[index])
        shines = surfaces.materials[face] == LAMP
        for channel in range(3):
            sky = light.lamp if shines else 0.7 * light.ambient[channel]
            out[ray, channel] = mix(light.haze[channel], surfaces.albedos[face, channel] * sky, air)


def no_mirror(count: int) -> npt.NDArray[np.float32]:
    """What is handed on where no ray was mirrored."""
    return np.full((count, 3), -1.0, np.float32)
