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

import math
from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.evaluation.results import ResultRow

FloatArray = npt.NDArray[np.float64]
Interval = Tuple[float, float]
ValuesByToken = Mapping[str, Mapping[str, npt.ArrayLike]]  # log -> token -> value, or values (seeds,)

NUM_SAMPLES = 2000
CONFIDENCE = 0.95
BATCH = 100  # replicates held in memory together
INTERVAL_DECIMALS = 6


def bootstrap_mean(
    values_by_log: Mapping[str, npt.ArrayLike], num_samples: int = NUM_SAMPLES, seed: int = 0
) -> Interval:
    """95 % interval (low, high) of the mean over all scenes.

    `values_by_log`: per log an array (scenes,), or (scenes, seeds) with the same number of seeds everywhere. Raises
    `ValueError` for no values, other shapes, or values that are not finite.
    """
    values, sizes = _stack_logs(values_by_log)
    replicates = _resample_means(values, sizes, num_samples, seed)
    return _interval(_resample_seeds(replicates, np.random.default_rng([seed, 1])))


def bootstrap_difference(
    first_by_log: ValuesByToken, second_by_log: ValuesByToken, num_samples: int = NUM_SAMPLES, seed: int = 0
) -> Interval:
    """95 % interval (low, high) of mean(first) - mean(second), paired by token.

    Both: log -> token -> value, or values (seeds,); the two may have different numbers of seeds, which are drawn apart.
    A replicate takes the same scenes of both. Raises `ValueError` where logs or tokens differ.
    """
    first_means, second_means = _resample_pair(first_by_log, second_by_log, num_samples, seed)
    return _interval(first_means - second_means)


def bootstrap_quotient(
    first_by_log: ValuesByToken, second_by_log: ValuesByToken, num_samples: int = NUM_SAMPLES, seed: int = 0
) -> Tuple[Optional[float], Optional[float]]:
    """95 % interval (low, high) of mean(first) / mean(second), drawn as in `bootstrap_difference`; neither negative.

    A bound is None where it is infinite: too many replicates drew nothing but zeros of the second. Replicates that drew
    nothing but zeros of both say nothing and are left out.
    """
    first_means, second_means = _resample_pair(first_by_log, second_by_log, num_samples, seed)
    says_something = (first_means > 0.0) | (second_means > 0.0)
    with np.errstate(divide="ignore"):
        quotients = np.sort(first_means[says_something] / second_means[says_something])
    if not quotients.size:
        return None, None
    tail = 0.5 * (1.0 - CONFIDENCE)  # no mean of two neighbours: one may be infinite
    low, high = (float(quotients[round(share * (quotients.size - 1))]) for share in (tail, 1.0 - tail))
    return low if math.isfinite(low) else None, high if math.isfinite(high) else None


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
    sums, counts = np.hsplit(_resample_means(columns, sizes, num_samples, seed), 2)
    has_all = (counts > 0.0).all(axis=1)
    return _interval(sums[has_all] / counts[has_all] @ np.asarray(weights, dtype=np.float64))


def resampled_levels(num_logs: int, num_seeds: int = 1) -> str:
    """What an interval is over, in words."""
    levels = ["logs"] * (num_logs > 1) + ["scenes"] + ["seeds"] * (num_seeds > 1)
    words = ", then ".join(levels)
    return words if num_logs > 1 else f"{words} of a single log (too narrow: other logs are not accounted for)"


