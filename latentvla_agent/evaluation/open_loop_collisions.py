"""Where a planned ego overlaps an object: exact boxes from above, or cells of a grid as UniAD and VAD have it."""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.nuscenes.database import FutureTruth
from latentvla_agent.data.scene import AgentBoxIndex, FloatArray, PoseIndex
from latentvla_agent.evaluation.open_loop_rules import OpenLoopRules

IntArray = npt.NDArray[np.int64]

CHUNK = 50_000  # pairs of boxes at once
_CORNERS = np.array([[0.5, 0.5], [-0.5, 0.5], [-0.5, -0.5], [0.5, -0.5]])  # counter-clockwise, of length and width


def reference_points(poses: FloatArray, rules: OpenLoopRules) -> FloatArray:
    """Points (..., 2) that the rules compare, of rear-axle poses (..., 3)."""
    return _move_ahead(poses[..., : PoseIndex.HEADING], poses[..., PoseIndex.HEADING], rules.reference)


def _move_ahead(points: FloatArray, headings: FloatArray, distance: float) -> FloatArray:
    return points + distance * np.stack([np.cos(headings), np.sin(headings)], axis=-1)


def find_collisions(poses: FloatArray, truths: Sequence[FutureTruth], rules: OpenLoopRules) -> npt.NDArray[np.bool_]:
    """Whether the ego at each of the poses (N, T, 3) overlaps an object of its sample and step; (N, T).

    Steps that are not valid in the truth have no objects.
    """
    egos = outline_egos(poses, rules)
    boxes, owners = _gather_boxes(truths, poses.shape[1], rules)
    centers = [AgentBoxIndex.X, AgentBoxIndex.Y]
    distance = np.linalg.norm(boxes[:, centers] - egos[owners][:, centers], axis=1)
    sides = [AgentBoxIndex.LENGTH, AgentBoxIndex.WIDTH]
    radii = np.linalg.norm(boxes[:, sides], axis=1) + np.linalg.norm([rules.ego_length, rules.ego_width])
    slack = 0.0 if rules.cell is None else 2.0 * rules.cell
    near = np.flatnonzero(distance <= radii / 2.0 + slack)
    hits = np.zeros(len(egos), bool)
    for begin in range(0, len(near), CHUNK):
        chosen = near[begin : begin + CHUNK]
        overlap = overlap_exactly if rules.cell is None else _GridOverlap(rules)
        hits[owners[chosen][overlap(egos[owners[chosen]], boxes[chosen])]] = True
    return hits.reshape(poses.shape[:2])


def outline_egos(poses: FloatArray, rules: OpenLoopRules) -> FloatArray:
    """Boxes (N * T, 5, see `AgentBoxIndex`) of the ego at rear-axle poses (N, T, 3)."""
    flat = poses.reshape(-1, len(PoseIndex))
    headings = flat[:, PoseIndex.HEADING] if rules.turns else np.zeros(len(flat))
    centers = _move_ahead(reference_points(flat, rules), headings, rules.ego_center - rules.reference)
    sides = np.broadcast_to([rules.ego_length, rules.ego_width], (len(flat), 2))
    return np.column_stack([centers, headings, sides])


def _gather_boxes(truths: Sequence[FutureTruth], num_steps: int, rules: OpenLoopRules) -> Tuple[FloatArray, IntArray]:
    """All objects of the rules' categories (M, 5), and the row (M,) of their sample and step among N * T."""
    boxes, owners = [np.zeros((0, len(AgentBoxIndex)))], [np.zeros(0, np.int64)]
    for number, truth in enumerate(truths):
        for step, (there, categories) in enumerate(zip(truth.boxes, truth.categories)):
            kept = np.array([category.startswith(rules.categories) for category in categories], bool)
            boxes.append(there[kept])
            owners.append(np.full(int(kept.sum()), number * num_steps + step))
    return np.concatenate(boxes), np.concatenate(owners)


