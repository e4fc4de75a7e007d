"""`latentvla compare`: from files to files, and status 2 with one line for whatever can't be compared."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import index_scenes
from latentvla_agent.data.splits import resolve_split
from tests.evaluation.commands import call, list_files
from tests.evaluation.comparison_files import make_scores, write_run, write_stock


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No data roots of the machine; results and caches of the user go to a folder of the test."""
    for variable in ("OPENSCENE_DATA_ROOT", "NUPLAN_MAPS_ROOT", "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)


def test_runs_are_compared(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"human": make_scores(), "stop": make_scores(-0.1), "other": make_scores()})
    answer = call("compare", "--results", run, "--agents", "stop, human", "--out", tmp_path / "out")
    assert answer.status == 0 and answer.err == ""
    assert "stop minus human" in answer.out and "other" not in answer.out
    names = [path.name for path in list_files(tmp_path / "out")]
    assert names == ["compare.csv", "compare.html", "compare.json", "compare.md"]
    comparison = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert [agent["agent"] for agent in comparison["agents"]] == ["stop", "human"]


def test_a_name_given_several_times_means_training_seeds(tmp_path: Path) -> None:
    runs = [write_run(tmp_path / f"{i}", {"ipad": make_scores(shift)}) for i, shift in enumerate((0.0, 0.1, 0.2))]
    other = write_run(tmp_path / "blind", {"blind": make_scores(-0.1)})
    arguments = [part for run in runs for part in ("--results", f"mine={run}")]
    answer = call("compare", *arguments, "--results", other, "--out", tmp_path / "out", "--pictures", "2")
    assert answer.status == 0 and "mine: taken as 3 training seeds" in answer.out
    comparison = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert comparison["seeds_by_agent"] == {"mine": 3, "blind": 1}
    assert comparison["resampled_levels"] == "logs, then scenes, then seeds"
    assert [example["difference"] > 0.0 for example in comparison["largest_differences"]] == [True, True]
    assert "no pictures: " in (tmp_path / "out" / "compare.html").read_text(), "these runs have no journals"
    assert call("compare", *arguments, "--out", tmp_path / "none", "--pictures", "0").status == 0
    assert "Where they differ" not in (tmp_path / "none" / "compare.html").read_text()


def test_the_folder_goes_by_the_content(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"human": make_scores(), "stop": make_scores(-0.1)})
    for agents in (["--agents", "human"], ["--agents", "human"], ["--agent", "human", "--agent", "stop"]):
        assert call("compare", "--results", run, *agents).status == 0
    folders = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(folders) == 2 and all(name.startswith("compare-") for name in folders)


def test_a_split_tells_the_logs_of_stock_csvs(tmp_path: Path) -> None:
    refs = index_scenes(resolve_split("embedded", find_roots(environ={}, split="embedded"))).refs
    scores = {ref.token: 0.5 + 0.1 * (i % 4) for i, ref in enumerate(refs)}
    paths = [write_stock(tmp_path / f"{name}.csv", scores) for name in "ab"]
    arguments = ["--results", paths[0], "--results", f"c={paths[1]}", "--out", tmp_path / "out"]
    assert call("compare", *arguments, "--split", "embedded").status == 0
    comparison = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert comparison["clusters"] == len({ref.log_name for ref in refs}) == 3
    assert comparison["split"] == "embedded" and [agent["agent"] for agent in comparison["agents"]] == ["a", "c"]
    write_stock(paths[0], {**scores, "f" * 16: 0.5})
    answer = call("compare", "--results", paths[0], "--out", tmp_path / "other", "--split", "embedded")
    assert f"1 of its {len(refs) + 1} scenes are not in split embedded, e.g. {'f' * 16}" in answer.error
    assert not (tmp_path / "other").exists()


def test_the_metric_can_be_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"a": make_scores()}, "epdms-v2.2-prefix", scorer="official")
    arguments = ["--results", run, "--results", write_stock(tmp_path / "b.csv", make_scores(), "epdms-v2.2")]
    assert "say --metric epdms-v2.2-prefix" in call("compare", *arguments).error
    assert call("compare", *arguments, "--metric", "epdms-v2.2-prefix", "--out", tmp_path / "out").status == 0
    assert json.loads((tmp_path / "out" / "compare.json").read_text())["metric"] == "epdms-v2.2-prefix"
    assert "expected --metric pdms-v1.1" in call("compare", *arguments, "--metric", "pdms-v1.1").error
    assert "unknown metric 'pdms'" in call("compare", *arguments, "--metric", "pdms").error


def test_what_cannot_be_compared_is_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"human": make_scores()})
    stock = write_stock(tmp_path / "stock.csv", make_scores())
    out = ["--out", tmp_path / "out"]
    assert "expected scorer embedded" in call("compare", "--results", run, "--results", stock, *out).error
    assert "did you mean human?" in call("compare", "--results", run, "--agents", "humna", *out).error
    assert "cannot be read" in call("compare", "--results", tmp_path / "none.csv", *out).error
    assert "results of latentvla eval know theirs" in call("compare", "--results", run, "--split", "dev", *out).error
    assert not (tmp_path / "out").exists()
    assert call("compare", *out).status == 2


def test_an_output_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"human": make_scores()})
    (tmp_path / "out").write_text("mine")
    assert "cannot be created" in call("compare", "--results", run, "--out", tmp_path / "out").error
