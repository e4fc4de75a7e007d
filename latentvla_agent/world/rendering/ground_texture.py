"""The ground's picture: albedo of the label raster in halved resolutions, so that far markings do not flicker."""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import Ground, GroundRaster
from latentvla_agent.world.rendering.compiled import compile_inlined, compile_kernel
from latentvla_agent.world.rendering.config import GROUND_ALBEDO

RED, GREEN, BLUE, PAVED, SLAB = range(5)  # albedo, and the shares of what is paved and of slabs (walkways)
CHANNELS = 5
# A texel is one number, since reading memory is what sampling costs: the channels in bits from these places on.
SHIFTS = (0, 8, 16, 24, 28)
BITS = (8, 8, 8, 4, 4)
BYTE_SHARE, NIBBLE_SHARE = 1.0 / 255.0, 1.0 / 15.0
MIN_CELLS = 8  # of the coarsest level
PLAIN_CELLS = (12, 64)
MIXED = 255
FINEST = 1.0  # level; single cells would show as steps along a slanted line

Look = Tuple[float, float, float, float, float]


class GroundTexture(NamedTuple):
    """`labels` (H, W) is level 0; `texels` (T,) uint32 holds levels 1, 2, …, level k of shape `shapes[k]` from
    `starts[k]` on; `palette` (L,) uint32 is what the labels look like. Outside lies open land, label 0.

    Most ground is plain: `fine_plain` and `coarse_plain` (uint8, cells of `PLAIN_CELLS` labels) say which label a cell
    and its eight neighbours are all of, or `MIXED`; there nothing needs to be averaged.
    """

    labels: Any
    texels: Any
    starts: Any
    shapes: Any
    palette: Any
    fine_plain: Any
    coarse_plain: Any
    origin_x: float
    origin_y: float
    resolution: float


def make_palette() -> npt.NDArray[np.float64]:
    """Albedo and kind of each label, (L, 5), in 0…1."""
    palette = np.zeros((max(Ground) + 1, CHANNELS))
    for label, albedo in GROUND_ALBEDO.items():
        palette[label, :PAVED] = albedo
        palette[label, PAVED] = label not in (Ground.TERRAIN, Ground.WALKWAY, Ground.KERB)
        palette[label, SLAB] = label == Ground.WALKWAY
    return palette


def pack_looks(looks: npt.NDArray[np.float64]) -> npt.NDArray[np.uint32]:
    """Texels (N,) of looks (N, 5) in 0…1."""
    packed = np.zeros(len(looks), np.uint32)
    for channel in range(CHANNELS):
        steps = np.round(looks[:, channel] * (2 ** BITS[channel] - 1)).astype(np.uint32)
        packed |= steps << np.uint32(SHIFTS[channel])
    return packed


