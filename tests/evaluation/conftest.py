"""Tests of the evaluation use the embedded data, whatever the machine's environment says."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.data.roots import DATA_VARIABLE, MAPS_VARIABLE
from latentvla_agent.evaluation.comparison import choose_agents, compare, find_logs
from latentvla_agent.evaluation.comparison_sources import read_results
from tests.evaluation.comparison_files import make_scores, write_run


@pytest.fixture(autouse=True)
def no_data_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the data roots of this machine."""
    for variable in (DATA_VARIABLE, MAPS_VARIABLE, "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def metric_caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of metric caches that the tests share: each is built once."""
    return tmp_path_factory.mktemp("metric-caches")


@pytest.fixture
def comparison(tmp_path: Path) -> Dict[str, Any]:
    """Three agents, one with costs and one with a hostile name; b is certainly better than a."""
    from tests.evaluation.test_report import HOSTILE  # here: most tests don't need the libraries

    agents = {"a": make_scores(), "b": make_scores(0.1), HOSTILE: make_scores()}
    groups = choose_agents(read_results(str(write_run(tmp_path / "run", agents))))
    made = compare(groups, find_logs(groups))
    made["agents"][0].update(total_ms=12.345, parameters=1234567)
    return made


@pytest.fixture()
def runs(tmp_path: Path, metric_caches: Path) -> Any:
    """`comparison_runs.Runs`: `fast`, and two seeds of `slow`, in two embedded scenes."""
    from tests.evaluation.comparison_runs import make_runs

    return make_runs(tmp_path, metric_caches)
