"""What faces are made of, as tables for the kernels, and the patterns painted on them: windows, leaves, plaster."""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import Mesh
from latentvla_agent.world.rendering.compiled import (
    cell_noise,
    compile_inlined,
    compile_kernel,
    hash_cell,
    mix,
    smooth_step,
)
from latentvla_agent.world.rendering.config import SurfaceConfig, srgb_to_linear

LINEAR_OF_BYTE = srgb_to_linear(np.arange(256)).astype(np.float32)


class Surfaces(NamedTuple):
    """Per face: `normals` (F, 3) of unit length, `albedos` (F, 3) linear, `materials` (F,), `uv` (F, 3, 2) metres,
    `objects` (F,)."""

    normals: Any
    albedos: Any
    materials: Any
    uv: Any
    objects: Any


def measure_normals(mesh: Mesh) -> npt.NDArray[np.float32]:
    """Unit normals (F, 3) of the faces; zero for a face without area."""
    corners = mesh.vertices[mesh.faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: npt.NDArray[np.float32] = (normals / np.where(lengths > 0.0, lengths, 1.0)).astype(np.float32)
    return unit


def read_surfaces(mesh: Mesh) -> Surfaces:
    """Tables of one mesh."""
    return Surfaces(measure_normals(mesh), LINEAR_OF_BYTE[mesh.colours], mesh.materials, mesh.uv, mesh.objects)


class SurfaceTable:
    """Faces of the static mesh, then those of the frame's actors, in arrays that grow but are not copied per frame."""

    def __init__(self, static: Mesh):
        self.num_static = static.num_faces
        self._columns = list(read_surfaces(static))

    def with_actors(self, actors: Mesh) -> Surfaces:
        """Tables of both. Valid until the next call."""
        count = self.num_static + actors.num_faces
        for index, added in enumerate(read_surfaces(actors)):
            column = self._columns[index]
            if len(column) < count:
                column = np.concatenate([column[: self.num_static], added, added])
                self._columns[index] = column
            column[self.num_static : count] = added
        return Surfaces(*self._columns)


@compile_inlined
def _inside(low: float, high: float, value: float, blur: float) -> float:
    """Share of a pixel of width `blur` around `value` that is between `low` and `high`."""
    rising = min(max((value - low) / blur + 0.5, 0.0), 1.0)
    falling = min(max((high - value) / blur + 0.5, 0.0), 1.0)
    return min(rising, falling)


@compile_kernel
def paint_facade(
    u: float, v: float, blur: float, seed: int, look: SurfaceConfig
) -> Tuple[float, float, float, float, float]:
    """What a wall shows at (u, v) metres: (share of glass, share of frame, share of door, brightness of the glass's
    inside, a number in [0, 1) that is the window's own). `blur` is the width of the pixel."""
    blur = max(blur, 0.01)
    column, storey = np.floor(u / look.window_width_m), np.floor(v / look.storey_m)
    i, j = int(column), int(storey)
    own = hash_cell(i, j, seed)
    across = (u / look.window_width_m - column) * look.window_width_m
    up = (v / look.storey_m - storey) * look.storey_m
    left, right = look.window_left * look.window_width_m, look.window_right * look.window_width_m
    bottom, top = look.window_bottom * look.storey_m, look.window_top * look.storey_m
    is_door = False
    if j <= 0:
        is_door = hash_cell(i, 7, seed + 3) < look.door_share
        bottom = 0.02 * look.storey_m if is_door else 0.17 * look.storey_m
        top = look.shop_top * look.storey_m
        if not is_door:
            left, right = 0.08 * look.window_width_m, 0.92 * look.window_width_m
    frame = look.window_frame_m
    outer = _inside(left, right, across, blur) * _inside(bottom, top, up, blur)
    inner = _inside(left + frame, right - frame, across, blur) * _inside(bottom + frame, top - frame, up, blur)
    middle = (left + right) / 2.0
    bar = _inside(middle - frame / 2.0, middle + frame / 2.0, across, blur)
    inner *= 1.0 - min(bar, 1.0)
    if is_door:
        return 0.0, outer - inner, inner, 0.0, own
    blind = smooth_step(0.0, 0.05, top - frame - up - (top - bottom) * max(own * 1.6 - 0.9, 0.0))
    inside = mix(0.35, 0.02, blind)  # a drawn blind is pale, a room is dark
    return inner, outer - inner, 0.0, inside, own


@compile_inlined
def grain_leaves(x: float, y: float, z: float, blur: float, look: SurfaceConfig) -> float:
    """Factor on a tree's colour: lit and shaded leaves, smoothed out where a pixel holds many of them."""
    scale = 1.0 / look.leaf_m
    noise = cell_noise(x * scale + 0.71 * z * scale, y * scale - 0.53 * z * scale, 5)
    coarse = cell_noise((x + 0.6 * z) * 0.25 * scale, (y + 0.8 * z) * 0.25 * scale, 6)
    fine_fade = 1.0 - smooth_step(0.5, 2.0, blur * scale)
    return 1.0 + look.leaf_contrast * (fine_fade * (noise - 0.5) + 0.7 * (coarse - 0.5))


@compile_inlined
def grain_plaster(u: float, v: float, blur: float, look: SurfaceConfig) -> float:
    """Factor on a wall's colour: stains, and dirt near the ground."""
    noise = cell_noise(u / look.plaster_m, v / look.plaster_m, 9) - 0.5
    broad = cell_noise(u * 0.2, v * 0.2, 10) - 0.5
    fade = 1.0 - smooth_step(0.5, 2.0, blur / look.plaster_m)
    return 1.0 + look.plaster_contrast * (noise * fade + 1.2 * broad)
