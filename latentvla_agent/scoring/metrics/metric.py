"""What a metric returns, and what all metrics look at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from latentvla_agent.scoring.config import VehicleConfig
from latentvla_agent.scoring.state import FloatArray, ego_centers, ego_corners

NO_STEP = -1  # no infraction in the scored horizon


@dataclass(frozen=True)
class MetricValues:
    """Value (N,), whether it could be computed (N,), 10 Hz step of the first infraction (N,) or `NO_STEP`."""

    value: FloatArray
    valid: npt.NDArray[np.bool_]
    first_step: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Rollouts:
    """N simulated rollouts: states (N, 41, 11), box corners (N, 41, 4, 2) and box centres (N, 41, 2)."""

    states: FloatArray
    corners: FloatArray
    centers: FloatArray


def make_rollouts(states: FloatArray, vehicle: VehicleConfig) -> Rollouts:
    """Add the ego boxes to simulated states."""
    return Rollouts(states, ego_corners(states, vehicle), ego_centers(states, vehicle))


def find_first_step(infraction: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """First True along the time axis of (N, T), `NO_STEP` where there is none."""
    return np.where(infraction.any(axis=1), infraction.argmax(axis=1), NO_STEP).astype(np.int64)


def values_of(value: FloatArray, first_step: npt.NDArray[np.int64]) -> MetricValues:
    """Values that are valid wherever they are finite."""
    return MetricValues(value, np.isfinite(value), first_step)
