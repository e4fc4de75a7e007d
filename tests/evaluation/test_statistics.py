"""Intervals of one agent: each as if alone, and of means over the scenes that count."""

from __future__ import annotations

import time
from typing import Dict, List

import numpy as np
import pytest

from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.statistics import bootstrap_ratios, resampled_levels, score_intervals
from tests.evaluation.drawn_logs import draw_logs, interval_of_mean


def test_levels_are_told_in_words() -> None:
    assert resampled_levels(1) == "scenes of a single log (too narrow: other logs are not accounted for)"
    assert resampled_levels(10) == "logs, then scenes"
    assert resampled_levels(10, 3) == "logs, then scenes, then seeds"


def test_agents_together_get_the_interval_each_would_get_alone() -> None:
    rng = np.random.default_rng(6)
    rows = {
        agent: [ResultRow(f"t{i:03}", f"log-{i // 20}", agent, float(rng.random()), i % 7 > 0) for i in range(100)]
        for agent in ("one", "two")
    }
    together = score_intervals({**rows, "none": []})
    assert set(together) == {"one", "two"}
    assert together["one"] == score_intervals({"one": rows["one"]})["one"]
    by_log: Dict[str, List[float]] = {}
    for row in rows["one"]:
        by_log.setdefault(row.log, []).append(row.score if row.valid else 0.0)
    assert tuple(together["one"].values()) == pytest.approx(interval_of_mean(by_log), abs=1e-6)


@pytest.mark.slow
def test_navtest_with_ten_agents_takes_seconds() -> None:
    rng = np.random.default_rng(7)
    scores = rng.random((10, 12146))
    rows = {
        f"agent-{a}": [ResultRow(f"t{i}", f"log-{i // 83}", "", scores[a, i], True) for i in range(12146)]
        for a in range(10)
    }
    start = time.perf_counter()
    score_intervals(rows)
    assert time.perf_counter() - start < 10.0  # 1.2 s where nothing else runs


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