def score_intervals(rows_by_agent: Mapping[str, Sequence[ResultRow]]) -> Dict[str, Dict[str, float]]:
    """`score_low` and `score_high` of every agent that has rows; failed scenes count 0, as in the headline.

    Agents with the same scenes are drawn together, which is the same as one by one and faster.
    """
    groups: Dict[Tuple[Tuple[str, str], ...], Dict[str, List[float]]] = {}
    for agent, rows in rows_by_agent.items():
        ordered = sorted(rows, key=lambda row: (row.log, row.token))
        scores = [row.score if row.valid else 0.0 for row in ordered]
        if rows:
            groups.setdefault(tuple((row.log, row.token) for row in ordered), {})[agent] = scores
    intervals: Dict[str, Dict[str, float]] = {}
    for scenes, scores_of in groups.items():
        _, sizes = np.unique([log for log, _ in scenes], return_counts=True)
        replicates = _resample_means(np.array(list(scores_of.values())).T, sizes, NUM_SAMPLES, seed=0)
        for agent, column in zip(scores_of, replicates.T):
            low, high = (round(bound, INTERVAL_DECIMALS) for bound in _interval(column))
            intervals[agent] = {"score_low": low, "score_high": high}
    return {agent: intervals[agent] for agent in rows_by_agent if agent in intervals}


def _stack_logs(values_by_log: Mapping[str, npt.ArrayLike]) -> Tuple[FloatArray, npt.NDArray[np.int64]]:
    """Values (scenes, seeds) of all logs in the order of their names, and the number of scenes of each."""
    arrays = [np.asarray(values_by_log[log], dtype=np.float64) for log in sorted(values_by_log)]
    arrays = [array[:, None] if array.ndim == 1 else array for array in arrays if array.size]
    if not arrays:
        raise ValueError("expected values of at least one scene, got none")
    if len({array.shape[1:] for array in arrays}) > 1 or arrays[0].ndim != 2:
        raise ValueError(f"expected (scenes,) or (scenes, seeds), got {sorted({array.shape for array in arrays})}")
    values = np.concatenate(arrays)
    if not np.isfinite(values).all():
        raise ValueError("values are not finite (NaN or infinity)")
    return values, np.array([len(array) for array in arrays])


def _resample_pair(
    first_by_log: ValuesByToken, second_by_log: ValuesByToken, num_samples: int, seed: int
) -> Tuple[FloatArray, FloatArray]:
    """Means (num_samples,) of both over the same scenes, seeds drawn apart."""
    _check_paired(first_by_log, second_by_log)
    sides: List[Dict[str, npt.ArrayLike]] = [
        {log: np.array([by_log[log][token] for token in sorted(first_by_log[log])]) for log in first_by_log}
        for by_log in (first_by_log, second_by_log)
    ]
    (first, sizes), (second, _) = (_stack_logs(side) for side in sides)
    replicates = _resample_means(np.hstack([first, second]), sizes, num_samples, seed)
    num_seeds = first.shape[1]
    first_means = _resample_seeds(replicates[:, :num_seeds], np.random.default_rng([seed, 1]))
    second_means = _resample_seeds(replicates[:, num_seeds:], np.random.default_rng([seed, 2]))
    return first_means, second_means


def _check_paired(first: ValuesByToken, second: ValuesByToken) -> None:
    pairs = [{(log, token) for log, scenes in side.items() for token in scenes} for side in (first, second)]
    unpaired = sorted(pairs[0] ^ pairs[1])
    if unpaired:
        raise ValueError(f"expected the same scenes on both sides, {len(unpaired)} are on one only, e.g. {unpaired[0]}")


def _resample_means(values: FloatArray, sizes: npt.NDArray[np.int64], num_samples: int, seed: int) -> FloatArray:
    """Means (num_samples, columns) of values (scenes, columns), whose logs lie one after the other in `sizes`."""
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


def _resample_seeds(means: FloatArray, rng: np.random.Generator) -> FloatArray:
    """From means (samples, seeds) to means (samples,) over seeds drawn with replacement."""
    if means.shape[1] == 1:
        return means[:, 0]
    result: FloatArray = np.take_along_axis(means, rng.integers(means.shape[1], size=means.shape), axis=1).mean(axis=1)
    return result


def _interval(replicates: FloatArray) -> Interval:
    tail = 50.0 * (1.0 - CONFIDENCE)
    low, high = np.percentile(replicates, [tail, 100.0 - tail])
    return float(low), float(high)
