"""Intervals of means over the scenes that count, and what an interval is over in words."""

from __future__ import annotations

import numpy as np
import pytest

from latentvla_agent.evaluation.statistics import bootstrap_ratios, resampled_levels
from tests.evaluation.drawn_logs import draw_logs, interval_of_mean


def test_levels_are_told_in_words() -> None:
    assert resampled_levels(1) == "scenes of a single log (too narrow: other logs are not accounted for)"
    assert resampled_levels(10) == "logs, then scenes"
    assert resampled_levels(10, 3) == "logs, then scenes, then seeds"


def test_a_ratio_is_of_what_each_column_counts() -> None:
    """Half of the scenes have no second value: the mean of those that have one is bracketed, not zeros beside it."""
    rng = np.random.default_rng(4)
    values = np.column_stack([1.0 + 0.1 * rng.standard_normal(200), 3.0 + 0.1 * rng.standard_normal(200)])
    counted = np.column_stack([np.ones(200, bool), np.arange(200) % 2 == 0])
    logs = [f"log-{i % 20}" for i in range(200)]
    low, high = bootstrap_ratios(np.where(counted, values, 99.0), counted, logs, (0.5, 0.5))
    truth = 0.5 * values[:, 0].mean() + 0.5 * values[::2, 1].mean()
    assert low < truth < high and high - low < 0.1


def test_a_ratio_of_scenes_that_all_count_is_a_mean() -> None:
    values = draw_logs(np.random.default_rng(5), 10, 7, 0.1)
    flat = np.concatenate([values[log] for log in sorted(values)])[:, None]
    logs = [log for log in sorted(values) for _ in range(7)]
    uncounted = np.concatenate([flat, flat]), np.repeat([[True], [False]], 70, axis=0)
    assert bootstrap_ratios(*uncounted, logs * 2, [1.0]) == pytest.approx(interval_of_mean(values), abs=1e-12)


def test_replicates_without_any_scene_of_a_column_are_left_out() -> None:
    counted = np.array([[True, True], [True, False], [True, False]])
    assert bootstrap_ratios(np.full((3, 2), 2.0), counted, ["a", "b", "c"], [0.5, 0.5]) == (2.0, 2.0)
    with pytest.raises(ValueError, match="got a column without"):
        bootstrap_ratios(np.ones((3, 2)), counted & [True, False], ["a", "b", "c"], [0.5, 0.5])
