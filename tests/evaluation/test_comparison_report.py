"""A comparison for people: nothing in it is executed, nothing missing is invented, and the files agree."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.evaluation.comparison import choose_agents, compare, find_logs
from latentvla_agent.evaluation.comparison_page import render_comparison, write_comparison
from latentvla_agent.evaluation.comparison_report import (
    format_comparison,
    write_markdown,
    write_table,
)
from latentvla_agent.evaluation.comparison_sources import read_results
from tests.evaluation.comparison_files import TOKENS, make_scores, write_run, write_stock, write_two_stage
from tests.evaluation.test_report import HOSTILE, Reader


@pytest.fixture
def comparison(tmp_path: Path) -> Dict[str, Any]:
    """Three agents, one with costs and one with a hostile name; b is certainly better than a."""
    agents = {"a": make_scores(), "b": make_scores(0.1), HOSTILE: make_scores()}
    groups = choose_agents(read_results(str(write_run(tmp_path / "run", agents))))
    made = compare(groups, find_logs(groups))
    made["agents"][0].update(total_ms=12.345, parameters=1234567)
    return made


def test_the_printed_tables(comparison: Dict[str, Any]) -> None:
    lines = format_comparison(comparison).splitlines()
    assert lines[0].split() == "agent PDMS 95 % interval NC DAC DDC EP TTC C total ms parameters".split()
    assert lines[2].split()[:2] == ["a", "46.90"] and lines[2].split()[-2:] == ["12.35", "1,234,567"]
    assert lines[3].split()[-2:] == ["-", "-"]
    pair = next(line for line in lines if line.startswith("a minus b"))
    assert pair.split()[3:] == ["-10.00", "-10.00", "to", "-10.00", "yes"]
    same = next(line for line in lines if line.startswith(f"a minus {HOSTILE}"))
    assert same.endswith("not certain") and "+0.00 to +0.00" in same
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


def test_the_page_is_well_formed_and_loads_nothing(comparison: Dict[str, Any]) -> None:
    html = render_comparison(comparison)
    reader = Reader(html)
    assert "script" not in reader.tags and "img" not in reader.tags
    assert HOSTILE in reader.text and "PDMS of 3 agents on dev" in reader.text
    assert not re.search(r"<[^>]*(?:src|href)=(?!\"data:)|url\(|@import", html)
    assert html.count('<svg class="chart"') == 2 + 6
    assert "status bad" not in html.split("</style>")[1]


def test_a_page_without_logs_warns(tmp_path: Path) -> None:
    groups = choose_agents(read_results(str(write_stock(tmp_path / "a.csv", make_scores()))))
    html = render_comparison(compare(groups, {}))
    assert '<p class="status bad">Intervals resample scenes only (too narrow' in html
    assert "Paired differences" not in html and html.count('<svg class="chart"') == 1 + 6


def test_two_stages_are_shown_without_intervals(tmp_path: Path) -> None:
    scenes = {token: 0.5 for token in TOKENS}
    paths = [write_two_stage(tmp_path / f"{name}.csv", scenes, {}, score) for name, score in (("a", 0.45), ("b", 0.4))]
    made = compare(choose_agents([one for path in paths for one in read_results(str(path))]), {})
    text = format_comparison(made)
    assert "NC 1" in text and "EC 2" in text and "official scorer, two stages, a split" in text
    assert next(line for line in text.splitlines() if line.startswith("a minus b")).split()[3:] == ["+5.00", "-", "-"]
    assert Reader(render_comparison(made)).text.count("NC 2: no at fault collisions stage two") == 1
    assert "45.00" in write_markdown(made)


def test_four_files_are_written(comparison: Dict[str, Any], tmp_path: Path) -> None:
    write_comparison(comparison, tmp_path / "out")
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["compare.csv", "compare.html", "compare.json", "compare.md"]


@pytest.mark.slow
def test_chromium_opens_it_without_complaint(comparison: Dict[str, Any], tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium here")
    write_comparison(comparison, tmp_path)
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    options += ["--disable-component-update", "--disable-sync", "--enable-logging=stderr", "--window-size=1200,2000"]
    options += [f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={tmp_path / 'page.png'}"]
    page = (tmp_path / "compare.html").as_uri()
    result = subprocess.run([browser, *options, page], capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "page.png").stat().st_size > 20_000
    assert "CONSOLE" not in result.stderr, result.stderr
