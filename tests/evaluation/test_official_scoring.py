"""The whole way to the official scorer, with a stand-in of the devkit."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, List

import pytest

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.data.splits import SceneFilter
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.official_scoring import OfficialHandler
from latentvla_agent.evaluation.stages import ScoreItem
from tests.devkit_stand_in import write_stand_in
from tests.evaluation.commands import Answer, call, run

SCENES = 6


@pytest.mark.parametrize("log_name, token", [("/etc", "a"), ("..", "a"), ("log", "../a"), ("log", "/a")])
def test_no_name_in_a_log_leads_out_of_the_cache_folder(tmp_path: Path, log_name: str, token: str) -> None:
    """The devkit's caches are pickles: one that a log chose could do anything."""
    setup: Any = SimpleNamespace(
        stage=SimpleNamespace(metric="pdms-v1.1", roots=SimpleNamespace(maps=tmp_path), scene_filter=SceneFilter()),
        cache_folder=tmp_path,
        is_two_stage=False,
        start=lambda: SimpleNamespace(ask=lambda request: pytest.fail(f"the devkit was asked for {request}")),
    )
    ref = SceneRef(tmp_path / "log.pkl", log_name, 0, token, "us-nv-las-vegas-strip", None)
    with pytest.raises(DataError, match="no plain file name"):
        OfficialHandler(setup)(ScoreItem(ref))


def evaluate(folder: Path, generation: int, *options: object) -> Answer:
    """Constant velocity and standing still in the first scenes of the embedded logs."""
    devkit = write_stand_in(folder / f"devkit-{generation}", generation)
    return run(
        "eval", "--scorer", "official", "--devkit-root", devkit, "--nuplan-root", devkit, "--agent", "stop",
        "--agent", "constant_velocity", "--split", "embedded", "--max-scenes", SCENES, "--workers", 2, "--shadow", 0,
        "--out", folder / "out", "--cache", folder / "cache", *options,
    )  # fmt: skip


def read_rows(folder: Path) -> List[Dict[str, Any]]:
    """`scores.csv`."""
    with (folder / "out" / "scores.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("generation", (1, 2))
def test_rows_are_what_the_devkit_says(tmp_path: Path, generation: int) -> None:
    answer = evaluate(tmp_path, generation)
    assert answer.status == 0, answer.err
    assert f"scorer official, {'pdms-v1.1' if generation == 1 else 'epdms-v2.2'}: NAVSIM v{generation}" in answer.err
    rows = read_rows(tmp_path)
    assert len(rows) == 2 * SCENES and all(row["valid"] == "True" for row in rows)
    predictions = (tmp_path / "out" / "predictions.journal").read_text().splitlines()[1:]
    ends = {
        (entry["prediction"]["agent"], entry["token"]): entry["prediction"]["poses"][-1][0]
        for entry in (json.loads(line.partition(" ")[2]) for line in predictions)
    }
    for number, row in enumerate(rows):
        progress = min(ends[(row["agent"], row["token"])] / 100.0, 1.0)
        assert float(row["ego_progress"]) == progress
        if generation == 1:
            assert float(row["score"]) == pytest.approx((5 * progress + 5 + 2 * float(row["comfort"])) / 12, abs=1e-15)
        else:
            has_previous = number % SCENES > 0
            assert row["two_frame_extended_comfort"] == ("1.0" if has_previous else "")
            assert float(row["score"]) == pytest.approx((progress + has_previous) / 2, abs=1e-15)
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["scorer"] == "official" and summary["devkit"]["generation"] == generation
    caches = list((tmp_path / "cache").rglob("*.cache"))
    assert len(caches) == SCENES


@pytest.mark.slow
def test_a_scene_that_the_devkit_fails_at_is_a_failed_row(tmp_path: Path) -> None:
    agent = tmp_path / "far.yaml"
    agent.write_text("_target_: tests.evaluation.failing_agents.FarAgent\n")
    answer = evaluate(tmp_path, 1, "--agent", agent)
    assert answer.status == 1 and f"far failed in {SCENES} of {SCENES} scenes" in answer.err
    failed = [row for row in read_rows(tmp_path) if row["valid"] == "False"]
    assert {row["agent"] for row in failed} == {"far"} and "ValueError: too far" in failed[0]["error"]


@pytest.mark.slow
def test_a_resumed_run_needs_nothing_of_the_devkit_again(tmp_path: Path) -> None:
    assert evaluate(tmp_path, 1).status == 0
    before = (tmp_path / "out" / "scores.csv").read_bytes()
    again = evaluate(tmp_path, 1)
    assert again.status == 0 and f"score: all {SCENES} from the journal" in again.err
    assert (tmp_path / "out" / "scores.csv").read_bytes() == before


@pytest.mark.slow
def test_another_devkit_is_another_run(tmp_path: Path) -> None:
    assert evaluate(tmp_path, 1).status == 0
    changed = tmp_path / "devkit-1" / "navsim" / "planning" / "changed.py"
    changed.write_text("")
    assert "belongs to a run with another devkit" in evaluate(tmp_path, 1).error


@pytest.mark.slow
def test_the_shadow_check_warns(tmp_path: Path) -> None:
    answer = evaluate(tmp_path, 1, "--shadow", 3)
    assert answer.status == 0 and "warning: shadow check: 6 rows of 3 scenes" in answer.err
    shadow = json.loads((tmp_path / "out" / "summary.json").read_text())["shadow"]
    assert shadow["num_differences"] == len(shadow["differences"]) > 0
    assert {"token", "agent", "column", "official", "embedded"} == set(shadow["differences"][0])


def test_official_where_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NAVSIM_PYTHON", "NAVSIM_DEVKIT_ROOT", "NUPLAN_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    assert "no NAVSIM devkit" in call("eval", "--scorer", "official").error
    broken = write_stand_in(tmp_path, 1)
    (broken / "nuplan" / "__init__.py").write_text("raise ImportError('libGL is missing')")
    answer = call("eval", "--scorer", "official", "--devkit-root", broken, "--nuplan-root", broken)
    assert "libGL is missing" in answer.error and "--devkit-python" in answer.error
    other = call("eval", "--scorer", "official", "--devkit-root", tmp_path / "nothing")
    assert "got no NAVSIM devkit" in other.error
    metric = ("--metric", "epdms-v2.2", "--devkit-root", write_stand_in(tmp_path / "v1", 1))
    assert "scores pdms-v1.1, not epdms-v2.2" in call("eval", "--scorer", "official", *metric).error
