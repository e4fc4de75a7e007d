"""Polygons and lines on a grid of cells, all shapes at once: array operations, no loop over cells and no library.

Vertices are whole cells (x, y), inside the grid or out of it. Which cells belong to a shape is what OpenCV's `fillPoly`
and `polylines` do (https://docs.opencv.org/4.x/d6/d6e/group__imgproc__draw.html): the inside of a polygon and the line
along its edge, which goes to the nearer cell at every step. Equal for shapes inside the grid; where an edge crosses the
border of the grid, OpenCV first moves its end to a whole cell of the border, and we do not.
"""

from __future__ import annotations

from typing import Any, Sequence, Tuple

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
HALF = 0.5 + 1e-9  # of a cell; what is halfway up to rounding is halfway
PLUS = np.array([[0, 0], [1, 0], [-1, 0], [0, 1], [0, -1]])


def draw_polygons(polygons: Sequence[IntArray], width: int, height: int) -> Mask:
    """(height, width) bool: the cells of polygons, each (V, 2) vertices, closed or not.

    Where edges of a polygon cross, what lies between an odd number and the next is inside.
    """
    mask = np.zeros((height, width), dtype=bool)
    if polygons:
        starts = np.concatenate(polygons)
        ends = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
        owners = np.repeat(np.arange(len(polygons)), [len(polygon) for polygon in polygons])
        _fill(mask, starts, ends, owners, 0.0)
        _trace(mask, starts, ends)
    return mask


def draw_lines(lines: Sequence[IntArray], width: int, height: int) -> Mask:
    """(height, width) bool: polylines, each (V, 2) vertices, as OpenCV's of thickness 2: three cells, round ends."""
    mask = np.zeros((height, width), dtype=bool)
    starts = np.concatenate([np.empty((0, 2), np.int64), *(line[:-1] for line in lines)])
    ends = np.concatenate([np.empty((0, 2), np.int64), *(line[1:] for line in lines)])
    _mark(mask, *(np.concatenate([starts, ends])[:, None] + PLUS).reshape(-1, 2).T)
    lengths = np.hypot(*(ends - starts).T)
    starts, ends, lengths = (array[lengths > 0.0] for array in (starts, ends, lengths))
    aside = (ends - starts)[:, ::-1] * [1.0, -1.0] / lengths[:, None]  # one cell to the side
    corners = np.stack([starts - aside, starts + aside, ends + aside, ends - aside], axis=1)
    others = np.roll(corners, -1, axis=1).reshape(-1, 2)
    corners = corners.reshape(-1, 2)
    _fill(mask, _level(corners), _level(others), np.repeat(np.arange(len(starts)), 4), 0.5)
    _trace(mask, corners, others)
    return mask


def _level(corners: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Corners moved to the middle of their row: rows are filled whole."""
    return np.stack([corners[:, 0], np.round(corners[:, 1])], axis=1)


def _fill(mask: Mask, starts: npt.NDArray[Any], ends: npt.NDArray[Any], owners: IntArray, margin: float) -> None:
    """Mark cells between the 1st and 2nd, 3rd and 4th … edge that an owner has in a row, `margin` of a cell beyond."""
    height, width = mask.shape
    falls = (starts[:, 1] > ends[:, 1])[:, None]
    low, high = np.where(falls, ends, starts), np.where(falls, starts, ends)
    first, last = (np.clip(side[:, 1], 0, height).astype(np.int64) for side in (low, high))  # rows [first, last)
    edge, step = _count_up(last - first)
    row = first[edge] + step
    slope = (high[:, 0] - low[:, 0]) / np.maximum(high[:, 1] - low[:, 1], 1)
    x = low[edge, 0] + slope[edge] * (row - low[edge, 1])
    order = np.lexsort((x, row, owners[edge]))
    row, left, right = row[order][::2], x[order][::2], x[order][1::2]
    changes = np.zeros((height, width + 1), dtype=np.int32)
    np.add.at(changes, (row, np.clip(np.ceil(left - margin), 0, width).astype(np.int64)), 1)
    np.add.at(changes, (row, np.clip(np.floor(right + margin) + 1, 0, width).astype(np.int64)), -1)
    mask |= np.cumsum(changes, axis=1)[:, :width] > 0


def _trace(mask: Mask, starts: npt.NDArray[Any], ends: npt.NDArray[Any]) -> None:
    """Mark the cells along straight lines, from left to right."""
    swap = (starts[:, 0] > ends[:, 0])[:, None]
    starts, ends = np.where(swap, ends, starts), np.where(swap, starts, ends)
    span = ends - starts
    along = np.abs(span).max(axis=1)
    line, step = _count_up(np.floor(along).astype(np.int64) + 1)
    cells = starts[line] + step[:, None] * (span / np.maximum(along, 1.0)[:, None])[line]
    backwards = span[line] < 0.0  # the first of two equally near cells is the one that the line comes from
    nearest = np.where(backwards, np.floor(cells + HALF), np.ceil(cells - HALF)).astype(np.int64)
    _mark(mask, *nearest.T)


def _mark(mask: Mask, x: IntArray, y: IntArray) -> None:
    inside = (x >= 0) & (x < mask.shape[1]) & (y >= 0) & (y < mask.shape[0])
    mask[y[inside], x[inside]] = True


def _count_up(counts: IntArray) -> Tuple[IntArray, IntArray]:
    """For counts (2, 3): which of them, 0 0 1 1 1, and how far in it, 0 1 0 1 2."""
    which = np.repeat(np.arange(len(counts)), counts)
    return which, np.arange(len(which)) - np.repeat(np.cumsum(counts) - counts, counts)
