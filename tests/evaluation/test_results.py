"""Rows, their means, and the files and tables that they end in."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from latentvla_agent.evaluation.results import ResultRow, format_table, summarise_agent, write_csv
from latentvla_agent.scoring.versions import METRICS, Metric

PDMS, EPDMS = METRICS["pdms-v1.1"], METRICS["epdms-v2.2"]

GOOD = ResultRow(
    token="t1",
    log="l",
    agent="a",
    score=0.1 + 0.2,
    valid=True,
    sub_scores={name: 0.5 for name in PDMS.columns},
    progress_raw=(10.0, 1 / 3),
    collision_idx=7,
    off_road_idx=0,
)
FIRST = replace(GOOD, sub_scores={name: None if name.startswith("two_") else 0.5 for name in EPDMS.columns})
FAILED = ResultRow("t2", "l", "a", error='ValueError: a "quoted", comma')


@pytest.mark.parametrize("row, metric", [(GOOD, PDMS), (FAILED, PDMS), (FIRST, EPDMS), (FAILED, EPDMS)])
def test_rows_survive_json(row: ResultRow, metric: Metric) -> None:
    assert ResultRow.from_json(json.loads(json.dumps(row.to_json(metric), allow_nan=False)), metric) == row


def test_csv_keeps_every_digit() -> None:
    good, failed = csv.DictReader(io.StringIO(write_csv([GOOD, FAILED], PDMS).decode()))
    assert list(good) == [
        "token",
        "log",
        "agent",
        *PDMS.columns,
        "score",
        "progress_raw",
        "collision_idx",
        "ttc_idx",
        "off_road_idx",
        "valid",
        "error",
    ]
    assert float(good["score"]) == 0.1 + 0.2 and json.loads(good["progress_raw"]) == [10.0, 1 / 3]
    assert (good["collision_idx"], good["ttc_idx"], good["valid"], good["error"]) == ("7", "", "True", "")
    assert good["off_road_idx"] == "0"
    assert (failed["score"], failed["valid"], failed["error"]) == ("0.0", "False", FAILED.error)
    assert {failed[name] for name in (*PDMS.columns, "progress_raw", "collision_idx")} == {""}


def test_a_sub_score_that_a_scene_has_not_is_empty_and_left_out_of_the_mean() -> None:
    last = "two_frame_extended_comfort"
    later = replace(FIRST, token="t2", sub_scores={**FIRST.sub_scores, last: 1.0})
    first, second = csv.DictReader(io.StringIO(write_csv([FIRST, later], EPDMS).decode()))
    assert (first[last], second[last]) == ("", "1.0") and first["lane_keeping"] == "0.5"
    assert summarise_agent("a", [FIRST, later], 2, EPDMS)[last] == 1.0
    assert summarise_agent("a", [FIRST], 1, EPDMS)[last] is None


def test_failed_and_missing_scenes_count_0() -> None:
    summary = summarise_agent("a", [GOOD, FAILED], expected=4, metric=PDMS)
    assert (summary["expected"], summary["scored"], summary["failed"]) == (4, 1, 3)
    assert summary["score"] == pytest.approx(0.3 / 4) and summary["score_valid_only"] == pytest.approx(0.3)
    assert {summary[name] for name in PDMS.columns} == {0.5}


def test_nothing_valid_has_no_mean() -> None:
    summary = summarise_agent("a", [FAILED], expected=1, metric=PDMS)
    assert summary["score"] == 0.0 and summary["score_valid_only"] is None
    assert {summary[name] for name in PDMS.columns} == {None}


def test_table_is_aligned_and_times_100() -> None:
    summaries = [summarise_agent("a_long_name", [GOOD], 1, PDMS), summarise_agent("b", [FAILED], 1, PDMS)]
    lines = format_table(summaries, PDMS).splitlines()
    assert lines[0].split() == ["agent", "scenes", "failed", "NC", "DAC", "DDC", "EP", "TTC", "C", "PDMS"]
    assert lines[2].split() == ["a_long_name", "1", "0", *["50.00"] * 6, "30.00"]
    assert lines[3].split() == ["b", "1", "1", *["-"] * 6, "0.00"]
    assert len({len(line) for line in lines}) == 1


def test_the_table_of_epdms_has_its_own_columns() -> None:
    lines = format_table([summarise_agent("a", [FIRST], 1, EPDMS)], EPDMS).splitlines()
    names = ["NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "EC"]
    assert lines[0].split() == ["agent", "scenes", "failed", *names, "EPDMS"]
    assert lines[2].split() == ["a", "1", "0", *["50.00"] * 8, "-", "30.00"]
