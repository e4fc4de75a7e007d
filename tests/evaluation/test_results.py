"""Rows, their means, and the files and tables that they end in."""

from __future__ import annotations

import csv
import io
import json

import pytest

from latentvla_agent.evaluation.results import ResultRow, format_table, summarise_agent, write_csv
from latentvla_agent.scoring.scorer import SUB_SCORES

GOOD = ResultRow(
    token="t1",
    log="l",
    agent="a",
    score=0.1 + 0.2,
    valid=True,
    sub_scores={name: 0.5 for name in SUB_SCORES},
    progress_raw=(10.0, 1 / 3),
    collision_idx=7,
)
FAILED = ResultRow("t2", "l", "a", error='ValueError: a "quoted", comma')


@pytest.mark.parametrize("row", [GOOD, FAILED])
def test_rows_survive_json(row: ResultRow) -> None:
    assert ResultRow.from_json(json.loads(json.dumps(row.to_json()))) == row


def test_csv_keeps_every_digit() -> None:
    good, failed = csv.DictReader(io.StringIO(write_csv([GOOD, FAILED]).decode()))
    assert list(good) == [
        "token",
        "log",
        "agent",
        *SUB_SCORES,
        "score",
        "progress_raw",
        "collision_idx",
        "ttc_idx",
        "valid",
        "error",
    ]
    assert float(good["score"]) == 0.1 + 0.2 and json.loads(good["progress_raw"]) == [10.0, 1 / 3]
    assert (good["collision_idx"], good["ttc_idx"], good["valid"], good["error"]) == ("7", "", "True", "")
    assert (failed["score"], failed["valid"], failed["error"]) == ("0.0", "False", FAILED.error)
    assert {failed[name] for name in (*SUB_SCORES, "progress_raw", "collision_idx")} == {""}


def test_failed_and_missing_scenes_count_0() -> None:
    summary = summarise_agent("a", [GOOD, FAILED], expected=4)
    assert (summary["expected"], summary["scored"], summary["failed"]) == (4, 1, 3)
    assert summary["score"] == pytest.approx(0.3 / 4) and summary["score_valid_only"] == pytest.approx(0.3)
    assert {summary[name] for name in SUB_SCORES} == {0.5}


def test_nothing_valid_has_no_mean() -> None:
    summary = summarise_agent("a", [FAILED], expected=1)
    assert summary["score"] == 0.0 and summary["score_valid_only"] is None
    assert {summary[name] for name in SUB_SCORES} == {None}


def test_table_is_aligned_and_times_100() -> None:
    summaries = [summarise_agent("a_long_name", [GOOD], 1), summarise_agent("b", [FAILED], 1)]
    lines = format_table(summaries, "PDMS").splitlines()
    assert lines[0].split() == ["agent", "scenes", "failed", "NC", "DAC", "DDC", "EP", "TTC", "C", "PDMS"]
    assert lines[2].split() == ["a_long_name", "1", "0", *["50.00"] * 6, "30.00"]
    assert lines[3].split() == ["b", "1", "1", *["-"] * 6, "0.00"]
    assert len({len(line) for line in lines}) == 1