def make_texture(raster: GroundRaster) -> GroundTexture:
    """All levels of a raster, each half as fine as the one before."""
    palette = pack_looks(make_palette())
    shapes = [raster.labels.shape]
    while min(shapes[-1]) > MIN_CELLS:
        height, width = shapes[-1]
        shapes.append(((height + 1) // 2, (width + 1) // 2))
    sizes = [0] + [height * width for height, width in shapes[1:]]
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64)
    texels = np.zeros(max(sum(sizes), 1), np.uint32)
    table = np.array(shapes, np.int64)
    labels = np.ascontiguousarray(raster.labels)
    _fill_levels(labels, palette, texels, starts, table)
    origin_x, origin_y = (float(value) for value in raster.origin)
    fine, coarse = (find_plain(labels, cells) for cells in PLAIN_CELLS)
    numbers = (origin_x, origin_y, float(raster.resolution))
    return GroundTexture(labels, texels, starts, table, palette, fine, coarse, *numbers)


def find_plain(labels: npt.NDArray[np.uint8], cells: int) -> npt.NDArray[np.uint8]:
    """Label of each block of `cells` x `cells` labels and of its eight neighbours, or `MIXED`."""
    height, width = (-(-size // cells) for size in labels.shape)
    blocks = np.full((height + 2, width + 2), Ground.TERRAIN, np.uint8)
    _fill_plain(labels, cells, blocks)
    spread = blocks[1:-1, 1:-1].copy()
    for row in range(3):
        for column in range(3):
            spread[blocks[row : row + height, column : column + width] != spread] = MIXED
    return spread


@compile_kernel
def _fill_plain(labels: Any, cells: int, blocks: Any) -> None:
    rows, columns = labels.shape
    for row in range(blocks.shape[0] - 2):
        for column in range(blocks.shape[1] - 2):
            label = labels[row * cells, column * cells]
            plain = True
            for i in range(row * cells, min((row + 1) * cells, rows)):
                for j in range(column * cells, min((column + 1) * cells, columns)):
                    plain = plain and labels[i, j] == label
            blocks[row + 1, column + 1] = label if plain else MIXED


@compile_inlined
def plain_label(texture: GroundTexture, x: float, y: float, width: float) -> int:
    """The label that everything within `width` / 2 of a place has, or `MIXED` where it is not known to be one."""
    j = int(np.floor((x - texture.origin_x) / texture.resolution))
    i = int(np.floor((y - texture.origin_y) / texture.resolution))
    if not (0 <= i < texture.labels.shape[0] and 0 <= j < texture.labels.shape[1]):
        return 0
    if width < PLAIN_CELLS[0] * texture.resolution:
        return int(texture.fine_plain[i // PLAIN_CELLS[0], j // PLAIN_CELLS[0]])
    if width < PLAIN_CELLS[1] * texture.resolution:
        return int(texture.coarse_plain[i // PLAIN_CELLS[1], j // PLAIN_CELLS[1]])
    return MIXED


@compile_kernel
def _fill_levels(labels: Any, palette: Any, texels: Any, starts: Any, shapes: Any) -> None:
    for level in range(1, len(shapes)):
        height, width = shapes[level, 0], shapes[level, 1]
        above_height, above_width, start = shapes[level - 1, 0], shapes[level - 1, 1], starts[level - 1]
        for row in range(height):
            for column in range(width):
                low, high, paved, slab = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
                for part in range(4):
                    i = min(2 * row + part // 2, above_height - 1)
                    j = min(2 * column + part % 2, above_width - 1)
                    texel = np.int64(palette[labels[i, j]] if level == 1 else texels[start + i * above_width + j])
                    low += texel & 0xFF00FF  # two channels are summed at once
                    high += (texel >> 8) & 0xFF
                    paved += (texel >> 24) & 0xF
                    slab += (texel >> 28) & 0xF
                low = ((low + 0x20002) >> 2) & 0xFF00FF
                high, paved, slab = (high + 2) >> 2, (paved + 2) >> 2, (slab + 2) >> 2
                packed = low | (high << 8) | (paved << 24) | (slab << 28)
                texels[starts[level] + row * width + column] = np.uint32(packed)


@compile_inlined
def unpack_texel(texel: int) -> Look:
    """What one texel shows, in 0…1."""
    bits = int(texel)
    red, green, blue = bits & 0xFF, (bits >> 8) & 0xFF, (bits >> 16) & 0xFF
    kinds = (((bits >> 24) & 0xF) * NIBBLE_SHARE, ((bits >> 28) & 0xF) * NIBBLE_SHARE)
    return red * BYTE_SHARE, green * BYTE_SHARE, blue * BYTE_SHARE, kinds[0], kinds[1]


@compile_inlined
def sample_level(texture: GroundTexture, x: float, y: float, level: int) -> Look:
    """The level's picture at (x, y), between the four nearest texels."""
    scale = 1.0 / (texture.resolution * (1 << level))
    column = (x - texture.origin_x) * scale - 0.5
    row = (y - texture.origin_y) * scale - 0.5
    j, i = int(np.floor(column)), int(np.floor(row))
    u, v = column - j, row - i
    height, width, start = texture.shapes[level, 0], texture.shapes[level, 1], texture.starts[level]
    red, green, blue, paved, slab = 0.0, 0.0, 0.0, 0.0, 0.0
    for part in range(4):
        below, aside = i + (part >> 1), j + (part & 1)
        texel = texture.palette[0]
        if 0 <= below < height and 0 <= aside < width:
            if level == 0:
                texel = texture.palette[texture.labels[below, aside]]
            else:
                texel = texture.texels[start + below * width + aside]
        bits = np.int64(texel)
        weight = (v if part >> 1 else 1.0 - v) * (u if part & 1 else 1.0 - u)
        red += weight * (bits & 0xFF)
        green += weight * ((bits >> 8) & 0xFF)
        blue += weight * ((bits >> 16) & 0xFF)
        paved += weight * ((bits >> 24) & 0xF)
        slab += weight * ((bits >> 28) & 0xF)
    return red * BYTE_SHARE, green * BYTE_SHARE, blue * BYTE_SHARE, paved * NIBBLE_SHARE, slab * NIBBLE_SHARE


@compile_inlined
def sample_ground(
    texture: GroundTexture,
    point: Tuple[float, float],
    along: Tuple[float, float],
    widths: Tuple[float, float],
    max_taps: int,
    dither: float,
) -> Look:
    """Mean look of the ground below a pixel: an ellipse around `point` with the `widths` (across, along) in metres,
    its long axis in the unit direction `along`; up to `max_taps` samples in a row. `dither` in [0, 1) chooses between
    the two levels that fit, so that no line shows where they change."""
    label = plain_label(texture, point[0], point[1], widths[1])
    if label != MIXED:
        return unpack_texel(texture.palette[label])
    taps = int(min(max(np.ceil(widths[1] / widths[0]), 1.0), float(max_taps)))
    width = max(widths[0], widths[1] / taps)
    fine = min(max(np.log2(width / texture.resolution), FINEST), float(len(texture.shapes) - 1))
    level = min(int(fine + dither), len(texture.shapes) - 1)
    red, green, blue, paved, slab = 0.0, 0.0, 0.0, 0.0, 0.0
    for tap in range(taps):
        place = ((tap + 0.5) / taps - 0.5) * widths[1]
        look = sample_level(texture, point[0] + along[0] * place, point[1] + along[1] * place, level)
        red, green, blue = red + look[0], green + look[1], blue + look[2]
        paved, slab = paved + look[3], slab + look[4]
    return red / taps, green / taps, blue / taps, paved / taps, slab / taps
