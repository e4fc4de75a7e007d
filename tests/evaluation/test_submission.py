"""The leaderboard's file: what is written is what is read, and what is wrong with a file is named."""

from __future__ import annotations

import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from latentvla_agent.data.roots import EMBEDDED_FOLDER
from latentvla_agent.data.scene import Trajectory, TrajectorySampling
from latentvla_agent.data.scene_loader import SceneIndex, SceneRef
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.errors import DataError, UnsafePickleError
from latentvla_agent.evaluation.submission import (
    Submission,
    Team,
    check_scenes,
    check_submission,
    collect_plans,
    read_submission,
    write_submission,
)
from tests.devkit_stand_in import write_stand_in
from tests.evaluation.commands import call

TEAM = Team("Lane Keepers", "A. Author", "a@b.org", "Lab", "Germany")
TEAM_OPTIONS = ("--team", "t", "--authors", "a", "--email", "e", "--institution", "i", "--country", "c")


def make_plan(offset: float = 0.0) -> Trajectory:
    """Straight ahead."""
    poses = np.zeros((8, 3), np.float32)
    poses[:, 0] = np.arange(8) + offset
    return Trajectory(poses)


def make_submission(generation: int) -> Submission:
    """Two scenes, and one of the second stage."""
    first = {"a" * 16: make_plan(), "b" * 16: Trajectory(np.ones((40, 3), np.float32), TrajectorySampling(40, 0.1))}
    return Submission(TEAM, (first,) if generation == 1 else (first, {"c" * 17: make_plan(0.1)}))


@pytest.mark.parametrize("generation", (1, 2))
def test_it_is_read_back_equal(tmp_path: Path, generation: int) -> None:
    submission = make_submission(generation)
    write_submission(submission, tmp_path / "submission.pkl")
    check_submission(tmp_path / "submission.pkl", submission)
    found = read_submission(tmp_path / "submission.pkl")
    assert found.team == TEAM and [list(stage) for stage in found.stages] == [list(s) for s in submission.stages]
    assert not {name for name in sys.modules if name.split(".")[0] in ("navsim", "nuplan")}


READER = """
import pickle, sys
content = pickle.load(open(sys.argv[1], "rb"))
plan = content["predictions"][0]["a" * 16]
print(type(plan).__module__, plan.poses.dtype, plan.poses.shape, plan.trajectory_sampling)
"""


def test_a_plain_reader_gets_the_classes_of_the_devkit(tmp_path: Path) -> None:
    write_submission(make_submission(1), tmp_path / "submission.pkl")
    devkit = write_stand_in(tmp_path / "devkit", 1)
    command = [sys.executable, "-c", READER, tmp_path / "submission.pkl"]
    run = subprocess.run(command, env={"PYTHONPATH": str(devkit)}, capture_output=True, text=True, check=True)
    expected = "TrajectorySampling(num_poses=8, time_horizon=4.0, interval_length=0.5)"
    assert run.stdout.strip() == f"navsim.common.dataclasses float32 (8, 3) {expected}"


def test_no_name_of_numpy_2_is_in_the_file(tmp_path: Path) -> None:
    write_submission(make_submission(2), tmp_path / "submission.pkl")
    assert b"_core" not in (tmp_path / "submission.pkl").read_bytes()


def spoil(content: Dict[str, Any], key: str, value: Any) -> Dict[str, Any]:
    """The content with another value."""
    return {**content, key: value}


def test_what_is_wrong_with_a_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "submission.pkl"
    good: Dict[str, Any] = {**TEAM.describe(), "predictions": [{}]}
    wrong = {
        "expected a dict": [],
        "email": {key: value for key, value in good.items() if key != "email"},
        "several seeds": spoil(good, "predictions", [{}, {}]),
        "x: not a trajectory": spoil(good, "predictions", [{"x": 1}]),
        "predictions": spoil(good, "first_stage_predictions", [{}]),
    }
    for message, content in wrong.items():
        path.write_bytes(pickle.dumps(content))
        with pytest.raises(DataError, match=message):
            read_submission(path)
    path.write_bytes(pickle.dumps(spoil(good, "email", subprocess.Popen)))
    with pytest.raises(UnsafePickleError):
        read_submission(path)


