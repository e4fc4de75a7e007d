"""Intervals cover, are reproducible, know that scenes of a log resemble each other, and leave out what agents share."""

from __future__ import annotations

import time
from typing import Dict, List, Optional, Tuple

import numpy as np
import pytest

from latentvla_agent.evaluation.paired_statistics import (
    PairedReplicates,
    ValuesByToken,
    bootstrap_difference,
    score_intervals,
)
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.statistics import NUM_SAMPLES
from tests.evaluation.drawn_logs import draw_logs, interval_of_mean, width_of


def divide(
    first: ValuesByToken, second: ValuesByToken, num_samples: int = NUM_SAMPLES
) -> Tuple[Optional[float], Optional[float]]:
    return PairedReplicates({"first": first, "second": second}, num_samples).quotient("first", "second")


def test_interval_covers_the_true_mean_in_about_95_of_100_cases() -> None:
    rng = np.random.default_rng(3)
    intervals = [interval_of_mean(draw_logs(rng, 30, 8, 0.1), num_samples=400) for _ in range(150)]
    covered = np.mean([low <= 0.5 <= high for low, high in intervals])
    assert 0.88 <= covered <= 0.99


def test_same_seed_gives_the_same_interval_in_any_order_of_logs() -> None:
    values = draw_logs(np.random.default_rng(0), 10, 25, 0.1)
    interval = interval_of_mean(values)
    assert interval_of_mean(dict(reversed(list(values.items())))) == interval
    assert interval_of_mean(values, seed=1) != interval


def test_correlated_scenes_widen_the_interval() -> None:
    values = draw_logs(np.random.default_rng(1), 10, 25, 0.2)
    pooled = np.concatenate(list(values.values()))
    naive = interval_of_mean({f"scene-{i}": [value] for i, value in enumerate(pooled)})
    assert width_of(interval_of_mean(values)) > 2.0 * width_of(naive)


def test_independent_scenes_do_not_widen_it_much() -> None:
    values = draw_logs(np.random.default_rng(1), 40, 25, 0.0)
    expected = 2 * 1.96 * 0.1 / np.sqrt(1000)
    assert expected * 0.8 < width_of(interval_of_mean(values)) < expected * 1.8


def test_single_log_falls_back_to_scenes() -> None:
    rng = np.random.default_rng(2)
    low, high = interval_of_mean({"only": 0.5 + 0.1 * rng.standard_normal(400)})
    assert high - low == pytest.approx(2 * 1.96 * 0.1 / 20, rel=0.15)


def test_seeds_are_drawn_for_all_scenes_at_once() -> None:
    rng = np.random.default_rng(4)
    by_seed = np.array([0.3, 0.5, 0.7])  # three networks of different quality, all scenes alike
    values = {f"log-{i}": by_seed + 0.001 * rng.standard_normal((20, 3)) for i in range(10)}
    low, high = interval_of_mean(values)
    assert low == pytest.approx(0.3, abs=0.01) and high == pytest.approx(0.7, abs=0.01)


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, "at least one scene, got none"),
        ({"a": []}, "at least one scene, got none"),
        ({"a": [0.1, float("nan")]}, "not finite"),
        ({"a": [[0.1, 0.2]], "b": [0.1]}, "a value of each scene, or as many of each"),
    ],
)
def test_unusable_values_are_refused(values: Dict[str, List[float]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interval_of_mean(values)


def test_paired_difference_ignores_what_both_share() -> None:
    rng = np.random.default_rng(5)
    shared = draw_logs(rng, 10, 20, 0.3)
    first = {log: {str(i): value + 0.02 for i, value in enumerate(values)} for log, values in shared.items()}
    second = {log: {str(i): value for i, value in reversed(list(enumerate(values)))} for log, values in shared.items()}
    low, high = bootstrap_difference(first, second)
    assert low == pytest.approx(0.02) and high == pytest.approx(0.02)
    assert width_of(interval_of_mean(shared)) > 0.1


def test_paired_difference_takes_different_numbers_of_seeds() -> None:
    first = {"a": {"1": [0.4, 0.6], "2": [0.4, 0.6]}, "b": {"3": [0.4, 0.6]}}
    second = {"a": {"1": [0.1], "2": [0.1]}, "b": {"3": [0.1]}}
    assert bootstrap_difference(first, second) == pytest.approx((0.3, 0.5))


def test_a_quotient_is_paired_and_covers_the_true_one() -> None:
    rng = np.random.default_rng(4)
    shared = {f"log-{i}": {str(k): 1.0 * (rng.random() < 0.4) for k in range(10)} for i in range(20)}
    halved = {log: {token: 0.5 * value for token, value in scenes.items()} for log, scenes in shared.items()}
    assert divide(halved, shared) == pytest.approx((0.5, 0.5)), "the same scenes on both sides"
    covered = 0
    for _ in range(60):
        sides = [
            {f"log-{i}": {str(k): 1.0 * (rng.random() < p) for k in range(10)} for i in range(30)} for p in (0.2, 0.4)
        ]
        low, high = divide(*sides, num_samples=300)
        assert low is not None and high is not None
        covered += low <= 0.5 <= high
    assert 50 <= covered <= 60


def test_a_quotient_of_nothing_has_no_bounds() -> None:
    zeros, ones = ({"a": {"1": value}, "b": {"2": value}} for value in (0.0, 1.0))
    assert divide(zeros, zeros) == (None, None)
    assert divide(zeros, ones) == (0.0, 0.0)
    assert divide(ones, zeros) == (None, None)
    low, high = divide(ones, {"a": {"1": 0.0}, "b": {"2": 1.0}})
    assert (low, high) == (1.0, None), "some replicates drew nothing but zeros"


def test_unpaired_scenes_are_refused() -> None:
    with pytest.raises(ValueError, match="1 are on one only, e.g. .'a', '2'."):
        bootstrap_difference({"a": {"1": 0.0, "2": 0.0}}, {"a": {"1": 0.0}})


def test_pairs_among_many_get_the_interval_they_would_get_alone() -> None:
    rng = np.random.default_rng(7)
    agents = {
        name: {f"log-{i}": {f"{i}-{k}": rng.random(seeds) for k in range(i + 1)} for i in range(8)}
        for name, seeds in (("one", 3), ("two", 1), ("three", 2))
    }
    together = PairedReplicates(agents)
    for first, second in (("one", "two"), ("two", "three"), ("three", "one")):
        alone = PairedReplicates({"a": agents[first], "b": agents[second]})
        assert together.mean(first) == pytest.approx(alone.mean("a"), abs=1e-12)
        assert together.difference(first, second) == pytest.approx(alone.difference("a", "b"), abs=1e-12)
        assert together.quotient(first, second) == pytest.approx(alone.quotient("a", "b"), abs=1e-12)


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
