"""The page of a comparison: nothing in it is executed, and nothing is loaded from anywhere."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.evaluation.comparison import choose_agents, compare
from latentvla_agent.evaluation.comparison_page import render_comparison, write_comparison
from latentvla_agent.evaluation.comparison_sources import read_results
from tests.evaluation.comparison_files import TOKENS, make_scores, write_stock, write_two_stage
from tests.evaluation.test_report import HOSTILE, Reader


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


def test_two_stages_have_a_card_per_stage(tmp_path: Path) -> None:
    scenes = {token: 0.5 for token in TOKENS}
    paths = [write_two_stage(tmp_path / f"{name}.csv", scenes, {}, score) for name, score in (("a", 0.45), ("b", 0.4))]
    made = compare(choose_agents([one for path in paths for one in read_results(str(path))]), {})
    text = Reader(render_comparison(made)).text
    assert text.count("NC 2: no at fault collisions stage two") == 1 and "Where they differ most" not in text


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