def test_another_content_than_planned(tmp_path: Path) -> None:
    path, meant = tmp_path / "submission.pkl", make_submission(1)
    others = {
        "1 scenes are missing": {"a" * 16: make_plan()},
        "0 scenes are missing and 1 too many": {**meant.stages[0], "d" * 16: make_plan()},
        "other poses": {**meant.stages[0], "a" * 16: make_plan(0.5)},
    }
    for message, plans in others.items():
        write_submission(Submission(TEAM, (plans,)), path)
        with pytest.raises(DataError, match=message):
            check_submission(path, meant)


def test_an_agent_that_failed_submits_nothing() -> None:
    predictions = {("a", "t"): {"agent": "a", "error": "ValueError: no"}}
    with pytest.raises(DataError, match="a failed in 1 of 1 scenes, first t: ValueError: no"):
        collect_plans(["t"], "a", predictions)


def test_privileged_agents_are_refused(tmp_path: Path) -> None:
    answer = call("submit", "--agent", "human", *TEAM_OPTIONS, "--out", tmp_path / "s.pkl")
    assert "privileged" in answer.error and not (tmp_path / "s.pkl").exists()


MISSING = """
data_split: embedded
scene_filter:
  frame_interval: 1
  log_names: [2021.09.09.09.46.00_veh-18_00172_05489, 2021.missing]
  tokens: [1ff44c4252ddc66d, deadbeefdeadbeef]
"""


def test_data_that_lack_a_scene_are_refused_before_anything_is_planned(tmp_path: Path) -> None:
    (tmp_path / "split.yaml").write_text(MISSING)
    folders = ("--data", EMBEDDED_FOLDER, "--maps", EMBEDDED_FOLDER / "maps", "--cache", tmp_path / "cache")
    options = (*TEAM_OPTIONS, *folders, "--split", tmp_path / "split.yaml", "--no-score")
    answer = call("submit", "--agent", "stop", *options, "--out", tmp_path / "s.pkl")
    assert "1 logs are missing, e.g. 2021.missing; 1 scenes are missing, e.g. deadbeefdeadbeef" in answer.error
    assert not (tmp_path / "s.pkl").exists()


def test_a_two_stage_split_without_second_stage_is_refused(tmp_path: Path) -> None:
    split = Split("two", tmp_path / "logs", SceneFilter(), "YAML file", synthetic_folder=tmp_path / "synthetic")
    ref = SceneRef(tmp_path / "logs" / "a.pkl", "a", 0, "t", "m", None)
    index = SceneIndex((ref,), split.scene_filter)
    check_scenes(replace(split, synthetic_folder=None), index)
    check_scenes(split, replace(index, synthetic_refs=(replace(ref, is_synthetic=True),)))
    with pytest.raises(
        DataError, match=f"split two, .*got 1 scenes: no scene of the second stage is in {tmp_path}/synthetic"
    ):
        check_scenes(split, index)
    with pytest.raises(DataError, match="bad log b.pkl: no log"):
        check_scenes(replace(split, synthetic_folder=None), replace(index, bad_logs=((Path("b.pkl"), "no log"),)))


@pytest.mark.parametrize("metric", ("pdms-v1.1", "epdms-v2.2"))
def test_the_command(tmp_path: Path, metric: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    answer = call(
        "submit",
        "--agent",
        "stop",
        *TEAM_OPTIONS,
        "--split",
        "embedded",
        "--metric",
        metric,
        "--no-score",
        "--out",
        "s.pkl",
    )
    assert answer.status == 0, answer.err
    stages = read_submission(tmp_path / "s.pkl").stages
    assert [len(stage) for stage in stages] == ([64] if metric == "pdms-v1.1" else [64, 0])
    assert "read back and found equal" in answer.out
    assert ("has one stage, the second is empty" in answer.err) == (metric == "epdms-v2.2")
