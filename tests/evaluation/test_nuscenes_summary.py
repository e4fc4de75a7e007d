"""The summary of an evaluation on nuScenes from results with known answers, and what people read of it."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any, Dict, Iterator, List, Sequence

import pytest

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation import open_loop_summary
from latentvla_agent.evaluation.nuscenes_samples import NO_MAP, TOO_SHORT, Samples
from latentvla_agent.evaluation.nuscenes_summary import (
    WARNING,
    describe_failures,
    format_differences,
    format_open_loop,
    format_scores,
    summarise_nuscenes,
)
from latentvla_agent.evaluation.open_loop import measure_plans
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.scoring.versions import NUSCENES_METRIC
from tests.evaluation.test_open_loop import drive_straight, make_plan, make_truth

STEPS = {"a": 6, "b": 6, "c": 2}  # by token, each a drive of its own: how far it goes on
SIDES = {"near": 1.0, "far": 3.0}  # by agent, how many metres beside the human it drives
SCORES = {("near", "a"): 0.8, ("near", "b"): 0.6, ("far", "a"): 0.5}  # the other one failed
ERROR = "RuntimeError: on purpose"
MISSING = "no map expansion (v1.3): expected maps/expansion/city.json below the database"


def make_refs(tokens: Sequence[str]) -> List[SceneRef]:
    return [SceneRef(Path(f"scene-{token}"), f"log-{token}", 0, token, "city", None) for token in tokens]


def make_samples(scored: Sequence[str], without_map: Sequence[str] = ()) -> Samples:
    refs = make_refs(list(STEPS))
    truths = [make_truth(token, steps=steps) for token, steps in STEPS.items()]
    left_out = {NO_MAP: len(STEPS)} if without_map else {TOO_SHORT: len(STEPS) - len(scored)}
    facts = {"motion_sources": {"poses": len(STEPS)}}
    chosen = tuple(ref for ref in refs if ref.token in scored)
    return Samples(tuple(refs), truths, chosen, left_out, tuple(without_map), facts)


def make_row(agent: str, token: str) -> ResultRow:
    score = SCORES.get((agent, token))
    if score is None:
        return ResultRow(token, f"log-{token}", agent, error=ERROR)
    columns = dict.fromkeys(NUSCENES_METRIC.columns, score)
    return ResultRow(token, f"log-{token}", agent, score, True, sub_scores=columns)


def summarise(
    samples: Samples, agents: Sequence[str] = tuple(SIDES), unplanned: Sequence[Any] = (("far", "b"),)
) -> Dict[str, Any]:
    """Each agent beside the human all along, but for what is `unplanned`; rows of what is scored."""
    tokens = [ref.token for ref in samples.refs]
    predictions: Dict[Any, Any] = {(agent, token): {"costs": {"total_ms": 5.0}} for agent in agents for token in tokens}
    predictions.update({(agent, token): {"agent": agent, "error": ERROR} for agent, token in unplanned})
    measured = {}
    for agent in agents:
        plan = make_plan(drive_straight(5.0, SIDES[agent]))
        own = {token: plan for token in tokens if (agent, token) not in unplanned}
        measured[agent] = measure_plans(samples.truths, own)
    rows = [make_row(agent, ref.token) for agent in agents for ref in samples.scored]
    identity = {"metric": NUSCENES_METRIC.name, "agents": [{"agent": agent, "config": agent} for agent in agents]}
    return summarise_nuscenes(identity, samples, predictions, measured, rows)


@pytest.fixture(scope="module", autouse=True)
def few_replicates() -> Iterator[None]:
    """Intervals of open-loop metrics have tests of their own; whole ones would take most of the time here."""
    with pytest.MonkeyPatch.context() as patch:
        few = partial(open_loop_summary.bootstrap_ratios, num_samples=100)
        patch.setattr(open_loop_summary, "bootstrap_ratios", few)
        yield


@pytest.fixture(scope="module")
def summary() -> Dict[str, Any]:
    return summarise(make_samples(["a", "b"]))


@pytest.fixture(scope="module")
def planned() -> Dict[str, Any]:
    """The same where every plan was made."""
    return summarise(make_samples(["a", "b"]), unplanned=())


def test_counts_and_sources_are_told(summary: Dict[str, Any]) -> None:
    json.dumps(summary, allow_nan=False)
    assert (summary["samples"], summary["complete_samples"], summary["horizon_s"]) == (3, 2, 3.0)
    assert (summary["drives"], summary["logs"]) == (3, 3) and summary["resampled_levels"] == "logs, then scenes"
    assert summary["motion_sources"] == {"poses": 3} and summary["metric"] == "pdms-nuscenes"
    pdms = summary["pdms"]
    assert (pdms["scored_samples"], pdms["samples_left_out"], pdms["left_out"]) == (2, {TOO_SHORT: 1}, None)
    assert pdms["warning"] == WARNING and pdms["vehicle"]["width"] == 1.85


def test_every_agent_has_its_errors_scores_and_costs(summary: Dict[str, Any]) -> None:
    near, far = summary["agents"]
    assert (near["agent"], near["config"], far["agent"]) == ("near", "near", "far")
    assert (near["planned"], near["not_planned"], near["failures"]) == (3, 0, [])
    assert (far["planned"], far["failures"]) == (2, [{"token": "b", "error": ERROR}])
    assert near["open_loop"]["vad"]["l2_m"]["at"]["3s"] == pytest.approx(1.0)
    assert near["open_loop"]["uniad"]["l2_m"]["at"]["3s"] == pytest.approx(2 / 3)  # a drive's end counts as no error
    assert far["open_loop"]["failed"] == ["b"]
    assert far["open_loop"]["vad"]["planned_only"]["l2_m"]["at"]["3s"] == pytest.approx(3.0)
    assert (near["score"], near["failed"]) == (pytest.approx(0.7), 0)
    assert (far["score"], far["score_valid_only"], far["failed"]) == (pytest.approx(0.25), pytest.approx(0.5), 1)
    assert (far["score_low"], far["score_high"]) == (0.0, 0.5)
    assert near["total_ms"] == far["total_ms"] == 5.0


def test_a_plan_that_is_there_but_has_no_score_is_counted(planned: Dict[str, Any], summary: Dict[str, Any]) -> None:
    """Without a plan the score is not lost: the plan is."""
    assert [agent["not_scored"] for agent in planned["agents"]] == [0, 1]
    assert describe_failures(planned) == "1 plans of far could not be scored: see scores.csv"
    assert [agent["not_scored"] for agent in summary["agents"]] == [0, 0]
    assert describe_failures(summary) == f"far has no plan at 1 of 3 samples (first: {ERROR})"


def test_a_complete_run_has_no_failures() -> None:
    found = summarise(make_samples(["a", "b"]), agents=["near"], unplanned=())
    assert describe_failures(found) == "" and found["differences"] == [] and format_differences(found) == ""


def test_differences_are_paired_and_failed_scores_count_zero(summary: Dict[str, Any], planned: Dict[str, Any]) -> None:
    (pair,) = summary["differences"]
    assert (pair["agent"], pair["than"]) == ("far", "near")
    assert pair["pdms-nuscenes"] == pytest.approx({"mean": -0.45, "low": -0.6, "high": -0.3})
    found = planned["differences"][0]["open_loop"]["vad"]["l2_m"]
    assert found == pytest.approx({"mean": 2.0, "low": 2.0, "high": 2.0, "num_samples": 2})
    line = format_differences(planned)
    assert line.startswith("far minus near: L2 uniad +") and "L2 vad +2.00 [+2.00, +2.00]" in line
    assert line.endswith("pdms-nuscenes -45.00 [-60.00, -30.00]")


def test_without_a_map_there_is_no_score_and_it_says_why() -> None:
    found = summarise(make_samples([], without_map=["city"]), unplanned=())
    assert found["pdms"]["left_out"] == MISSING and found["pdms"]["locations_without_map"] == ["city"]
    assert not any("score" in agent or "not_scored" in agent for agent in found["agents"])
    assert found["differences"][0]["pdms-nuscenes"] is None
    assert format_scores(found) == f"pdms-nuscenes left out: {MISSING}"
    assert "pdms-nuscenes" not in format_differences(found) and describe_failures(found) == ""


def test_the_table_of_scores_carries_its_warning(summary: Dict[str, Any]) -> None:
    header, _, near, far, warning = format_scores(summary).splitlines()
    assert header.split()[:3] == ["agent", "scenes", "failed"] and header.endswith("PDMS on nuScenes")
    assert near.split()[:3] == ["near", "2", "0"] and near.split()[-1] == "70.00"
    assert far.split()[:3] == ["far", "2", "1"] and far.split()[-1] == "25.00"
    assert warning == WARNING


def test_the_open_loop_table_marks_headlines(summary: Dict[str, Any]) -> None:
    lines = [line.split() for line in format_open_loop(summary).splitlines()[2:]]
    names = ["uniad* at", "uniad up_to", "vad at", "vad* up_to", "standardised* at", "standardised up_to"]
    assert [" ".join(line[:3]) for line in lines[:6]] == [f"near {name}" for name in names]
    assert len(lines) == 12 and lines[3][3:9] == ["2", "1.00", "1.00", "1.00", "1.00", "1.00..1.00"]


def test_drives_without_three_seconds_to_come_leave_a_dash() -> None:
    samples = make_samples([])
    short = Samples(samples.refs[2:], samples.truths[2:], (), {TOO_SHORT: 1}, (), {})
    found = summarise(short, unplanned=())
    assert found["complete_samples"] == 0 and "too narrow" in found["resampled_levels"]
    lines = [line.split() for line in format_open_loop(found).splitlines()[2:]]
    assert lines[3] == ["near", "vad*", "up_to", "0", *["-"] * 10]
    assert format_scores(found) == f"pdms-nuscenes left out: 1 samples: {TOO_SHORT}"
    assert "L2 vad" not in format_differences(found)
