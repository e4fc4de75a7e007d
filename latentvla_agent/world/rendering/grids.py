"""Squares of ground that say per cell what would cost rays: contact shadows, where shadows may fall, lamp light."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import Material, Mesh
from latentvla_agent.world.rendering.compiled import compile_inlined, compile_kernel
from latentvla_agent.world.rendering.config import RenderConfig, srgb_to_linear

WHITISH = 0.35  # the least colour of a street lamp, of its greatest; signals are coloured more
CLUSTER_M = 1.5  # faces of one lamp are nearer to each other
MIN_SUN_HEIGHT = 0.05  # below this sine the sun casts no shadow


class Grid(NamedTuple):
    """`values` (rows, columns) float32 of square cells; `x`, `y` the lower left corner, in the street's frame."""

    values: Any
    x: float
    y: float
    cell: float


@compile_inlined
def read_grid(grid: Grid, x: float, y: float) -> float:
    """The value at a place, between cells; 0 outside."""
    column, row = (x - grid.x) / grid.cell - 0.5, (y - grid.y) / grid.cell - 0.5
    j, i = int(np.floor(column)), int(np.floor(row))
    if i < 0 or j < 0 or i >= grid.values.shape[0] - 1 or j >= grid.values.shape[1] - 1:
        return 0.0
    u, v = column - j, row - i
    low = grid.values[i, j] * (1.0 - u) + grid.values[i, j + 1] * u
    high = grid.values[i + 1, j] * (1.0 - u) + grid.values[i + 1, j + 1] * u
    return low * (1.0 - v) + high * v


def make_grid(centre: npt.NDArray[np.float64], cells: int, cell: float) -> Grid:
    """An empty grid around a place."""
    half = cells * cell / 2.0
    return Grid(np.zeros((cells, cells), np.float32), float(centre[0] - half), float(centre[1] - half), cell)


def shade_contacts(grid: Grid, boxes: npt.NDArray[np.float64], reach: float, shade: float) -> None:
    """Darken the ground below and beside boxes (N, 5): x, y, length, width, heading; up to `shade`, fading over
    `reach` metres."""
    _shade_contacts(grid, boxes, reach, shade)


@compile_kernel
def _shade_contacts(grid: Grid, boxes: Any, reach: float, shade: float) -> None:
    rows, columns = grid.values.shape
    for box in range(len(boxes)):
        x, y, length, width, heading = boxes[box]
        cos, sin = np.cos(heading), np.sin(heading)
        half = np.hypot(length, width) / 2.0 + reach
        first_row, last_row = int((y - half - grid.y) / grid.cell), int((y + half - grid.y) / grid.cell) + 1
        first, last = int((x - half - grid.x) / grid.cell), int((x + half - grid.x) / grid.cell) + 1
        for row in range(max(first_row, 0), min(last_row, rows)):
            for column in range(max(first, 0), min(last, columns)):
                dx = grid.x + (column + 0.5) * grid.cell - x
                dy = grid.y + (row + 0.5) * grid.cell - y
                along = abs(cos * dx + sin * dy) - length / 2.0
                across = abs(cos * dy - sin * dx) - width / 2.0
                outside = np.hypot(max(along, 0.0), max(across, 0.0))
                inside = min(max(along, across), 0.0)
                distance = outside + inside + reach / 2.0  # starts inside: what stands on wheels is open at its rim
                share = min(max(1.0 - distance / (1.5 * reach), 0.0), 1.0)
                value = shade * share * share * (3.0 - 2.0 * share)
                if value > grid.values[row, column]:
                    grid.values[row, column] = value


@compile_kernel
def mark_shadows(grid: Grid, vertices: Any, faces: Any, sun: Any) -> None:
    """Set to 1 each cell of the ground onto which a face may cast its shadow: the rectangle around it, and a cell."""
    rows, columns = grid.values.shape
    for face in range(len(faces)):
        low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
        for corner in range(3):
            vertex = vertices[faces[face, corner]]
            x = vertex[0] - sun[0] / sun[2] * vertex[2]
            y = vertex[1] - sun[1] / sun[2] * vertex[2]
            low_x, high_x = min(low_x, x), max(high_x, x)
            low_y, high_y = min(low_y, y), max(high_y, y)
        first_row, last_row = int((low_y - grid.y) / grid.cell) - 1, int((high_y - grid.y) / grid.cell) + 2
        first, last = int((low_x - grid.x) / grid.cell) - 1, int((high_x - grid.x) / grid.cell) + 2
        for row in range(max(first_row, 0), min(last_row, rows)):
            for column in range(max(first, 0), min(last, columns)):
                grid.values[row, column] = 1.0


def light_lamps(mesh: Mesh, config: RenderConfig) -> Grid:
    """Light of the street lamps of a mesh on the ground, 1 right below one, as a grid over the whole mesh."""
    places = find_lamps(mesh, config.lamp_min_height_m)
    if len(places) == 0:
        return Grid(np.zeros((2, 2), np.float32), 0.0, 0.0, config.lamp_cell_m)
    low = places[:, :2].min(axis=0) - config.lamp_reach_m
    size = places[:, :2].max(axis=0) + config.lamp_reach_m - low
    columns, rows = (int(np.ceil(value / config.lamp_cell_m)) + 1 for value in size)
    grid = Grid(np.zeros((rows, columns), np.float32), float(low[0]), float(low[1]), config.lamp_cell_m)
    _light_lamps(grid, places, config.lamp_reach_m)
    return grid


def find_lamps(mesh: Mesh, min_height: float) -> npt.NDArray[np.float64]:
    """Places (L, 3) of the street lamps: whitish LAMP faces high above the ground, one per cluster."""
    colours = srgb_to_linear(mesh.colours)
    whitish = colours.min(axis=1) > WHITISH * colours.max(axis=1)
    centres = mesh.vertices[mesh.faces[:, 0]].astype(np.float64)
    chosen = (mesh.materials == Material.LAMP) & whitish & (centres[:, 2] > min_height)
    found = centres[chosen]
    _, first = np.unique(np.round(found[:, :2] / CLUSTER_M), axis=0, return_index=True)
    lamps: npt.NDArray[np.float64] = found[np.sort(first)]
    return lamps


@compile_kernel
def _light_lamps(grid: Grid, places: Any, reach: float) -> None:
    rows, columns = grid.values.shape
    span = int(reach / grid.cell) + 1
    for lamp in range(len(places)):
        x, y, z = places[lamp]
        middle_row, middle = int((y - grid.y) / grid.cell), int((x - grid.x) / grid.cell)
        for row in range(max(middle_row - span, 0), min(middle_row + span, rows)):
            for column in range(max(middle - span, 0), min(middle + span, columns)):
                dx = grid.x + (column + 0.5) * grid.cell - x
                dy = grid.y + (row + 0.5) * grid.cell - y
                square = dx * dx + dy * dy
                fade = max(1.0 - square / (reach * reach), 0.0)
                grid.values[row, column] += fade * (z * z / (square + z * z)) ** 1.5
