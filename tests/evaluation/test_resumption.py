"""What is done when a run goes on: answers, and scores of the plans of today; not what the infrastructure failed at."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.resumption import (
    finished_plans,
    finished_scores,
    hash_plans,
    is_transient,
    score_entry,
)
from latentvla_agent.evaluation.stages import ScoreItem
from latentvla_agent.evaluation.workers import run_in_workers
from tests.evaluation.handlers import EchoHandler

PLAN: Dict[str, Any] = {"agent": "a", "poses": [[0.1, 0.2, 0.3]], "interval": 0.5, "costs": {"total_ms": 1.0}}
OTHER: Dict[str, Any] = {**PLAN, "poses": [[0.1, 0.2, 0.4]]}
FAILED = {"agent": "a", "error": "OSError: disk not mounted"}
TIMED_OUT = {"agent": "a", "error": "timed out after 8 s"}
REF, BEFORE = (SceneRef(Path("log"), "log", start, f"t{start}", "city", None) for start in range(2))
GOOD_ROW, BAD_ROW = {"score": 0.5, "error": ""}, {"score": 0.0, "error": "ValueError: no"}


def plan_entry(prediction: Dict[str, Any], token: str = "t") -> Dict[str, Any]:
    return {"token": token, "prediction": prediction}


def test_what_workers_say_is_told_from_what_agents_say() -> None:
    """By the words of the pool itself."""
    chunks = [["raise", "hang"], ["exit", 1]]
    found = {outcome.item: outcome.error for outcome in run_in_workers(chunks, EchoHandler, 2, 1.0)}
    assert {item: is_transient(error) for item, error in found.items()} == {
        **{"raise": False, "hang": True},
        **{"exit": True, 1: False},
    }


@pytest.mark.parametrize("error", ["", "TimeoutError: timed out after 3 s", "RuntimeError: the worker died twice"])
def test_errors_of_agents_are_final(error: str) -> None:
    assert not is_transient(error)


def test_plans_that_are_done() -> None:
    entries = [plan_entry(PLAN, "1"), plan_entry(FAILED, "2"), plan_entry(TIMED_OUT, "3")]
    assert set(finished_plans(entries)) == {("a", "1"), ("a", "2")}
    assert set(finished_plans(entries, retry_failed=True)) == {("a", "1")}
    assert finished_plans([*entries, plan_entry(OTHER, "3")])[("a", "3")] == OTHER, "the last one counts"
    assert ("a", "1") not in finished_plans([*entries, plan_entry(TIMED_OUT, "1")])


def test_plans_without_the_details_that_are_wanted_are_not_done() -> None:
    entries = [plan_entry(PLAN, "1"), plan_entry(PLAN, "2"), plan_entry(FAILED, "3")]
    assert set(finished_plans(entries, told={("a", "2")})) == {("a", "2"), ("a", "3")}


def test_the_hash_knows_all_that_moves_a_score_and_nothing_else() -> None:
    def make(*plans: Any, **before: Any) -> str:
        return hash_plans(ScoreItem(REF, plans, **before))

    one = make(PLAN)
    assert one == make({**PLAN, "costs": {"total_ms": 2.0}}) == make(json.loads(json.dumps(PLAN)))
    before = [make(PLAN, previous_ref=BEFORE, previous=(own,)) for own in (PLAN, OTHER, None)]
    others = [make(OTHER), make(FAILED), make(PLAN, PLAN), make({**PLAN, "interval": 0.1}), *before]
    assert len({one, *others}) == 1 + len(others)


def test_scores_are_done_only_of_the_same_plans() -> None:
    item = ScoreItem(REF, (PLAN,))
    entry = score_entry(item, [GOOD_ROW], "")
    assert finished_scores([entry], {REF.token: item}) == {REF.token: [GOOD_ROW]}
    assert finished_scores([entry], {REF.token: ScoreItem(REF, (OTHER,))}) == {}
    assert finished_scores([{"token": REF.token, "rows": [GOOD_ROW]}], {REF.token: item}) == {}, "no hash, no telling"
    again = score_entry(ScoreItem(REF, (OTHER,)), [BAD_ROW], "")
    assert finished_scores([entry, again], {REF.token: item}) == {}, "the last one counts"


def test_scores_that_failed() -> None:
    item, unplanned = ScoreItem(REF, (PLAN,)), ScoreItem(REF, (FAILED,))
    assert finished_scores([score_entry(item, [BAD_ROW], "timed out after 8 s")], {REF.token: item}) == {}
    own = score_entry(item, [BAD_ROW], "ValueError: no")
    assert finished_scores([own], {REF.token: item}) == {REF.token: [BAD_ROW]}
    assert finished_scores([own], {REF.token: item}, retry_failed=True) == {}
    kept = finished_scores([score_entry(unplanned, [BAD_ROW], "")], {REF.token: unplanned}, retry_failed=True)
    assert kept == {REF.token: [BAD_ROW]}, "scoring again mends no plan"
