"""How far a mean can be trusted: a hierarchical bootstrap over logs, then scenes, then training seeds.

Scenes of one log overlap and resemble each other, so they are no independent draws; treating them as such gives an
interval three times too narrow on ten real logs. Here every replicate draws L of the L logs with replacement, then
within each drawn log as many of its scenes as it has, with replacement, and takes the mean over all drawn scenes (each
scene weighs the same, as in the headline). The interval is the percentile interval of the replicates.

Training seeds are the third level, given as several values per scene. A seed is one trained network that drives in all
scenes, so a replicate draws seeds once for all of its scenes (crossed, not nested): drawing them anew in every scene
would average the differences between networks away.

With a single log there is nothing to draw at the first level: the interval is then one over scenes, and too narrow
(`resampled_levels` says so). Equal input and seed give equal intervals; logs are taken in the order of their names.
"""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
Interval = Tuple[float, float]

NUM_SAMPLES = 2000
CONFIDENCE = 0.95
BATCH = 100  # replicates held in memory together
INTERVAL_DECIMALS = 6


def bootstrap_ratios(
    values: FloatArray,
    counted: npt.NDArray[np.bool_],
    logs: Sequence[str],
    weights: npt.ArrayLike,
    num_samples: int = NUM_SAMPLES,
    seed: int = 0,
) -> Interval:
    """95 % interval (low, high) of a weighted sum of means of which each is over the scenes that it counts.

    `values` and `counted`: (scenes, columns); `logs`: of the scenes; `weights`: (columns,). A replicate divides sums by
    counts of what it has drawn, for other scenes count in other columns; where a column has none, it is left out.
    Scenes that count nowhere are not drawn. Raises `ValueError` where a column counts no scene.
    """
    if not counted.any(axis=0).all():
        raise ValueError("expected scenes that count in every column, got a column without")
    rows = [row for row in np.argsort(logs, kind="stable") if counted[row].any()]
    _, sizes = np.unique(np.asarray(logs)[rows], return_counts=True)
    columns = np.hstack([np.where(counted, values, 0.0), counted])[rows]
    sums, counts = np.hsplit(resample_means(columns, sizes, num_samples, seed), 2)
    has_all = (counts > 0.0).all(axis=1)
    return take_interval(sums[has_all] / counts[has_all] @ np.asarray(weights, dtype=np.float64))


def resampled_levels(num_logs: int, num_seeds: int = 1) -> str:
    """What an interval is over, in words."""
    levels = ["logs"] * (num_logs > 1) + ["scenes"] + ["seeds"] * (num_seeds > 1)
    words = ", then ".join(levels)
    return words if num_logs > 1 else f"{words} of a single log (too narrow: other logs are not accounted for)"


def resample_means(values: FloatArray, sizes: npt.NDArray[np.int64], num_samples: int, seed: int) -> FloatArray:
    """Means (num_samples, columns) of values (scenes, columns), whose logs lie one after the other in `sizes`; equal
    sizes and seeds draw equal scenes."""
    rng = np.random.default_rng(seed)
    means = np.empty((num_samples, values.shape[1]))
    for begin in range(0, num_samples, BATCH):
        weights = np.stack([_draw_weights(rng, sizes) for _ in range(min(BATCH, num_samples - begin))])
        means[begin : begin + BATCH] = weights @ values
    return means


def _draw_weights(rng: np.random.Generator, sizes: npt.NDArray[np.int64]) -> FloatArray:
    """Weight (scenes,) of every scene in one replicate: how often it was drawn, summing up to 1."""
    starts = np.cumsum(sizes) - sizes
    logs = rng.integers(len(sizes), size=len(sizes)) if len(sizes) > 1 else np.zeros(1, dtype=np.int64)
    counts = sizes[logs]
    drawn = np.repeat(starts[logs], counts) + rng.integers(np.repeat(counts, counts))
    return np.bincount(drawn, minlength=int(sizes.sum())) / len(drawn)


def take_interval(replicates: FloatArray) -> Interval:
    """The percentile interval (low, high) of replicates (num_samples,)."""
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(replicates, [tail, 100.0 - tail])
    return float(low), float(high)
