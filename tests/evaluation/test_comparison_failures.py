"""Failures are counted plan by plan, and divided with an interval that knows logs and seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional

import pytest

from latentvla_agent.evaluation.comparison import choose_agents, compare
from latentvla_agent.evaluation.comparison_failures import ANY, KINDS, count_failures, divide_failures, fails
from latentvla_agent.evaluation.comparison_report import format_comparison
from latentvla_agent.evaluation.comparison_results import Result
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.scoring.versions import METRICS
from tests.evaluation.comparison_files import LOGS, TOKENS, make_scores, write_run
from tests.evaluation.test_comparison import put_together

METRIC = METRICS["pdms-v1.1"]


def make_result(agent: str, failing: Mapping[str, str], seed: int = 0, invalid: str = "") -> Result:
    """`failing`: the kind in which a token's plan fails."""
    rows = []
    for token in TOKENS:
        sub_scores: Dict[str, Optional[float]] = dict.fromkeys(METRIC.columns, 1.0)
        if token in failing:
            sub_scores[failing[token]] = 0.0
        rows.append(ResultRow(token, LOGS[token], agent, 1.0, token != invalid, "", sub_scores))
    means: Dict[str, Optional[float]] = dict.fromkeys((*METRIC.columns, "score"), 1.0)
    return Result(agent, Path(f"{agent}-{seed}.csv"), "", METRIC, tuple(rows), means, {}, seed=seed)


def divide(seeds: Mapping[str, List[Result]]) -> List[Dict[str, Any]]:
    return divide_failures(count_failures(seeds), seeds, LOGS)


def test_a_plan_fails_that_has_not_all_of_a_sub_score() -> None:
    row, *_ = make_result("a", {}).rows
    assert not any(fails(row, kind) for kind in (*KINDS, ANY))
    half: Dict[str, Any] = {**row.sub_scores, KINDS[0]: 0.5, "ego_progress": 0.1}
    row = ResultRow(row.token, row.log, "a", 0.5, True, "", half)
    assert [fails(row, kind) for kind in (*KINDS, ANY)] == [True, False, False, True]
    assert all(fails(ResultRow("t", "log", "a", error="ValueError: no"), kind) for kind in (*KINDS, ANY))


def test_plans_of_all_seeds_are_counted() -> None:
    first = make_result("a", {TOKENS[0]: KINDS[1], TOKENS[1]: KINDS[2]})
    second = make_result("a", {TOKENS[0]: KINDS[1]}, seed=1, invalid=TOKENS[5])
    (found,) = count_failures({"a": [first, second]})
    assert found == {"agent": "a", "plans": 40, KINDS[0]: 1, KINDS[1]: 3, KINDS[2]: 2, ANY: 4}


def test_shares_are_divided_pair_by_pair() -> None:
    often = make_result("often", {token: KINDS[0] for token in TOKENS[::2]})
    twice = make_result("rarely", {token: KINDS[1] for token in TOKENS[::4]})
    never = make_result("never", {})
    pairs = divide({"often": [often], "rarely": [twice], "never": [never]})
    assert [(pair["a"], pair["b"]) for pair in pairs] == [("often", "rarely"), ("often", "never"), ("rarely", "never")]
    assert pairs[0]["ratio"] == pytest.approx(2.0) and 1.0 <= pairs[0]["low"] <= 2.0 <= pairs[0]["high"]
    assert all(pair[name] is None for pair in pairs[1:] for name in ("ratio", "low", "high"))


def test_none_against_some_is_zero_and_some_against_hardly_any_has_no_upper_bound() -> None:
    one, many = make_result("one", {TOKENS[0]: KINDS[0]}), make_result("many", {token: KINDS[0] for token in TOKENS})
    (pair,) = divide({"none": [make_result("none", {})], "many": [many]})
    assert (pair["ratio"], pair["low"], pair["high"]) == (0.0, 0.0, 0.0)
    (pair,) = divide({"many": [many], "one": [one]})
    assert pair["ratio"] == pytest.approx(20.0) and 1.0 < pair["low"] < 20.0 and pair["high"] is None


def test_a_comparison_shows_them(tmp_path: Path) -> None:
    perfect = dict.fromkeys(TOKENS, 1.0)
    made = put_together(write_run(tmp_path, {"a": make_scores(), "b": perfect}))
    assert [one[ANY] for one in made["failures"]] == [20, 0] and made["failure_ratios"][0]["ratio"] is None
    (line,) = (line for line in format_comparison(made).splitlines() if line.startswith("a minus b"))
    assert line.split()[-1] == "-"
    alone = compare(choose_agents([make_result("a", {})]), {})
    assert alone["failure_ratios"] == [] and alone["failures"][0]["plans"] == 20
