"""Where the scenes of a run lie, and what was planned in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latentvla_agent.data.roots import EMBEDDED_FOLDER
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.comparison import choose_agents
from latentvla_agent.evaluation.comparison_scenes import open_scenes, read_plans
from latentvla_agent.evaluation.comparison_sources import read_results
from tests.evaluation.comparison_files import write_plans
from tests.evaluation.comparison_runs import Runs, make_prediction, paint


def test_scenes_lie_where_the_run_had_them(runs: Runs) -> None:
    ref = runs.index.refs[1]
    scenes = open_scenes(read_results(str(runs.folder))[0], {ref.token: ref.log_name, "f" * 16: ref.log_name})
    assert scenes.refs == {ref.token: ref}, "a scene that is gone is left out"
    assert scenes.setup.roots.sensors == runs.sensors and scenes.setup.metric == "pdms-v1.1"
    result = read_results(str(runs.folder))[0]
    (runs.folder / "summary.json").write_text("{}")
    with pytest.raises(DataError, match="does not say where the scenes lie"):
        open_scenes(result, {})


def test_a_summary_without_roots_means_beside_the_logs(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(runs.sensors / "cache"))
    summary = json.loads((runs.folder / "summary.json").read_text())
    del summary["roots"]
    (runs.folder / "summary.json").write_text(json.dumps(summary))
    assert Path(summary["split"]["log_folder"]).parent.parent == EMBEDDED_FOLDER
    assert len(paint(runs.folder)[1].pictures) == 2


def test_plans_go_by_the_agents_own_names_in_the_order_of_the_seeds(runs: Runs) -> None:
    token = runs.index.refs[0].token
    write_plans(runs.folder, [("elsewhere", make_prediction("fast")), (token, {"agent": "fast", "error": "no"})])
    plans = read_plans(choose_agents(read_results(str(runs.folder))), {token})
    assert list(plans) == [("slow", token)], "a plan that failed is none"
    assert [plan["agent"] for plan in plans[("slow", token)]] == ["slow-seed0", "slow-seed1"]


def test_a_file_that_is_no_journal_is_named(runs: Runs) -> None:
    path = runs.folder / "predictions.journal"
    path.unlink()
    write_plans(runs.folder, [])
    groups = choose_agents(read_results(str(runs.folder)))
    assert read_plans(groups, {"a"}) == {}
    path.unlink()
    with pytest.raises(DataError, match="predictions.journal: cannot be read"):
        read_plans(groups, {"a"})