def find_corners(boxes: FloatArray) -> FloatArray:
    """Corners (M, 4, 2), counter-clockwise, of boxes (M, 5, see `AgentBoxIndex`)."""
    local = _CORNERS * boxes[:, None, [AgentBoxIndex.LENGTH, AgentBoxIndex.WIDTH]]
    cos, sin = (turn(boxes[:, AgentBoxIndex.HEADING])[:, None] for turn in (np.cos, np.sin))
    x, y = local[..., 0], local[..., 1]
    turned = np.stack([cos * x - sin * y, sin * x + cos * y], axis=-1)
    corners: FloatArray = turned + boxes[:, None, [AgentBoxIndex.X, AgentBoxIndex.Y]]
    return corners


def overlap_exactly(first: FloatArray, second: FloatArray) -> npt.NDArray[np.bool_]:
    """Which pairs of boxes (P, 5) have points in common."""
    polygons = [shapely.polygons(find_corners(boxes)) for boxes in (first, second)]
    found: npt.NDArray[np.bool_] = shapely.intersects(*polygons)
    return found


class _GridOverlap:
    """Which pairs have a cell in common, (P,): as the published code draws both, up to a cell.

    An object fills the polygon between its corners, each moved to the nearest cell, and its outline, a line of cells:
    it grows by up to half a cell. The ego fills cells whose centres it covers when it stands at the origin; these move
    along with the plan, by whole cells.
    """

    def __init__(self, rules: OpenLoopRules) -> None:
        assert rules.cell is not None
        self.cell, self.rules = rules.cell, rules
        self.count = int(round(2.0 * rules.reach / rules.cell))
        self.shape = self._draw_ego()

    def _draw_ego(self) -> FloatArray:
        """Cells (C, 2) of the ego with its reference point at the origin."""
        offset = self.rules.ego_center - self.rules.reference
        centers = (np.arange(self.count) + 0.5) * self.cell - self.rules.reach
        along = np.flatnonzero(np.abs(centers - offset) <= self.rules.ego_length / 2.0)
        across = np.flatnonzero(np.abs(centers) <= self.rules.ego_width / 2.0)
        return np.stack(np.meshgrid(along, across, indexing="ij"), axis=-1).reshape(-1, 2).astype(np.float64)

    def __call__(self, egos: FloatArray, boxes: FloatArray) -> npt.NDArray[np.bool_]:
        origin = np.array([self.rules.reference, 0.0])  # of the grid, in the ego frame
        plans = egos[:, [AgentBoxIndex.X, AgentBoxIndex.Y]] - [self.rules.ego_center, 0.0]
        cells = np.floor(self.shape + plans[:, None] / self.cell)  # (P, C, 2)
        corners = np.round((find_corners(boxes) - origin + self.rules.reach) / self.cell)
        inside = np.all((cells >= 0) & (cells < self.count), axis=-1)
        found: npt.NDArray[np.bool_] = np.any(inside & _is_filled(cells, corners), axis=1)
        return found


def _is_filled(cells: FloatArray, corners: FloatArray) -> npt.NDArray[np.bool_]:
    """Which cells (P, C, 2) a convex polygon with corners (P, 4, 2) in cells, filled and outlined, takes; (P, C)."""
    low, high = corners.min(axis=1)[:, None], corners.max(axis=1)[:, None]
    filled = np.all((cells >= low) & (cells <= high), axis=-1)
    edges = np.roll(corners, -1, axis=1) - corners
    x, y = corners[..., 0], corners[..., 1]
    area = np.sum(x * np.roll(y, -1, axis=1) - y * np.roll(x, -1, axis=1), axis=1)
    side = np.where(area < 0, -1.0, 1.0)[:, None]  # rounding may turn a small box inside out
    for corner in range(corners.shape[1]):
        edge, offset = edges[:, None, corner], cells - corners[:, None, corner]
        cross = side * (edge[..., 0] * offset[..., 1] - edge[..., 1] * offset[..., 0])
        filled &= cross >= -0.5 * np.abs(edge).max(axis=-1)  # half a cell beyond: the line that outlines it
    return filled
