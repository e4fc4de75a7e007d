"""Tests of the viewer use the embedded data, whatever the machine's environment says."""

from __future__ import annotations

from pathlib import Path

import pytest

from latentvla_agent.data.roots import DATA_VARIABLE, MAPS_VARIABLE
from tests.evaluation.comparison_runs import Runs, make_runs


@pytest.fixture(autouse=True)
def no_data_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget the data roots of this machine."""
    for variable in (DATA_VARIABLE, MAPS_VARIABLE, "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture(scope="session")
def metric_caches(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of metric caches that the tests share: each is built once."""
    return tmp_path_factory.mktemp("metric-caches")


@pytest.fixture()
def runs(tmp_path: Path, metric_caches: Path) -> Runs:
    """`fast`, and two seeds of `slow`, in two embedded scenes."""
    return make_runs(tmp_path, metric_caches)
