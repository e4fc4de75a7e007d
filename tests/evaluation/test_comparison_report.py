"""A comparison for people, as text: nothing missing is invented, and the files agree."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path
from typing import Any, Dict

from latentvla_agent.evaluation.comparison import choose_agents, compare
from latentvla_agent.evaluation.comparison_report import (
    format_comparison,
    write_markdown,
    write_table,
)
from latentvla_agent.evaluation.comparison_sources import read_results
from tests.evaluation.comparison_files import TOKENS, write_two_stage
from tests.evaluation.test_report import HOSTILE


def test_the_printed_tables(comparison: Dict[str, Any]) -> None:
    lines = format_comparison(comparison).splitlines()
    assert lines[0].split() == "agent PDMS 95 % interval NC DAC DDC EP TTC C".split()
    assert lines[2].split()[:2] == ["a", "46.90"]
    assert lines[6].split() == "agent plans NC fails DAC fails TTC fails any fails in 100".split()
    assert lines[8].split() == ["a", "20", "20", "20", "20", "20", "100.00"]
    assert lines[12].split() == "agent total p50 parameters".split()
    assert lines[14].split() == ["a", "12.35", "1,234,567"] and lines[15].split() == ["b", "-", "-"]
    assert any(line.startswith("Milliseconds of a plan, one scene at a time (batch 1)") for line in lines)
    pair = next(line for line in lines if line.startswith("a minus b"))
    assert pair.split()[3:] == ["-10.00", "-10.00", "to", "-10.00", "yes", "1.00", "(1.00", "to", "1.00)"]
    same = next(line for line in lines if line.startswith(f"a minus {HOSTILE}"))
    assert "not certain" in same and "+0.00 to +0.00" in same
    assert "pdms-v1.1, embedded scorer, split dev, 20 scenes; 4 clusters, 1 training seed." in lines


def test_markdown_tables_are_whole(comparison: Dict[str, Any]) -> None:
    text = write_markdown(comparison)
    assert "<script>" not in text and "<td>" not in text
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    assert "| b | 56.90 |" in text


def test_the_csv_holds_agents_then_differences(comparison: Dict[str, Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(write_table(comparison).decode())))
    assert [(row["agent"], row["minus"]) for row in rows] == [
        *(("a", ""), ("b", ""), (HOSTILE, "")),
        *(("a", "b"), ("a", HOSTILE), ("b", HOSTILE)),
    ]
    assert float(rows[0]["score"]) == comparison["agents"][0]["score"] and rows[0]["parameters"] == "1234567"
    assert float(rows[3]["low"]) == comparison["differences"][0]["low"] and rows[3]["comfort"] == ""


def test_two_stages_are_shown_without_intervals(tmp_path: Path) -> None:
    scenes = {token: 0.5 for token in TOKENS}
    paths = [write_two_stage(tmp_path / f"{name}.csv", scenes, {}, score) for name, score in (("a", 0.45), ("b", 0.4))]
    made = compare(choose_agents([one for path in paths for one in read_results(str(path))]), {})
    text = format_comparison(made)
    assert "fails" not in text and "NC 1" in text and "EC 2" in text and "official scorer, two stages, a split" in text
    assert next(line for line in text.splitlines() if line.startswith("a minus b")).split()[3:] == ["+5.00", "-", "-"]
    assert "45.00" in write_markdown(made)
