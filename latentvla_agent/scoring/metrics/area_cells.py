"""Square cells that say of most points at once whether they are on the road and on the route.

A cell that no edge of a polygon crosses is inside it or outside as a whole. Only points in the other cells have to be
looked at one by one, which pays where many plans cross the same ground.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from latentvla_agent.scoring.area_index import find_slab, is_inside, is_road
from latentvla_agent.scoring.kernels import AreaIndex, compile_kernel

ROAD_INSIDE, ROAD_EDGE, ROUTE_INSIDE, ROUTE_EDGE = 1, 2, 4, 8  # bits of a cell
UNKNOWN = ROAD_EDGE | ROUTE_EDGE
CELL_M, MAX_CELLS = 0.5, 256  # side of a cell [m], unless more than so many in a row were needed
ROOM = 1e-4  # cells, keeps rounding out of which cells an edge crosses
FLAT = 1e-3  # cells, the height up to which an edge is taken for horizontal


class AreaCells(NamedTuple):
    """Bits (H, W) of the cells, of which the lowest corner is at (x, y) [m]; beyond them all is unknown."""

    bits: Any
    x: float
    y: float
    per_metre: float


@compile_kernel
def no_cells() -> AreaCells:
    """Nothing is known beforehand: for a plan or two."""
    return AreaCells(np.empty((0, 0), dtype=np.uint8), 0.0, 0.0, 1.0)


@compile_kernel
def look_up(cells: AreaCells, x: float, y: float) -> int:
    """Bits of the cell that holds (x, y)."""
    u, v = (x - cells.x) * cells.per_metre, (y - cells.y) * cells.per_metre
    if u >= 0.0 and v >= 0.0 and u < cells.bits.shape[1] and v < cells.bits.shape[0]:
        return cells.bits[int(v), int(u)]
    return UNKNOWN  # also for the NaN of a plan that overflows


@compile_kernel
def make_cells(areas: AreaIndex, box: Any) -> AreaCells:
    """Cells of the areas in the box (4,), min x, min y, max x, max y [m]."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    for p in range(areas.kinds.shape[0]):
        low_x, low_y = min(low_x, areas.bounds[p, 0]), min(low_y, areas.bounds[p, 1])
        high_x, high_y = max(high_x, areas.bounds[p, 2]), max(high_y, areas.bounds[p, 3])
    low_x, low_y = max(low_x, box[0]), max(low_y, box[1])
    width, height = min(high_x, box[2]) - low_x, min(high_y, box[3]) - low_y
    if not (width > 0.0 and height > 0.0):  # also where there are no areas
        return no_cells()
    per_metre = min(1.0 / CELL_M, MAX_CELLS / max(width, height))
    shape = int(height * per_metre) + 1, int(width * per_metre) + 1
    cells = AreaCells(np.zeros(shape, dtype=np.uint8), low_x, low_y, per_metre)
    crossed = np.zeros(shape, dtype=np.int32)
    spans = np.empty((shape[0], 2), dtype=np.int64)
    for p in range(areas.kinds.shape[0]):
        if is_road(areas.kinds[p]) or areas.on_route[p]:
            _add_area(areas, p, cells, crossed, spans)
    return cells


@compile_kernel
def _add_area(areas: AreaIndex, p: int, cells: AreaCells, crossed: Any, spans: Any) -> None:
    """Set the bits that polygon p gives. Scratch: `crossed` (H, W) is p + 1 where an edge of it runs, `spans` (H, 2)
    holds the first and the last cell of every row that it may reach."""
    spans[:, 0], spans[:, 1] = crossed.shape[1], -1
    _cross_edges(areas, p, cells, crossed, spans)
    road, route = is_road(areas.kinds[p]), areas.on_route[p]
    inside = (ROAD_INSIDE if road else 0) | (ROUTE_INSIDE if route else 0)
    edge = (ROAD_EDGE if road else 0) | (ROUTE_EDGE if route else 0)
    for row in range(crossed.shape[0]):
        y, value, is_known = cells.y + (row + 0.5) / cells.per_metre, 0, False
        for column in range(spans[row, 0], spans[row, 1] + 1):
            if crossed[row, column] == p + 1:
                cells.bits[row, column] |= edge
                is_known = False
                continue
            if not is_known:  # the first cell of a run answers for all
                value = inside if is_inside(areas, p, cells.x + (column + 0.5) / cells.per_metre, y) else 0
                is_known = True
            cells.bits[row, column] |= value


@compile_kernel
def _cross_edges(areas: AreaIndex, p: int, cells: AreaCells, crossed: Any, spans: Any) -> None:
    """Mark the cells that edges of polygon p run through."""
    count, low = areas.slab_starts[p + 1] - areas.slab_starts[p], areas.bounds[p, 1]
    bottom, top = cells.y, cells.y + crossed.shape[0] / cells.per_metre
    first = areas.slab_starts[p] + find_slab(bottom, low, areas.slab_scales[p], count)
    last = areas.slab_starts[p] + find_slab(top, low, areas.slab_scales[p], count)
    box, leaves = areas.bounds[p], False
    for e in range(areas.edge_starts[first], areas.edge_starts[last + 1]):
        x, y = areas.edges[e, 0], areas.edges[e, 1]
        _cross_edge(x, y, areas.edges[e, 2], areas.edges[e, 3], p + 1, cells, crossed, spans)
        leaves |= not (box[0] <= x <= box[2] and box[1] <= y <= box[3])
    if leaves:  # a hole of an invalid polygon goes beyond the bounds, where nothing is inside
        for x0, y0, x1, y1 in ((0, 1, 2, 1), (2, 1, 2, 3), (0, 3, 2, 3), (0, 1, 0, 3)):
            _cross_edge(box[x0], box[y0], box[x1], box[y1], p + 1, cells, crossed, spans)


@compile_kernel
def _cross_edge(
    x0: float, y0: float, x1: float, y1: float, mark: int, cells: AreaCells, crossed: Any, spans: Any
) -> None:
    """Mark the cells of an edge; what is left or right of all cells counts as in the outermost ones."""
    ax, ay = (x0 - cells.x) * cells.per_metre, (y0 - cells.y) * cells.per_metre
    bx, by = (x1 - cells.x) * cells.per_metre, (y1 - cells.y) * cells.per_metre
    bottom = max(int(np.floor(min(ay, by) - ROOM)), 0)
    top = min(int(np.floor(max(ay, by) + ROOM)), crossed.shape[0] - 1)
    for row in range(bottom, top + 1):
        left, right = min(ax, bx), max(ax, bx)
        if abs(by - ay) > FLAT:
            start = ax + (bx - ax) * min(max((row - ROOM - ay) / (by - ay), 0.0), 1.0)
            end = ax + (bx - ax) * min(max((row + 1 + ROOM - ay) / (by - ay), 0.0), 1.0)
            left, right = min(start, end), max(start, end)
        first = min(max(int(np.floor(left - ROOM)), 0), crossed.shape[1] - 1)
        last = min(max(int(np.floor(right + ROOM)), 0), crossed.shape[1] - 1)
        spans[row, 0], spans[row, 1] = min(spans[row, 0], first), max(spans[row, 1], last)
        crossed[row, first : last + 1] = mark
