"""Which agents a site shows, and what they are called."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.journal import Journal
from latentvla_agent.viewer.shown_runs import collect_plans, read_runs
from tests.evaluation.comparison_files import LOGS, TOKENS, make_scores, write_run, write_stock
from tests.evaluation.comparison_runs import Runs


def test_seeds_are_agents_of_their_own(tmp_path: Path) -> None:
    shown = read_runs([write_run(tmp_path / "run", {"ipad-seed0": make_scores(), "ipad-seed1": make_scores(0.1)})])
    assert list(shown.agents) == ["ipad-seed0", "ipad-seed1"]
    assert shown.logs == LOGS and list(shown.logs) == TOKENS


def test_agents_of_one_name_are_told_apart_by_their_runs(tmp_path: Path) -> None:
    folders = [write_run(tmp_path / name, {"a": make_scores(), name: make_scores()}) for name in ("one", "two")]
    assert list(read_runs([*folders, folders[0]]).agents) == ["a (one)", "one", "a (two)", "two"]
    (tmp_path / "deep").mkdir()
    twin = write_run(tmp_path / "deep" / "one", {"a": make_scores()})
    with pytest.raises(ConfigError, match="two runs in folders called one have an agent a"):
        read_runs([folders[0], twin])


def test_degraded_agents_are_called_so(tmp_path: Path) -> None:
    intact = write_run(tmp_path / "intact", {"a": make_scores()})
    foggy = write_run(tmp_path / "foggy", {"a": make_scores()}, degradation="fog")
    assert list(read_runs([intact, foggy]).agents) == ["a", "a (fog)"]


def test_runs_of_other_scenes_or_metrics_are_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", {"a": make_scores()})
    short = write_run(tmp_path / "short", {"b": dict(list(make_scores().items())[:-1])})
    with pytest.raises(ConfigError, match="expected the 20 scenes"):
        read_runs([run, short])
    other = write_run(tmp_path / "other", {"c": make_scores()}, "epdms-v2.2")
    with pytest.raises(ConfigError, match="expected metric pdms-v1.1"):
        read_runs([run, other])


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected the output folder of latentvla eval"):
        read_runs([tmp_path / "nowhere"])
    write_stock(tmp_path / "stock" / "scores.csv", make_scores())
    with pytest.raises(ConfigError, match="got a CSV of NAVSIM"):
        read_runs([tmp_path / "stock"])


def test_plans_come_with_what_was_weighed(runs: Runs) -> None:
    first, second = (ref.token for ref in runs.index.refs)
    details = {"codes": [3, 4], "code_shares": [0.5, 1.0], "transitions": 1}
    with Journal(runs.folder / "details.journal", {}) as journal:
        journal.append({"token": second, "agent": "fast", "details": details})
    plans = collect_plans(read_runs([runs.folder]))
    assert len(plans) == 3 * 2 and plans[("fast", second)]["details"] == details
    assert "details" not in plans[("fast", first)] and "details" not in plans[("slow-seed0", second)]
