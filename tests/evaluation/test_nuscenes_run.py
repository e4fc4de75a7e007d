"""`latentvla eval-nuscenes`: from a database to every number, resumed, and kept apart from NAVSIM's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict

import pytest

from latentvla_agent.data.nuscenes.database import NuScenesDatabase
from latentvla_agent.evaluation.open_loop import read_plans
from latentvla_agent.evaluation.open_loop_summary import evaluate_open_loop
from tests.evaluation.commands import Answer, call, run
from tests.evaluation.comparison_files import make_scores, write_run
from tests.evaluation.failing_agents import is_chosen
from tests.evaluation.nuscenes_databases import NUM_FRAMES, write_mini

VERSION = "v1.0-mini"
NUM_LOGS = 2
NUM_SAMPLES = NUM_LOGS * NUM_FRAMES
SCORED = NUM_LOGS * (NUM_FRAMES - 10)  # 5 s must follow
OPTIONS = ("--workers", 1, "--agent", "constant_velocity", "--agent", "stop")


class Finished:
    """A run that has ended."""

    def __init__(self, root: Path, out: Path, *more: object) -> None:
        self.root, self.out = root, out
        self.answer: Answer = run("eval-nuscenes", "--data", root, "--out", out, *OPTIONS, *more)
        self.summary: Dict[str, Any] = json.loads((out / "summary.json").read_text())
        self.agents = {agent["agent"]: agent for agent in self.summary["agents"]}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("nuscenes")
    return Finished(write_mini(folder / "db", num_logs=NUM_LOGS), folder / "out", "--agent", "human")


def test_every_metric_is_in_one_summary(finished: Finished) -> None:
    summary = finished.summary
    assert (summary["samples"], summary["drives"]) == (NUM_SAMPLES, NUM_LOGS)
    assert summary["complete_samples"] == NUM_LOGS * (NUM_FRAMES - 6)
    assert summary["motion_sources"] == {"can_bus": NUM_SAMPLES}
    assert summary["samples_with_padded_history"] == 3 * NUM_LOGS
    assert summary["command_source"].startswith("future route")
    assert summary["resampled_levels"] == "logs, then scenes"
    for agent in finished.agents.values():
        found = agent["open_loop"]
        assert found["uniad"]["num_counted"]["3s"] == NUM_SAMPLES
        assert found["vad"]["num_counted"]["3s"] == summary["complete_samples"]
        for name in ("uniad", "vad", "standardised"):
            assert set(found[name]["l2_m"]) == set(found[name]["collision_rate"]) == {"at", "up_to"}
            assert found[name]["rules"]["ego_length"] == 4.084 and "vehicle.car" in str(found["uniad"]["rules"])
            low, high = found[name]["l2_m_interval"]
            assert 0.0 <= low <= high


def test_metrics_are_those_of_the_file_of_plans(finished: Finished) -> None:
    database = NuScenesDatabase(finished.root, VERSION)
    truths = [database.load_truth(token) for token in database.sample_tokens()]
    for name, agent in finished.agents.items():
        again = evaluate_open_loop(truths, read_plans(finished.out / "plans" / f"{name}.json"))
        assert json.loads(json.dumps(again)) == agent["open_loop"]


def test_what_the_human_does_is_no_error(finished: Finished) -> None:
    human = finished.agents["human"]
    assert human["not_planned"] == 8 * NUM_LOGS  # it has no four seconds there
    assert all("expected 8 future frames" in failure["error"] for failure in human["failures"])
    assert human["open_loop"]["uniad"]["planned_only"]["l2_m"]["at"]["3s"] == pytest.approx(0.0, abs=1e-6)
    assert human["failed"] == 0 and human["drivable_area_compliance"] == human["comfort"] == 1.0
    assert finished.answer.status == 1 and "human has no plan at 16 of 36 samples" in finished.answer.err
    assert finished.agents["stop"]["open_loop"]["vad"]["l2_m"]["at"]["3s"] > 3.0


def test_pdms_is_there_and_named(finished: Finished) -> None:
    summary = finished.summary
    assert summary["metric"] == summary["pdms"]["metric"] == "pdms-nuscenes"
    assert summary["pdms"]["scored_samples"] == SCORED and summary["pdms"]["left_out"] is None
    assert summary["pdms"]["samples_left_out"] == {"drive ends within 5 s": NUM_SAMPLES - SCORED}
    assert summary["pdms"]["vehicle"]["width"] == 1.85
    for agent in finished.agents.values():
        assert agent["expected"] == SCORED and 0.0 <= agent["score_low"] <= agent["score"] <= agent["score_high"] <= 1.0
    assert "never to be compared with navtest" in finished.answer.out
    lines = (finished.out / "scores.csv").read_text().splitlines()
    assert len(lines) == 1 + 3 * SCORED


def test_differences_are_to_the_first_agent(finished: Finished) -> None:
    stop, human = finished.summary["differences"]
    assert (stop["agent"], stop["than"], human["agent"]) == ("stop", "constant_velocity", "human")
    own = {name: finished.agents[name]["open_loop"]["vad"]["l2_m"]["up_to"]["avg"] for name in finished.agents}
    found = stop["open_loop"]["vad"]["l2_m"]
    assert found["mean"] == pytest.approx(own["stop"] - own["constant_velocity"])
    assert found["low"] <= found["mean"] <= found["high"] and found["num_samples"] == NUM_LOGS * (NUM_FRAMES - 6)
    scores = finished.agents["stop"]["score"] - finished.agents["constant_velocity"]["score"]
    assert stop["pdms-nuscenes"]["mean"] == pytest.approx(scores)
    assert "stop minus constant_velocity: L2 uniad" in finished.answer.out


def test_it_goes_on_and_refuses_another_run(finished: Finished) -> None:
    plans = (finished.out / "plans" / "stop.json").read_bytes()
    again = Finished(finished.root, finished.out, "--agent", "human")
    assert f"plan: all {3 * NUM_SAMPLES} from the journal" in again.answer.err
    assert f"score: all {SCORED} from the journal" in again.answer.err
    assert again.agents == finished.agents and (finished.out / "plans" / "stop.json").read_bytes() == plans
    other = run("eval-nuscenes", "--data", finished.root, "--out", finished.out, *OPTIONS)
    assert other.status == 2 and "belongs to a run with another agents" in other.err


def test_scores_of_navsim_are_kept_apart(finished: Finished, tmp_path: Path) -> None:
    navsim = write_run(tmp_path / "navsim", {"a": make_scores()})
    error = call("compare", "--results", finished.out, "--results", navsim, "--out", tmp_path / "compared").error
    assert "metric pdms-nuscenes" in error and "can't be compared" in error
    assert "unknown metric 'pdms-nuscenes'" in call("eval", "--metric", "pdms-nuscenes").error
    assert "unknown metric" in call("score", "--trajectories", "x.json", "--metric", "pdms-nuscenes").error


def test_without_a_map_the_score_is_left_out(tmp_path: Path) -> None:
    agent = tmp_path / "raises.yaml"
    agent.write_text("_target_: tests.evaluation.failing_agents.Raises\n")
    root = write_mini(tmp_path / "db")
    for path in (root / "maps" / "expansion").iterdir():
        path.unlink()
    found = Finished(root, tmp_path / "out", "--agent", agent, "--no-can-bus")
    assert "no map expansion (v1.3): expected maps/expansion/" in found.summary["pdms"]["left_out"]
    assert "pdms-nuscenes left out: no map expansion" in found.answer.out
    assert not (tmp_path / "out" / "scores.csv").exists()
    assert found.summary["motion_sources"] == {"next_pose": 1, "poses": NUM_FRAMES - 1}
    tokens = NuScenesDatabase(root, VERSION).sample_tokens()
    chosen = [token for token in tokens if is_chosen(token)]
    raised = found.agents["raises"]
    assert [failure["token"] for failure in raised["failures"]] == chosen == raised["open_loop"]["failed"]
    assert chosen and all("on purpose" in failure["error"] for failure in raised["failures"])
    kept = read_plans(tmp_path / "out" / "plans" / "raises.json")
    assert sorted(kept) == sorted(set(tokens) - set(chosen))
    assert found.answer.status == 1


def test_scenes_are_chosen_by_name(tmp_path: Path) -> None:
    root = write_mini(tmp_path / "db", num_logs=2, num_frames=4)
    found = Finished(root, tmp_path / "out", "--scenes", "scene-0002", "--skip-padded")
    assert (found.summary["samples"], found.summary["drives"]) == (1, 1)
    assert found.answer.status == 0 and found.summary["samples_with_padded_history"] == 0


def test_mistakes_are_one_line(tmp_path: Path) -> None:
    out = ("--agent", "stop", "--out", tmp_path / "out")
    assert "expected a folder (--data), got nothing" in call("eval-nuscenes", "--data", tmp_path / "no", *out).error
    assert "folders of tables there are: none" in call("eval-nuscenes", "--data", tmp_path, *out).error
    root = write_mini(tmp_path / "db", num_frames=2)
    assert "did you mean 'mini_val'" in call("eval-nuscenes", "--data", root, *out, "--split", "minival").error
    assert "did you mean 'scene-0001'" in call("eval-nuscenes", "--data", root, *out, "--scenes", "scene-1").error
    both = ("--scenes", "scene-0001", "--split", "val")
    assert "either --split or --scenes" in call("eval-nuscenes", "--data", root, *out, *both).error
    assert "unknown agent" in call("eval-nuscenes", "--data", root, "--agent", "x", "--out", tmp_path).error
    assert not (tmp_path / "out").exists()
