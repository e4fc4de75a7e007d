"""What an agent costs reaches the summary, and nothing that is compared between runs."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace
from typing import Any, Dict

import pytest

from latentvla_agent.evaluation.costs import COSTS, describe_costs, describe_missing, summarise_costs


class Module:
    """Stands in for torch.nn.Module; the tests run without torch."""

    def parameters(self) -> Any:
        """Two of them, 3 and 4 numbers."""
        return iter([SimpleNamespace(numel=lambda: 3), SimpleNamespace(numel=lambda: 4)])


class Timed(Module):
    """Knows how long its stages took."""

    def __init__(self, **times: float) -> None:
        self._times = times

    def stage_times(self) -> Dict[str, float]:
        """Milliseconds of the last plan."""
        return self._times


def test_only_what_is_known_is_there() -> None:
    assert describe_costs(object(), 0.0123456) == {"total_ms": 12.346}


def test_stage_times_are_taken_by_name() -> None:
    agent = Timed(planner_ms=2.00049, features_ms=math.nan, tokens_ms=1, other_ms=5.0)
    assert describe_costs(agent, 0.5) == {"total_ms": 500.0, "tokens_ms": 1.0, "planner_ms": 2.0}


def test_parameters_of_torch_modules_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(nn=SimpleNamespace(Module=Module)))
    assert describe_costs(Module(), 0.0)["parameters"] == 7
    assert "parameters" not in describe_costs(object(), 0.0)


def test_summary_holds_medians_over_what_did_not_fail() -> None:
    predictions = [{"costs": {"total_ms": value, "parameters": 7}} for value in (1.0, 2.0, 300.0)]
    summary = summarise_costs([*predictions, {"error": "on purpose"}])
    assert summary == {"total_ms": 2.0, "parameters": 7, "total_ms_p95": 270.2} and isinstance(
        summary["parameters"], int
    )
    assert summarise_costs([{"error": "on purpose"}]) == {}


def test_the_network_is_tokens_and_planner_of_the_same_plan() -> None:
    """Medians of stages do not add up: here both are 2, and the median of the sums is 5."""
    plans = [(1.0, 4.0), (2.0, 2.0), (4.0, 1.0)]
    summary = summarise_costs({"costs": {"tokens_ms": tokens, "planner_ms": planner}} for tokens, planner in plans)
    assert (summary["tokens_ms"], summary["planner_ms"], summary["network_ms"]) == (2.0, 2.0, 5.0)
    assert summary["network_ms_p95"] == 5.0 and summary["planner_ms_p95"] == pytest.approx(3.8)
    assert list(summary) == [name for name in COSTS if name in summary]


def test_the_keys_that_others_rely_on_come_first() -> None:
    assert COSTS[:5] == ("features_ms", "tokens_ms", "planner_ms", "total_ms", "parameters")


def test_blank_sensors_are_counted_by_scene() -> None:
    class Blind:
        """Two of its cameras are blank; it knows nothing of lidar."""

        def missing_sensors(self) -> Dict[str, int]:
            """By kind."""
            return {"camera": 2, "radar": 1}

    assert describe_missing(Blind()) == {"camera": 2} and describe_missing(object()) == {}
    predictions = [{"missing_sensors": {"camera": count}} for count in (2, 0, 1)]
    assert summarise_costs([*predictions, {"error": "on purpose"}]) == {"blank_camera_scenes": 2}
    assert summarise_costs([{"missing_sensors": {"lidar": 0}}]) == {"blank_lidar_scenes": 0}
