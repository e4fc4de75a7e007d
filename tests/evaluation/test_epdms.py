"""EPDMS from the command line: its columns, two-frame comfort, the human filter, and the report."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Sequence, Set

import pytest

from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import SceneRef, index_scenes
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.scoring.versions import METRICS
from tests.evaluation.commands import Answer, call

EPDMS = METRICS["epdms-v2.2"]
EXTENDED = "two_frame_extended_comfort"
SCENES = 27  # of the embedded split: all of its first log, and two of the second, where the human collides


class Result(NamedTuple):
    """What an evaluation left."""

    answer: Answer
    out: Path
    rows: List[Dict[str, str]]
    plans: List[Dict[str, Any]]

    def plans_of(self, agent: str) -> List[Dict[str, Any]]:
        """The plans of an agent as entries of a trajectory file."""
        return [
            {"token": plan["token"], "name": agent, "poses": plan["prediction"]["poses"]}
            for plan in self.plans
            if plan["prediction"]["agent"] == agent
        ]


@pytest.fixture(scope="module")
def refs() -> Sequence[SceneRef]:
    return index_scenes(resolve_split("embedded", find_roots(environ={}, split="embedded"), max_scenes=SCENES)).refs


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, metric_caches: Path) -> Result:
    """One evaluation of two agents."""
    out = tmp_path_factory.mktemp("epdms") / "out"
    options = [
        "--agent",
        "human",
        "--agent",
        "constant_velocity",
        "--split",
        "embedded",
        "--workers",
        2,
        "--max-scenes",
        SCENES,
    ]
    answer = call("eval", "--metric", EPDMS.name, *map(str, options), "--out", out, "--cache", metric_caches)
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    lines = (out / "predictions.journal").read_text().splitlines()[1:]
    return Result(answer, out, rows, [json.loads(line[9:]) for line in lines])


def score(folder: Path, caches: Path, entries: Any, *options: str) -> List[Dict[str, Any]]:
    """Rows of `score`."""
    path = folder / "plans.json"
    path.write_text(json.dumps(entries))
    answer = call("score", "--split", "embedded", "--trajectories", path, "--workers", "1", "--cache", caches, *options)
    assert answer.status == 0, answer.err
    rows: List[Dict[str, Any]] = json.loads(answer.out)
    return rows


def test_every_scene_is_scored(result: Result) -> None:
    assert result.answer.status == 0, result.answer.err
    assert len(result.rows) == 2 * SCENES and {row["valid"] for row in result.rows} == {"True"}
    assert f"epdms-v2.2, embedded scorer, split embedded, {SCENES} scenes" in result.answer.out
    header = result.answer.out.splitlines()[0].split()
    assert header[3:] == ["NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "EC", "EPDMS"]


def test_columns(result: Result) -> None:
    assert list(result.rows[0]) == list(ResultRow("", "", "").to_json(EPDMS))
    for row in result.rows:
        for name in EPDMS.columns:
            assert (name == EXTENDED and row[name] == "") or 0.0 <= float(row[name]) <= 1.0


def test_two_frame_comfort_is_empty_only_without_a_scene_before(result: Result, refs: Sequence[SceneRef]) -> None:
    known = {ref.token for ref in refs}
    first = {ref.token for ref in refs if ref.previous not in known}
    assert len(first) == 2, "the first scenes of two logs"
    assert {row["token"] for row in result.rows if row[EXTENDED] == ""} == first
    assert {row[EXTENDED] for row in result.rows} == {"", "0.0", "1.0"}


def test_the_total_is_the_weighted_mean_times_the_multipliers(result: Result) -> None:
    for row in result.rows:
        value = {name: float(row[name] or 0.0) for name in EPDMS.columns}
        product = value["no_at_fault_collisions"] * value["drivable_area_compliance"]
        product *= value["driving_direction_compliance"] * value["traffic_light_compliance"]
        weighted = 5 * value["ego_progress"] + 5 * value["time_to_collision_within_bound"]
        weighted += 2 * (value["lane_keeping"] + value["history_comfort"] + value[EXTENDED])
        expected = product * weighted / (14 if row[EXTENDED] == "" else 16)
        assert float(row["score"]) == pytest.approx(expected, abs=1e-12)


def test_the_summary_has_means_of_what_is_there(result: Result) -> None:
    summary = json.loads((result.out / "summary.json").read_text())
    assert summary["metric"] == "epdms-v2.2"
    for agent in summary["agents"]:
        own = [row for row in result.rows if row["agent"] == agent["agent"]]
        assert agent["score"] == pytest.approx(sum(float(row["score"]) for row in own) / SCENES)
        comfort = [float(row[EXTENDED]) for row in own if row[EXTENDED]]
        assert len(comfort) == SCENES - 2 and agent[EXTENDED] == pytest.approx(sum(comfort) / len(comfort))


def test_the_report_is_about_epdms(result: Result) -> None:
    html = (result.out / "report.html").read_text()
    assert "EPDMS of 2 agents on embedded" in html and "EC: two frame extended comfort" in html
    assert html.count('<svg class="bev" ') == 12 and "no picture of" not in html


def test_another_metric_in_the_same_folder_is_refused(result: Result, metric_caches: Path) -> None:
    options = ["--agent", "human", "--agent", "constant_velocity", "--split", "embedded", "--max-scenes", str(SCENES)]
    answer = call("eval", *options, "--out", result.out, "--cache", metric_caches)
    assert "belongs to a run with another metric;" in answer.error


def test_a_file_with_all_plans_scores_as_eval_does(result: Result, metric_caches: Path, tmp_path: Path) -> None:
    entries = result.plans_of("constant_velocity")[::-1] + result.plans_of("human")
    rows = score(tmp_path, metric_caches, entries, "--metric", "epdms-v2.2")
    expected = {(row["token"], row["agent"]): row for row in result.rows}
    for row in rows:
        other = expected[row["token"], row["name"]]
        for name in EPDMS.columns:
            assert row[name] == (float(other[name]) if other[name] else None)
        assert row["score"] == float(other["score"])


def test_the_human_filter(result: Result, metric_caches: Path, tmp_path: Path) -> None:
    """In the last scenes the human collides: excused, unless the filter is off, or as it was before it was mended."""
    entries = [plan for agent in ("human", "constant_velocity") for plan in result.plans_of(agent)]
    filtered = score(tmp_path, metric_caches, entries, "--metric", "epdms-v2.2", "--human-filter")
    raw = score(tmp_path, metric_caches, entries, "--metric", "epdms-v2.2", "--no-human-filter")
    before = score(tmp_path, metric_caches, entries, "--metric", "epdms-v2.2-prefix")
    excused: Set[str] = set()
    for with_filter, without, prefix in zip(filtered, raw, before):
        changed = {name for name in EPDMS.columns if with_filter[name] != without[name]}
        assert all(with_filter[name] == 1.0 for name in changed)
        assert {name: prefix[name] for name in EPDMS.columns} == {name: with_filter[name] for name in EPDMS.columns}
        assert prefix["score"] == without["score"] <= with_filter["score"]
        excused |= {with_filter["token"]} if changed and without["score"] < with_filter["score"] else set()
    assert excused, "the filter changed nothing"
    assert len(excused) < SCENES / 2


def test_two_frame_comfort_needs_the_trajectory_of_that_name_in_the_scene_before(
    result: Result, refs: Sequence[SceneRef], metric_caches: Path, tmp_path: Path
) -> None:
    tokens = [ref.token for ref in refs[:4]]
    poses = {plan["token"]: plan["poses"] for plan in result.plans_of("human")}
    names = [(1, "a"), (0, "a"), (1, "b"), (3, "a"), (2, "b")]
    entries = [{"token": tokens[place], "name": name, "poses": poses[tokens[place]]} for place, name in names]
    rows = score(tmp_path, metric_caches, entries, "--metric", "epdms-v2.2")
    has_comfort = {(tokens.index(row["token"]), row["name"]): row[EXTENDED] is not None for row in rows}
    assert has_comfort == {(1, "a"): True, (0, "a"): False, (1, "b"): False, (3, "a"): False, (2, "b"): True}


def test_pdms_has_no_columns_of_epdms(result: Result, metric_caches: Path, tmp_path: Path) -> None:
    entries = result.plans_of("human")[:2]
    rows = score(tmp_path, metric_caches, entries)
    assert rows == score(tmp_path, metric_caches, entries, "--no-human-filter"), "the filter belongs to EPDMS"
    assert "lane_keeping" not in rows[0] and EXTENDED not in rows[0] and "comfort" in rows[0]
