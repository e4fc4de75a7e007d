"""`latentvla show`: from runs to a site, and one line for whatever can't be shown."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.evaluation.commands import call
from tests.evaluation.comparison_files import make_scores, write_run
from tests.evaluation.comparison_runs import Runs, make_runs
from tests.viewer.test_site_data import read_script


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data roots of the machine; results and caches of the user go to a folder of the test."""
    for variable in ("OPENSCENE_DATA_ROOT", "NUPLAN_MAPS_ROOT", "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture()
def runs(tmp_path: Path) -> Runs:
    """Of two embedded scenes."""
    return make_runs(tmp_path, tmp_path / "caches")


@pytest.mark.slow
def test_a_run_becomes_a_site(runs: Runs, tmp_path: Path) -> None:
    (tmp_path / "tags.csv").write_text(f"token,tags\n{runs.index.refs[1].token},odd\n")
    answer = call("show", "--run", runs.folder, "--tags", tmp_path / "tags.csv", "--workers", 1)
    assert answer.status == 0, answer.err
    assert answer.out.startswith("2 scenes, agents fast, slow-seed0, slow-seed1\n-> runs/show-")
    (page,) = tmp_path.glob("runs/show-*/index.html")
    site = read_script((page.parent / "site.js").read_bytes())[2]
    assert "odd" in dict(site["tags"]) and site["notes"] == []


def test_scores_are_shown_where_the_data_is_gone(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"a": make_scores()})
    answer = call("show", "--run", run, "--out", tmp_path / "site")
    assert answer.status == 0 and "note: no scene is drawn: " in answer.out
    assert (tmp_path / "site" / "index.html").is_file()
    assert "no scene is drawn" in call("show", "--run", run, "--out", tmp_path / "site").out, "over the earlier one"


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"a": make_scores()})
    assert "expected an empty folder or a site" in call("show", "--run", run, "--out", run).error
    assert "expected the output folder of latentvla eval" in call("show", "--run", tmp_path / "none").error


def test_rerun_is_asked_for_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    answer = call("show", "--run", tmp_path / "none", "--rerun", "worst", "--out", tmp_path / "out")
    assert 'pip install "latentvla-agent[rerun]"' in answer.error and not (tmp_path / "out").exists()
