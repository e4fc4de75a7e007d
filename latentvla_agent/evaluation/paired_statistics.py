"""How far apart agents are that drove in the same scenes: the intervals of `statistics`, with the scenes drawn once for
all agents, so that what they share falls out and many pairs cost hardly more than one."""

from __future__ import annotations

import math
from typing import Dict, FrozenSet, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.statistics import (
    CONFIDENCE,
    INTERVAL_DECIMALS,
    NUM_SAMPLES,
    FloatArray,
    Interval,
    resample_means,
    take_interval,
)

ValuesByToken = Mapping[str, Mapping[str, npt.ArrayLike]]  # log -> token -> value, or values (seeds,)


class PairedReplicates:
    """Means of agents in replicates of which each takes the same scenes of all agents.

    `values`: of each agent log -> token -> value, or values (seeds,); agents may have different numbers of seeds, which
    are drawn apart. Raises `ValueError` where logs or tokens differ between agents, for no values, other shapes, and
    values that are not finite.
    """

    def __init__(self, values: Mapping[str, ValuesByToken], num_samples: int = NUM_SAMPLES, seed: int = 0):
        first = next(iter(values.values()))
        for by_log in values.values():
            _check_paired(first, by_log)
        stacked = [_stack_scenes(by_log) for by_log in values.values()]
        sizes = np.array([len(first[log]) for log in sorted(first) if first[log]])
        means = resample_means(np.hstack(stacked), sizes, num_samples, seed)
        ends = np.cumsum([scenes.shape[1] for scenes in stacked])
        self._means = dict(zip(values, np.split(means, ends[:-1], axis=1)))  # agent -> (num_samples, seeds)
        self._seed = seed

    def mean(self, agent: str) -> Interval:
        """95 % interval (low, high) of an agent's mean over all scenes and seeds."""
        return take_interval(self._draw_seeds(agent, 1))

    def difference(self, first: str, second: str) -> Interval:
        """95 % interval (low, high) of mean(first) - mean(second)."""
        return take_interval(self._draw_seeds(first, 1) - self._draw_seeds(second, 2))

    def quotient(self, first: str, second: str) -> Tuple[Optional[float], Optional[float]]:
        """95 % interval (low, high) of mean(first) / mean(second), neither of which is ever negative.

        A bound is None where it is infinite: too many replicates drew nothing but zeros of the second. Replicates that
        drew nothing but zeros of both say nothing and are left out.
        """
        dividend, divisor = self._draw_seeds(first, 1), self._draw_seeds(second, 2)
        says_something = (dividend > 0.0) | (divisor > 0.0)
        with np.errstate(divide="ignore"):
            quotients = np.sort(dividend[says_something] / divisor[says_something])
        if not quotients.size:
            return None, None
        tail = 0.5 * (1.0 - CONFIDENCE)  # no mean of two neighbours: one may be infinite
        low, high = (float(quotients[round(share * (quotients.size - 1))]) for share in (tail, 1.0 - tail))
        return low if math.isfinite(low) else None, high if math.isfinite(high) else None

    def _draw_seeds(self, agent: str, side: int) -> FloatArray:
        """Means (num_samples,) over seeds drawn with replacement; `side` 1 and 2 draw apart."""
        means = self._means[agent]
        if means.shape[1] == 1:
            return means[:, 0]
        drawn = np.random.default_rng([self._seed, side]).integers(means.shape[1], size=means.shape)
        result: FloatArray = np.take_along_axis(means, drawn, axis=1).mean(axis=1)
        return result


def score_intervals(rows_by_agent: Mapping[str, Sequence[ResultRow]]) -> Dict[str, Dict[str, float]]:
    """`score_low` and `score_high` of every agent that has rows; failed scenes count 0, as in the headline.

    Agents with the same scenes are drawn together, which is the same as one by one and faster.
    """
    groups: Dict[FrozenSet[Tuple[str, str]], Dict[str, Dict[str, Dict[str, float]]]] = {}
    for agent, rows in rows_by_agent.items():
        by_log: Dict[str, Dict[str, float]] = {}
        for row in rows:
            by_log.setdefault(row.log, {})[row.token] = row.score if row.valid else 0.0
        if rows:
            groups.setdefault(frozenset((row.log, row.token) for row in rows), {})[agent] = by_log
    intervals: Dict[str, Interval] = {}
    for group in groups.values():
        replicates = PairedReplicates(group)
        intervals.update({agent: replicates.mean(agent) for agent in group})
    return {
        agent: {key: round(bound, INTERVAL_DECIMALS) for key, bound in zip(("score_low", "score_high"), interval)}
        for agent, interval in intervals.items()
    }


def bootstrap_difference(first: ValuesByToken, second: ValuesByToken) -> Interval:
    """95 % interval (low, high) of mean(first) - mean(second) of two agents alone; see `PairedReplicates`."""
    return PairedReplicates({"first": first, "second": second}).difference("first", "second")


def _check_paired(first: ValuesByToken, second: ValuesByToken) -> None:
    pairs = [{(log, token) for log, scenes in side.items() for token in scenes} for side in (first, second)]
    unpaired = sorted(pairs[0] ^ pairs[1])
    if unpaired:
        raise ValueError(f"expected the same scenes on both sides, {len(unpaired)} are on one only, e.g. {unpaired[0]}")


def _stack_scenes(by_log: ValuesByToken) -> FloatArray:
    """Values (scenes, seeds), logs and their tokens in the order of their names."""
    rows = [np.asarray(by_log[log][token], np.float64) for log in sorted(by_log) for token in sorted(by_log[log])]
    if not rows:
        raise ValueError("expected values of at least one scene, got none")
    shapes = {row.shape for row in rows}
    if len(shapes) > 1 or rows[0].ndim > 1:
        raise ValueError(f"expected a value of each scene, or as many of each, (seeds,), got {sorted(shapes)}")
    values = np.stack(rows).reshape(len(rows), -1)
    if not np.isfinite(values).all():
        raise ValueError("values are not finite (NaN or infinity)")
    return values
