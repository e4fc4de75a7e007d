"""Two stages: whole rows of the devkit, and its aggregation, with a stand-in of the devkit."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Dict, List

import pytest

from latentvla_agent.evaluation.two_stage import list_table_rows
from latentvla_agent.scoring.versions import METRICS
from tests.data.two_stage_set import TwoStageSet
from tests.devkit_stand_in import write_stand_in
from tests.evaluation.commands import Answer, run


def evaluate(two_stage_set: TwoStageSet, folder: Path, agent: str, generation: int = 2) -> Answer:
    """All scenes of the miniature set."""
    devkit = write_stand_in(folder / "devkit", generation)
    return run(
        "eval", "--scorer", "official", "--devkit-root", devkit, "--nuplan-root", devkit, "--agent", agent,
        "--data", two_stage_set.root, "--split", two_stage_set.split_file, "--workers", 2,
        "--out", folder / "out", "--cache", folder / "cache",
    )  # fmt: skip


def read_rows(folder: Path) -> List[Dict[str, Any]]:
    """`scores.csv`."""
    with (folder / "out" / "scores.csv").open() as file:
        return list(csv.DictReader(file))


def test_both_stages_make_one_score(two_stage_set: TwoStageSet, tmp_path: Path) -> None:
    answer = evaluate(two_stage_set, tmp_path, "constant_velocity")
    assert answer.status == 0, answer.err
    rows = read_rows(tmp_path)
    first, second = ([float(row["score"]) for row in rows if len(row["token"]) == length] for length in (16, 17))
    assert (len(first), len(second)) == (6, 14) and all(row["valid"] == "True" for row in rows)
    (agent,) = json.loads((tmp_path / "out" / "summary.json").read_text())["agents"]
    means = sum(first) / 6, sum(second) / 14
    assert agent["stage_one"]["score"] == pytest.approx(means[0])
    assert agent["stage_two"]["score"] == pytest.approx(means[1])
    assert agent["score"] == pytest.approx(means[0] * means[1]) and "score_low" not in agent
    assert [line.split()[1:3] for line in answer.out.splitlines()[2:5]] == [
        ["stage", "one"],
        ["stage", "two"],
        ["combined", "20"],
    ]
    assert (tmp_path / "out" / "report.html").stat().st_size > 1000


@pytest.mark.slow
def test_resumed_it_is_the_same(two_stage_set: TwoStageSet, tmp_path: Path) -> None:
    assert evaluate(two_stage_set, tmp_path, "stop").status == 0
    before, journal = read_rows(tmp_path), tmp_path / "out" / "scores.journal"
    journal.write_bytes(b"".join(journal.read_bytes().splitlines(keepends=True)[:8]))
    again = evaluate(two_stage_set, tmp_path, "stop")
    assert again.status == 0 and "7 from the journal" in again.err
    assert read_rows(tmp_path) == before


@pytest.mark.slow
def test_an_agent_that_fails_has_no_score(two_stage_set: TwoStageSet, tmp_path: Path) -> None:
    answer = evaluate(two_stage_set, tmp_path, "human")
    assert answer.status == 1 and "human failed in 20 of 20 scenes" in answer.err
    errors = {row["error"].split(":")[0] for row in read_rows(tmp_path)}
    assert errors == {"DataError", "not aggregated, because the agent failed in other scenes"}
    (agent,) = json.loads((tmp_path / "out" / "summary.json").read_text())["agents"]
    assert agent["score"] == 0.0 and agent["stage_one"] is None


def test_v1_has_one_stage(two_stage_set: TwoStageSet, tmp_path: Path) -> None:
    assert "the second stage" in evaluate(two_stage_set, tmp_path, "stop", generation=1).error


def test_a_missing_stage_is_a_line_without_numbers() -> None:
    agent = {"agent": "a", "expected": 3, "failed": 1, "score": 0.0, "stage_one": None, "stage_two": None}
    lines = list_table_rows([agent], METRICS["epdms-v2.2"])
    assert [line["agent"] for line in lines] == ["a, stage one", "a, stage two", "a, combined"]
    assert [line["score"] for line in lines] == [None, None, 0.0]
