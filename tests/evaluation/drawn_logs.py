"""Values of scenes that resemble each other within their log, and the interval of their mean."""

from __future__ import annotations

from typing import Dict, Mapping, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.evaluation.paired_statistics import PairedReplicates
from latentvla_agent.evaluation.statistics import NUM_SAMPLES


def draw_logs(
    rng: np.random.Generator, num_logs: int, num_scenes: int, log_spread: float
) -> Dict[str, npt.NDArray[np.float64]]:
    """Values around 0.5 that share a part within their log."""
    return {
        f"log-{i}": 0.5 + log_spread * rng.standard_normal() + 0.1 * rng.standard_normal(num_scenes)
        for i in range(num_logs)
    }


def width_of(interval: Tuple[float, float]) -> float:
    """High minus low."""
    return interval[1] - interval[0]


def interval_of_mean(
    values: Mapping[str, npt.ArrayLike], num_samples: int = NUM_SAMPLES, seed: int = 0
) -> Tuple[float, float]:
    """That of one agent: log -> values (scenes,) or (scenes, seeds)."""
    by_log = {log: {f"{i:04}": value for i, value in enumerate(np.asarray(own))} for log, own in values.items()}
    return PairedReplicates({"agent": by_log}, num_samples, seed).mean("agent")
