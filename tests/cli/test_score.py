"""`latentvla score`: rows in the order of the file, the scores of `eval`, and what it says of broken files."""

from __future__ import annotations

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any, Dict, List, NamedTuple

import pytest

from latentvla_agent.scoring.versions import METRICS
from tests.cli.own_folders import MAPS, POSES, Command, first_token
from tests.data.log_factory import make_log
from tests.evaluation.commands import COMMAND, ROOT, Answer, call, environment


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"token": "elsewhere"}, "token elsewhere is no scene in the split embedded"),
        ({"poses": POSES[:7] + [[float("nan"), 0.0, 0.0]]}, "poses are not finite"),
        ({"poses": POSES[:7]}, "expected poses of shape (8, 3), got (7, 3)"),
        ({"poses": [pose[:2] for pose in POSES]}, "expected poses of shape (8, 3), got (8, 2)"),
        ({"poses": [["a", "b", "c"]] * 8}, "expected poses [[x, y, heading], ...] of numbers"),
    ],
)
def test_broken_trajectories(score: Command, change: Dict[str, Any], reason: str) -> None:
    good = {"token": first_token(), "name": "a", "poses": POSES}
    for entries in ([{**good, **change}], [good, {**good, **change}]):
        error = score(entries=entries).error
        assert error.startswith(f"latentvla: error: {score.folder / 'plans.json'}: ") and reason in error


@pytest.mark.parametrize(
    "name, content, reason",
    [
        ("plans.json", b"{", "not a JSON file"),
        ("plans.json", b"{}", "expected a JSON list of trajectories, got dict"),
        ("plans.json", b"[]", "expected at least one trajectory, got an empty list"),
        ("plans.json.gz", b"[]", "Not a gzipped file"),
        ("missing.json", None, "No such file or directory"),
    ],
)
def test_broken_trajectory_files(score: Command, tmp_path: Path, name: str, content: Any, reason: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    error = score("--trajectories", path).error
    assert error.startswith(f"latentvla: error: {path}: ") and reason in error


def test_a_window_without_route_is_no_scene(score: Command, tmp_path: Path) -> None:
    make_log(tmp_path / "navsim_logs" / "dev" / "log.pkl", no_route=[4])
    entries = [{"token": token, "name": "a", "poses": POSES} for token in ("log-0003", "log-0004")]
    error = score("--data", tmp_path, "--maps", MAPS, entries=entries[1:]).error
    assert "token log-0004 has no route, or too short a window, in the split dev" in error


class Scored(NamedTuple):
    """Rows of `score`, and what went in."""

    answer: Answer
    entries: List[Dict[str, Any]]
    rows: List[Dict[str, Any]]


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an evaluation of two agents in four scenes, and its metric caches."""
    folder = tmp_path_factory.mktemp("evaluated")
    options = ["--agent", "human", "--agent", "constant_velocity", "--max-scenes", 4, "--workers", 1]
    assert call("eval", *options, "--out", folder / "out", "--cache", folder / "cache").status == 0
    return folder


@pytest.fixture(scope="module")
def scored(evaluated: Path) -> Scored:
    """The same plans through a file, in an order of its own, packed in and out."""
    lines = (evaluated / "out" / "predictions.journal").read_text().splitlines()[1:]
    plans = [json.loads(line[9:]) for line in lines]
    entries = [
        {"token": plan["token"], "name": f"{plan['prediction']['agent']} {i}", "poses": plan["prediction"]["poses"]}
        for i, plan in enumerate(plans[::-1] + plans[:1])
    ]
    path, out = evaluated / "plans.json.gz", evaluated / "scores.json.gz"
    path.write_bytes(gzip.compress(json.dumps(entries).encode(), mtime=0))
    options = ["--workers", 1, "--cache", evaluated / "cache"]
    answer = call("score", "--trajectories", path, "--out", out, *options)
    return Scored(answer, entries, json.loads(gzip.decompress(out.read_bytes())))


def test_rows_are_in_the_order_of_the_file(scored: Scored) -> None:
    assert scored.answer.status == 0 and scored.answer.out == ""
    assert "9 rows (pdms-v1.1, embedded scorer) -> " in scored.answer.err
    assert [(row["token"], row["name"]) for row in scored.rows] == [
        (entry["token"], entry["name"]) for entry in scored.entries
    ]


def test_rows_have_all_fields(scored: Scored) -> None:
    fields = [
        "token",
        "name",
        "log",
        *METRICS["pdms-v1.1"].columns,
        "score",
        "progress_raw",
        "collision_idx",
        "ttc_idx",
        "off_road_idx",
        "valid",
        "error",
    ]
    for row in scored.rows:
        assert list(row) == fields
        assert row["valid"] is True and row["error"] == "" and 0.0 <= row["score"] <= 1.0
        assert len(row["progress_raw"]) == 2


def test_scores_equal_those_of_eval(scored: Scored, evaluated: Path) -> None:
    lines = (evaluated / "out" / "scores.journal").read_text().splitlines()[1:]
    expected = {(row["token"], row["agent"]): row for line in lines for row in json.loads(line[9:])["rows"]}
    for row in scored.rows:
        other = expected[row["token"], row["name"].split()[0]]
        assert {key: row[key] for key in row if key != "name"} == {key: other[key] for key in other if key != "agent"}


def test_without_out_rows_go_to_stdout(scored: Scored, evaluated: Path) -> None:
    path = evaluated / "plans.json.gz"
    answer = call("score", "--trajectories", path, "--workers", 1, "--cache", evaluated / "cache")
    assert answer.status == 0 and json.loads(answer.out) == scored.rows


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error(scored: Scored, evaluated: Path) -> None:
    arguments = ["score", "--trajectories", evaluated / "plans.json.gz", "--workers", "1"]
    process = subprocess.Popen(
        [*COMMAND, *map(str, arguments), "--cache", str(evaluated / "cache")],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    messages = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1 and "Traceback" not in messages and "BrokenPipe" not in messages
