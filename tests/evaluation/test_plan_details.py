"""What agents weighed: asked for, kept in a file of its own, and read back checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.journal import Journal, read_lines
from latentvla_agent.evaluation.plan_details import (
    DETAILS,
    ask_details,
    check_details,
    keep_details,
    open_details,
    read_details,
)
from tests.evaluation.commands import run

POSES = [[1.0, 0.0, 0.0], [2.0, 0.0, 0.0]]
WHOLE = {"proposals": [POSES], "proposal_scores": [0.5], "codes": [3, 4], "code_shares": [1.0, 0.25], "transitions": 2}


class Telling:
    """An agent that tells what it weighed in the plan at a position."""

    def plan_details(self, plan: int = -1) -> Dict[str, Any]:
        """Its position."""
        return {"codes": [plan]}


def test_only_agents_that_tell_are_asked() -> None:
    assert ask_details(object()) == {}
    assert ask_details(Telling()) == {"codes": [-1]} and ask_details(Telling(), 2) == {"codes": [2]}


def test_details_leave_the_prediction_and_come_back(tmp_path: Path) -> None:
    prediction = {"agent": "a", "poses": POSES, "details": WHOLE}
    with open_details(tmp_path, {"metric": "x"}, is_kept=True) as journal:
        keep_details(journal, "token", prediction)
        keep_details(journal, "other", {"agent": "a", "error": "no"})
    assert prediction == {"agent": "a", "poses": POSES}
    assert read_details(tmp_path) == {("a", "token"): WHOLE}


def test_nothing_is_written_that_nobody_asked_for(tmp_path: Path) -> None:
    with open_details(tmp_path, {}, is_kept=False) as journal:
        keep_details(journal, "token", {"agent": "a", "details": WHOLE})
    assert journal is None and list(tmp_path.iterdir()) == [] and read_details(tmp_path) == {}


@pytest.mark.parametrize(
    "changes",
    [
        {"proposals": [[[1.0, 2.0]]]},
        {"proposal_scores": [0.5, 0.6]},
        {"proposal_scores": [float("nan")]},
        {"code_shares": [1.0]},
        {"transitions": 3},
        {"transitions": 0},
        {"codes": ["x", "y"]},
        {"proposals": 7},
    ],
)
def test_what_is_no_detail_is_refused(changes: Dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError)):
        check_details({**WHOLE, **changes})


def test_another_file_is_refused_by_name(tmp_path: Path) -> None:
    with Journal(tmp_path / DETAILS, {}) as journal:
        journal.append({"token": "t", "agent": "a", "details": {"codes": [1]}})
    with pytest.raises(DataError, match=r"details.journal: not a journal of details \(KeyError: 'code_shares'\)"):
        read_details(tmp_path)


@pytest.mark.parametrize("is_asked", [True, False])
def test_the_command_keeps_what_an_agent_weighed(tmp_path: Path, metric_caches: Path, is_asked: bool) -> None:
    (tmp_path / "telling.yaml").write_text("_target_: tests.evaluation.telling_agent.Telling\n")
    command = ["eval", "--agent", tmp_path / "telling.yaml", "--agent", "stop", "--split", "embedded", "--workers", "1"]
    options = ["--max-scenes", "2", "--cache", metric_caches, *(["--keep-details"] if is_asked else [])]
    answer = run(*command, *options, "--out", tmp_path / "out")
    assert answer.status == 0, answer.err
    details = read_details(tmp_path / "out")
    assert [agent for agent, _ in details] == (["telling", "telling"] if is_asked else []), "stop tells nothing"
    assert all(kept["proposal_scores"] == [0.25, 0.75] for kept in details.values())
    plans = [entry["prediction"] for entry in read_lines(tmp_path / "out" / "predictions.journal").entries[1:]]
    assert len(plans) == 4 and not any("details" in plan for plan in plans), "plans stay small"
