"""Comparisons are paired, know logs and seeds, and refuse what was not measured alike."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

import numpy as np
import pytest

from latentvla_agent.errors import LatentVLAError
from latentvla_agent.evaluation.comparison import check_comparable, choose_agents, compare, find_logs
from latentvla_agent.evaluation.comparison_sources import read_results
from latentvla_agent.evaluation.paired_statistics import score_intervals
from latentvla_agent.evaluation.results import ResultRow
from tests.evaluation.comparison_files import LOGS, TOKENS, make_scores, write_run, write_stock, write_two_stage
from tests.evaluation.drawn_logs import interval_of_mean


def put_together(*paths: Any, agents: List[str] = []) -> Dict[str, Any]:
    """The comparison of files, logs known where one of them knows."""
    groups = choose_agents([result for path in paths for result in read_results(str(path))], agents)
    check_comparable(groups)
    return compare(groups, find_logs(groups))


def refusal(*paths: Any) -> str:
    """Why they are not compared, in one line."""
    with pytest.raises(LatentVLAError) as error:
        put_together(*paths)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_scores_and_intervals_are_those_of_the_evaluation(tmp_path: Path) -> None:
    scores = make_scores()
    comparison = put_together(write_run(tmp_path, {"a": scores}))
    rows = [ResultRow(token, LOGS[token], "a", scores[token] or 0.0, True) for token in TOKENS]
    (agent,) = comparison["agents"]
    assert agent["score"] == pytest.approx(np.mean(list(scores.values())))
    assert {"score_low": agent["low"], "score_high": agent["high"]} == score_intervals({"a": rows})["a"]
    assert comparison["differences"] == []
    assert [comparison[key] for key in ("scenes", "clusters", "seeds")] == [20, 4, 1]
    assert comparison["resampled_levels"] == "logs, then scenes"


def test_compare_json_has_the_keys_that_others_rely_on(tmp_path: Path) -> None:
    comparison = put_together(write_run(tmp_path, {"a": make_scores(), "b": make_scores(0.1)}))
    keys = ["metric", "scorer", "split", "scenes", "clusters", "seeds", "agents", "differences"]
    assert list(comparison)[: len(keys)] == keys
    sub_scores = ["no_at_fault_collisions", "drivable_area_compliance", "driving_direction_compliance"]
    sub_scores += ["ego_progress", "time_to_collision_within_bound", "comfort"]
    costs = ["features_ms", "tokens_ms", "planner_ms", "total_ms", "parameters"]
    first = ["agent", "score", "low", "high", *sub_scores, *costs]
    assert list(comparison["agents"][0])[: len(first)] == first
    assert {"network_ms", "total_ms_p95", "blank_camera_scenes"} < set(comparison["agents"][0])
    assert list(comparison["differences"][0]) == ["a", "b", "mean", "low", "high"]
    assert json.loads(json.dumps(comparison, allow_nan=False)) == comparison


def test_differences_are_paired_by_token_whatever_the_order(tmp_path: Path) -> None:
    worse = dict(reversed(list(make_scores(-0.05).items())))
    comparison = put_together(write_run(tmp_path / "1", {"a": make_scores()}), write_run(tmp_path / "2", {"b": worse}))
    (pair,) = comparison["differences"]
    assert (pair["a"], pair["b"]) == ("a", "b")
    assert [pair[key] for key in ("mean", "low", "high")] == pytest.approx([0.05] * 3)
    assert comparison["agents"][0]["high"] - comparison["agents"][0]["low"] > 0.1, "while the scores are uncertain"


def test_every_pair_in_the_order_that_was_asked_for(tmp_path: Path) -> None:
    path = write_run(tmp_path, {name: make_scores(0.01 * i) for i, name in enumerate("abcd")})
    comparison = put_together(path, agents=["c", "a", "b"])
    assert [(pair["a"], pair["b"]) for pair in comparison["differences"]] == [("c", "a"), ("c", "b"), ("a", "b")]


def test_failed_scenes_count_0_and_are_told(tmp_path: Path) -> None:
    failing: Dict[str, Any] = {**make_scores(), TOKENS[0]: None, TOKENS[9]: None}
    comparison = put_together(write_run(tmp_path, {"a": failing, "b": make_scores()}))
    lost = sum(make_scores()[token] or 0.0 for token in (TOKENS[0], TOKENS[9])) / len(TOKENS)
    assert comparison["differences"][0]["mean"] == pytest.approx(-lost)
    assert comparison["failed_by_agent"] == {"a": 2, "b": 0}
    assert comparison["notes"] == ["a failed in 2 of 20 scenes, which count 0"]


def test_costs_are_medians_of_all_results(tmp_path: Path) -> None:
    runs = []
    for i, total in enumerate((1.0, 2.0, 9.0)):
        runs.append(write_run(tmp_path / str(i), {"a": make_scores()}))
        summary = json.loads((runs[-1] / "summary.json").read_text())
        summary["agents"][0].update(total_ms=total, parameters=7)
        (runs[-1] / "summary.json").write_text(json.dumps(summary))
    (agent,) = put_together(*runs)["agents"]
    assert (agent["total_ms"], agent["parameters"], agent["planner_ms"]) == (2.0, 7, None)


def test_stock_csvs_alone_have_one_cluster_and_say_so(tmp_path: Path) -> None:
    paths = [write_stock(tmp_path / f"{name}.csv", make_scores(shift)) for name, shift in (("a", 0.0), ("b", 0.1))]
    comparison = put_together(*paths)
    assert (comparison["clusters"], comparison["split"], comparison["scorer"]) == (1, None, "official")
    assert "scenes only (too narrow: which scenes share a log is not known" in comparison["resampled_levels"]
    scores = np.array(list(make_scores().values()))
    assert comparison["agents"][0]["low"] == pytest.approx(interval_of_mean({"": scores})[0], abs=1e-6)


def test_our_own_run_tells_the_logs_of_a_stock_csv(tmp_path: Path) -> None:
    own = write_run(tmp_path / "own", {"ours": make_scores()}, scorer="official")
    comparison = put_together(own, write_stock(tmp_path / "theirs.csv", make_scores(0.1)))
    assert (comparison["clusters"], comparison["split"]) == (4, "dev")
    ours, theirs = comparison["agents"]
    assert theirs["low"] - ours["low"] == pytest.approx(0.1, abs=1e-6), "the same logs were drawn"
    assert comparison["resampled_levels"] == "logs, then scenes"


def test_two_stages_have_no_intervals(tmp_path: Path) -> None:
    scenes = {token: 0.5 for token in TOKENS}
    paths = [write_two_stage(tmp_path / f"{name}.csv", scenes, {}, score) for name, score in (("a", 0.45), ("b", 0.4))]
    comparison = put_together(*paths)
    (pair,) = comparison["differences"]
    assert pair == {"a": "a", "b": "b", "mean": pytest.approx(0.05), "low": None, "high": None}
    assert comparison["agents"][0]["low"] is None and "neither the groups" in comparison["resampled_levels"]
    one_stage = write_stock(tmp_path / "c.csv", scenes, "epdms-v2.2")
    assert "expected stages 2 as in" in refusal(paths[0], one_stage)


VERSIONS = {"latentvla_agent": "0.1.0", "scoring_config": "c0ffee"}
DEVKIT = {"generation": 2, "source": "abc", "numpy": "1.23.4"}
WINDOW = {"num_history_frames": 4, "frame_interval": 1, "max_scenes": None}
DIFFERENT: Dict[str, Any] = {
    "scorer": ({"scorer": "official"}, "expected scorer embedded as in .*, got official"),
    "version": ({"versions": {**VERSIONS, "latentvla_agent": "9"}}, "version of latentvla_agent 0.1.0 as in .*, got 9"),
    "config": ({"versions": {**VERSIONS, "scoring_config": "x"}}, "version of scoring_config c0ffee as in .*, got x"),
    "split": ({"split": {"name": "navtest", "scene_filter": WINDOW}}, "expected split dev as in .*, got navtest"),
    "filter": (
        {"split": {"name": "dev", "scene_filter": {**WINDOW, "frame_interval": 5}}},
        "scene filter's frame_interval 1 as in .*, got 5",
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_runs_that_were_not_measured_alike_are_refused(tmp_path: Path, what: str) -> None:
    changes, message = DIFFERENT[what]
    first = write_run(tmp_path / "1", {"a": make_scores()})
    second = write_run(tmp_path / "2", {"b": make_scores()}, **changes)
    with pytest.raises(LatentVLAError, match=f"^{second}/scores.csv: .*{message}; they can't be compared"):
        put_together(first, second)
    third = write_run(tmp_path / "3", {"c": make_scores()})
    assert put_together(first, third)["scenes"] == 20, "while equal ones are not"


def test_devkits_differ_by_their_sources(tmp_path: Path) -> None:
    official = {"scorer": "official", "metric": "epdms-v2.2"}
    runs = [
        write_run(tmp_path / name, {name: make_scores()}, devkit=devkit, **official)
        for name, devkit in (("a", DEVKIT), ("b", {**DEVKIT, "numpy": "2.0"}), ("c", {**DEVKIT, "source": "xyz"}))
    ]
    assert put_together(runs[0], runs[1])["scorer"] == "official"
    assert "expected devkit's source abc as in" in refusal(runs[0], runs[2])


def test_metrics_are_not_mixed(tmp_path: Path) -> None:
    stock = write_stock(tmp_path / "a.csv", make_scores())
    other = write_stock(tmp_path / "b.csv", make_scores(), "epdms-v2.2")
    assert "b.csv: expected metric pdms-v1.1 as in" in refusal(stock, other)
    assert "expected scorer embedded as in" in refusal(write_run(tmp_path / "run", {"c": make_scores()}), stock)


def test_the_convention_of_a_stock_csv_must_be_said_beside_the_old_one(tmp_path: Path) -> None:
    prefix = write_run(tmp_path / "run", {"a": make_scores()}, "epdms-v2.2-prefix", scorer="official")
    stock = write_stock(tmp_path / "b.csv", make_scores(), "epdms-v2.2")
    assert "say --metric epdms-v2.2-prefix if this file" in refusal(prefix, stock)


def test_other_scenes_are_counted_on_both_sides(tmp_path: Path) -> None:
    first = write_stock(tmp_path / "a.csv", make_scores())
    others = {token: score for token, score in make_scores().items() if token not in TOKENS[:3]}
    second = write_stock(tmp_path / "b.csv", {**others, "f" * 16: 0.5})
    message = refusal(first, second)
    assert f"{second}: expected the 20 scenes of {first}, got 18: 3 of them are missing, 1 others are here" in message


def test_a_token_in_two_logs_is_refused(tmp_path: Path) -> None:
    first = write_run(tmp_path / "1", {"a": make_scores()})
    second = write_run(tmp_path / "2", {"b": make_scores()})
    text = (second / "scores.csv").read_text()
    (second / "scores.csv").write_text(text.replace("log-2", "log-x"))
    assert f"token {TOKENS[10]}: expected log log-2, got log-x" in refusal(first, second)


def test_unknown_agents_get_a_suggestion(tmp_path: Path) -> None:
    results = read_results(str(write_run(tmp_path, {"human": make_scores(), "stop": make_scores()})))
    with pytest.raises(LatentVLAError, match="no results of agent 'humn', did you mean human?"):
        choose_agents(results, ["humn"])
    with pytest.raises(LatentVLAError, match="no results of agent 'xyz'; there are: human, stop"):
        choose_agents(results, ["xyz"])
    with pytest.raises(LatentVLAError, match="at least one agent, got none"):
        check_comparable({})


def test_published_results_are_compared_as_they_lie_in_the_repository() -> None:
    folder = Path(__file__).resolve().parents[2] / "results" / "minitown-val" / "ipad"
    results = read_results(str(folder))
    groups: Dict[str, List[Any]] = {}
    for result in results:
        groups.setdefault(result.agent, []).append(result)
    logs = {row.token: row.log for row in results[0].rows}
    comparison = compare(groups, logs)
    assert [agent["agent"] for agent in comparison["agents"]] == ["ipad", "ipad_blind"]
    assert comparison["scorer"] == "embedded" and comparison["clusters"] == 103 and comparison["seeds"] == 3
    assert comparison["differences"][0]["low"] > 0.08
