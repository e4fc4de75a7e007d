"""How many lidar points lie above each cell of the ground: what TransFuser sees of a point cloud."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.sensor_files import LidarIndex, PointCloud


@dataclass(frozen=True)
class LidarHistogramConfig:
    """`size` x `size` cells over `reach` [m] to each side of the ego; points between two heights [m], both outside.

    Counts end at `max_count`. Defaults: NAVSIM's TransFuser, without its plane of points near the ground.
    """

    size: int = 256
    reach: float = 32.0
    min_height: float = 0.2
    max_height: float = 100.0
    max_count: int = 5


def count_points(points: PointCloud, config: LidarHistogramConfig) -> npt.NDArray[np.uint8]:
    """(1, size, size) counts of points (6, N) in the ego frame: rows from back to front, columns from right to left.

    A cell has its lower edges, the last one its upper edge too. Exact where cells per metre are a power of two.
    """
    x, y, z = (points[row] for row in (LidarIndex.X, LidarIndex.Y, LidarIndex.Z))
    reach = config.reach
    kept = (z > config.min_height) & (z < config.max_height)
    kept &= (x >= -reach) & (x <= reach) & (y >= -reach) & (y <= reach)
    row, column = (_find_cells(axis[kept], config) for axis in (x, y))
    counts = np.bincount(row * config.size + column, minlength=config.size**2)
    return np.minimum(counts, config.max_count).astype(np.uint8).reshape(1, config.size, config.size)


def _find_cells(positions: npt.NDArray[np.float32], config: LidarHistogramConfig) -> npt.NDArray[np.int64]:
    """Scaling comes first: adding the reach would round away the difference to a cell's edge."""
    scale = config.size / (2.0 * config.reach)
    cells: npt.NDArray[np.int64] = np.floor(positions * scale).astype(np.int64) + config.size // 2
    return np.minimum(cells, config.size - 1)
