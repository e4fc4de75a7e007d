"""The ground's picture: albedo of the label raster in halved resolutions, so that far markings do not flicker."""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import Ground, GroundRaster
from latentvla_agent.world.rendering.compiled import compile_inlined, compile_kernel
from latentvla_agent.world.rendering.config import GROUND_ALBEDO

CHANNELS = 5  # red, green, blue, and the shares of paved (asphalt, markings) and of slabs (walkway)
PAVED, SLAB = 3, 4
BYTE = 255.0
MIN_CELLS = 8  # of the coarsest level


class GroundTexture(NamedTuple):
    """`labels` (H, W) is level 0; `texels` (T, 5) uint8 holds levels 1, 2, …, level k of shape `shapes[k]` from row
    `starts[k]` on; `palette` (L, 5) float32 is what the labels look like."""

    labels: Any
    texels: Any
    starts: Any
    shapes: Any
    palette: Any
    origin_x: float
    origin_y: float
    resolution: float


def make_palette() -> npt.NDArray[np.float32]:
    """Albedo and kind of each label, (L, 5), in 0…1."""
    palette = np.zeros((max(Ground) + 1, CHANNELS), np.float32)
    for label, albedo in GROUND_ALBEDO.items():
        palette[label, :PAVED] = albedo
        palette[label, PAVED] = label not in (Ground.TERRAIN, Ground.WALKWAY, Ground.KERB)
        palette[label, SLAB] = label == Ground.WALKWAY
    return palette


def make_texture(raster: GroundRaster) -> GroundTexture:
    """All levels of a raster, each half as fine as the one before."""
    palette = make_palette()
    shapes = [raster.labels.shape]
    while min(shapes[-1]) > MIN_CELLS:
        height, width = shapes[-1]
        shapes.append(((height + 1) // 2, (width + 1) // 2))
    sizes = [0] + [height * width for height, width in shapes[1:]]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    texels = np.zeros((max(sum(sizes), 1), CHANNELS), np.uint8)
    table = np.array(shapes, np.int64)
    labels = np.ascontiguousarray(raster.labels)
    _fill_levels(labels, palette, texels, starts, table)
    origin_x, origin_y = (float(value) for value in raster.origin)
    return GroundTexture(labels, texels, starts, table, palette, origin_x, origin_y, float(raster.resolution))


@compile_kernel
def _fill_levels(labels: Any, palette: Any, texels: Any, starts: Any, shapes: Any) -> None:
    for level in range(1, len(shapes)):
        height, width = shapes[level]
        above_height, above_width = shapes[level - 1]
        for row in range(height):
            for column in range(width):
                for channel in range(CHANNELS):
                    total = 0.0
                    for part in range(4):
                        i = min(2 * row + part // 2, above_height - 1)
                        j = min(2 * column + part % 2, above_width - 1)
                        if level == 1:
                            total += palette[labels[i, j], channel] * BYTE
                        else:
                            total += texels[starts[level - 1] + i * above_width + j, channel]
                    texels[starts[level] + row * width + column, channel] = np.uint8(total / 4.0 + 0.5)


@compile_inlined
def _add_texel(texture: GroundTexture, level: int, row: int, column: int, weight: float, out: Any) -> None:
    height, width = texture.shapes[level, 0], texture.shapes[level, 1]
    if row < 0 or column < 0 or row >= height or column >= width:
        for channel in range(CHANNELS):  # beyond the raster lies open land, label 0
            out[channel] += weight * texture.palette[0, channel]
    elif level == 0:
        label = texture.labels[row, column]
        for channel in range(CHANNELS):
            out[channel] += weight * texture.palette[label, channel]
    else:
        texel = texture.starts[level] + row * width + column
        for channel in range(CHANNELS):
            out[channel] += weight / BYTE * texture.texels[texel, channel]


@compile_kernel
def add_sample(texture: GroundTexture, x: float, y: float, level: int, weight: float, out: Any) -> None:
    """Add to `out` (5,) `weight` times the level's picture at (x, y), between the four nearest texels."""
    scale = 1.0 / (texture.resolution * (1 << level))
    column = (x - texture.origin_x) * scale - 0.5
    row = (y - texture.origin_y) * scale - 0.5
    j, i = int(np.floor(column)), int(np.floor(row))
    u, v = column - j, row - i
    _add_texel(texture, level, i, j, weight * (1.0 - u) * (1.0 - v), out)
    _add_texel(texture, level, i, j + 1, weight * u * (1.0 - v), out)
    _add_texel(texture, level, i + 1, j, weight * (1.0 - u) * v, out)
    _add_texel(texture, level, i + 1, j + 1, weight * u * v, out)


@compile_kernel
def sample_ground(
    texture: GroundTexture,
    point: Tuple[float, float],
    along: Tuple[float, float],
    widths: Tuple[float, float],
    max_taps: int,
    out: Any,
) -> None:
    """Mean look, into `out` (5,), of the ground below a pixel: an ellipse around `point` with the `widths` (across,
    along) in metres, its long axis in the unit direction `along`; up to `max_taps` samples in a row."""
    for channel in range(CHANNELS):
        out[channel] = 0.0
    taps = int(min(max(np.ceil(widths[1] / widths[0]), 1.0), float(max_taps)))
    width = max(widths[0], widths[1] / taps)
    fine = min(max(np.log2(width / texture.resolution), 0.0), float(len(texture.shapes) - 1))
    level = int(fine)
    share = fine - level
    for tap in range(taps):
        place = ((tap + 0.5) / taps - 0.5) * widths[1]
        x, y = point[0] + along[0] * place, point[1] + along[1] * place
        add_sample(texture, x, y, level, (1.0 - share) / taps, out)
        if share > 0.0:
            add_sample(texture, x, y, min(level + 1, len(texture.shapes) - 1), share / taps, out)
