"""Trajectories as words: every number of every pose is one of a few hundred, as vision-language-action models write.

What that costs before any model has erred is the floor of such a model: an agent may replay the human's path in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import PoseIndex
from latentvla_agent.errors import ConfigError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PoseBins:
    """`count` equal bins between `low` and `high` [m, m, rad] for x, y and heading, as OpenVLA has 256 per number."""

    count: int = 256
    low: Tuple[float, ...] = (-5.0, -30.0, -3.2)
    high: Tuple[float, ...] = (75.0, 30.0, 3.2)

    def __post_init__(self) -> None:
        if self.count < 2 or not len(self.low) == len(self.high) == len(PoseIndex):
            raise ConfigError(f"expected at least 2 bins and ranges of {len(PoseIndex)} numbers, got {self}")

    @property
    def width(self) -> FloatArray:
        """Of a bin, (3,)."""
        return (np.array(self.high) - np.array(self.low)) / self.count

    def centers(self) -> FloatArray:
        """What each bin stands for, (3, count)."""
        return np.array(self.low)[:, None] + self.width[:, None] * (np.arange(self.count) + 0.5)

    def write(self, poses: FloatArray) -> npt.NDArray[np.int64]:
        """Poses (..., 3) to bins; what lies beyond gets the outermost."""
        index = np.floor((np.asarray(poses, np.float64) - np.array(self.low)) / self.width)
        return np.clip(index, 0, self.count - 1).astype(np.int64)

    def read(self, bins: npt.NDArray[np.int64]) -> FloatArray:
        """Bins (..., 3) to poses."""
        return np.array(self.low) + self.width * (np.asarray(bins) + 0.5)
