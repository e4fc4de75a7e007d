"""An evaluation accounts for every scene: failures are rows, a second call resumes, another run is refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

import pytest

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.chunks import chunk_refs
from latentvla_agent.evaluation.journal import decode_line
from latentvla_agent.evaluation.locking import lock_folder
from latentvla_agent.evaluation.summary import describe_losses, is_complete
from tests.evaluation.commands import Answer, call, list_files, run
from tests.evaluation.failing_agents import is_chosen

REASONS = {
    "Raises": "RuntimeError: on purpose",
    "Hangs": "timed out after 8 s",
    "NotANumber": "TrajectoryError: poses are not finite (NaN or infinity)",
    "WrongShape": "TrajectoryError: expected poses of shape (8, 3), got (8, 2)",
    "WrongType": "TrajectoryError: expected poses of type float32 or float64, got int64",
    "ReturnsNone": "TrajectoryError: expected a Trajectory with an array of poses, got NoneType",
    "KillsProcess": "the worker died twice (exit code -9)",
}
SCENES = 7  # of the embedded data; the agents fail in the first of them
OPTIONS = ("--split", "embedded", "--workers", "2", "--max-scenes", str(SCENES), "--time-limit", "8")


class Result(NamedTuple):
    """What an evaluation left."""

    answer: Answer
    out: Path
    rows: List[Dict[str, str]]
    summary: Dict[str, Any]


def read_result(answer: Answer, out: Path) -> Result:
    with (out / "scores.csv").open() as file:
        rows = list(csv.DictReader(file))
    return Result(answer, out, rows, json.loads((out / "summary.json").read_text()))


def write_agent(folder: Path, class_name: str) -> Path:
    path = folder / f"{class_name}.yaml"
    path.write_text(f"_target_: tests.evaluation.failing_agents.{class_name}\n")
    return path


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory, metric_caches: Path) -> Result:
    """One evaluation of all failing agents, and of one that never fails."""
    folder = tmp_path_factory.mktemp("failing")
    agents = [argument for name in REASONS for argument in ("--agent", write_agent(folder, name))]
    out = folder / "out"
    answer = run("eval", *agents, "--agent", "stop", *OPTIONS, "--out", out, "--cache", metric_caches)
    return read_result(answer, out)


def test_failures_end_with_status_1_and_say_how_many(result: Result) -> None:
    assert result.answer.status == 1
    assert "Traceback" not in result.answer.err
    line = result.answer.err.splitlines()[-1]
    assert line.startswith("latentvla: incomplete: Raises failed in 1 of 7 scenes, Hangs failed in 1 of 7 scenes"), line
    assert "stop" not in line and "scores.csv" in line


def test_progress_is_one_line_per_stage(result: Result) -> None:
    lines = result.answer.err.splitlines()
    assert len(lines) == 5 and lines[0].startswith("scorer embedded") and lines[1].startswith("split embedded: ")
    assert lines[2].startswith(f"plan: {8 * SCENES} in ") and lines[2].endswith(", 7 failed")
    assert lines[3].startswith(f"score: {SCENES} in ") and "failed" not in lines[3]


def test_every_scene_of_every_agent_is_a_row(result: Result) -> None:
    tokens = {row["token"] for row in result.rows}
    assert len(tokens) == SCENES and len(result.rows) == SCENES * (len(REASONS) + 1)
    assert {(row["agent"], row["token"]) for row in result.rows} == {
        (agent, token) for agent in (*REASONS, "stop") for token in tokens
    }


@pytest.mark.parametrize("agent", REASONS)
def test_failed_scenes_have_the_reason_and_score_0(result: Result, agent: str) -> None:
    rows = [row for row in result.rows if row["agent"] == agent]
    for row in rows:
        assert (row["valid"] == "False") == is_chosen(row["token"])
    failed = [row for row in rows if row["valid"] == "False"]
    assert failed and {row["error"] for row in failed} == {REASONS[agent]}
    assert {row["score"] for row in failed} == {"0.0"}


@pytest.mark.parametrize("agent", REASONS)
def test_headline_counts_failures_as_0(result: Result, agent: str) -> None:
    scores = {row["token"]: float(row["score"]) for row in result.rows if row["agent"] == "stop"}
    expected = [score for token, score in scores.items() if not is_chosen(token)]
    summary = next(entry for entry in result.summary["agents"] if entry["agent"] == agent)
    assert (summary["expected"], summary["scored"]) == (SCENES, len(expected))
    assert summary["failed"] == SCENES - len(expected) > 0
    assert summary["score"] == pytest.approx(sum(expected) / SCENES, abs=1e-9)
    assert summary["score_valid_only"] == pytest.approx(sum(expected) / len(expected), abs=1e-9)


def test_the_table_shows_failures(result: Result) -> None:
    cells = {line.split()[0]: line.split()[1:] for line in result.answer.out.splitlines()[2:10]}
    assert cells["Raises"][:2] == ["7", "1"] and cells["stop"][:2] == ["7", "0"]


def test_summary_says_where_the_numbers_come_from(result: Result) -> None:
    summary = result.summary
    assert (summary["metric"], summary["scorer"], summary["expected"]) == ("pdms-v1.1", "embedded", SCENES)
    assert summary["split"]["scene_filter"]["max_scenes"] == SCENES
    assert {"numpy", "shapely", "latentvla_agent", "scoring_config"} <= set(summary["versions"])
    assert {"machine", "roots", "command", "finished", "bad_logs", "dropped_no_route"} <= set(summary)
    for agent in summary["agents"]:
        assert len(agent["config"]) == 16 and len(agent["code"]) == 16
        assert agent["total_ms"] > 0.0 and "parameters" not in agent


@pytest.mark.slow
@pytest.mark.parametrize("option, count", [((), 2), (("--retry-failed",), 7)])
def test_what_timed_out_or_died_is_done_again(
    result: Result, metric_caches: Path, tmp_path: Path, option: Tuple[str, ...], count: int
) -> None:
    """By the same command, here with another time limit."""
    for path in list_files(result.out):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    folder = result.out.parent
    agents = [argument for name in REASONS for argument in ("--agent", folder / f"{name}.yaml")]
    options = (*OPTIONS[:-1], "3", *option, "--cache", metric_caches)
    again = run("eval", *agents, "--agent", "stop", *options, "--out", tmp_path)
    assert f"plan: {count} in " in again.err and f", {8 * SCENES - count} from the journal, 7 failed" in again.err
    errors = {row["agent"]: row["error"] for row in read_result(again, tmp_path).rows if row["error"]}
    assert errors == {**REASONS, "Hangs": "timed out after 3 s"}


def evaluate_stop(out: Path, metric_caches: Path, *options: str) -> Answer:
    return call(
        "eval",
        "--agent",
        "stop",
        "--split",
        "embedded",
        "--max-scenes",
        "6",
        *options,
        "--out",
        out,
        "--cache",
        metric_caches,
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, metric_caches: Path) -> Result:
    """A small evaluation without failures."""
    out = tmp_path_factory.mktemp("finished") / "out"
    return read_result(evaluate_stop(out, metric_caches, "--workers", "1"), out)


def test_a_complete_run_ends_with_status_0(finished: Result) -> None:
    assert finished.answer.status == 0 and "incomplete" not in finished.answer.err
    names = {path.name for path in list_files(finished.out)}
    assert {"predictions.journal", "scores.journal", "scores.csv", "summary.json"} < names
    assert {name for name in names if name.startswith(".")} == {".lock"}, "something half-written was left"


def test_a_finished_run_prints_its_table_again(finished: Result, metric_caches: Path) -> None:
    before = (finished.out / "scores.csv").read_bytes()
    journals = [(finished.out / f"{name}.journal").read_bytes() for name in ("predictions", "scores")]
    again = evaluate_stop(finished.out, metric_caches)
    assert (again.status, again.out) == (0, finished.answer.out)
    assert "plan: all 6 from the journal\nscore: all 6 from the journal\n" in again.err
    assert (finished.out / "scores.csv").read_bytes() == before
    assert journals == [(finished.out / f"{name}.journal").read_bytes() for name in ("predictions", "scores")]


def test_a_damaged_line_is_done_again(finished: Result, metric_caches: Path, tmp_path: Path) -> None:
    for path in list_files(finished.out):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    journal = tmp_path / "scores.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(
        b"".join(line.replace(b"score", b"sc*re", 1) if n == 2 else line for n, line in enumerate(lines))
    )
    again = evaluate_stop(tmp_path, metric_caches, "--workers", "1")
    assert f"warning: {journal}: damaged line(s) 3" in again.err and "score: 1 in " in again.err
    assert (tmp_path / "scores.csv").read_bytes() == (finished.out / "scores.csv").read_bytes()
    assert sum(decode_line(line) is not None for line in journal.read_bytes().splitlines()) == 7


def test_another_config_in_the_same_folder_is_refused(finished: Result, metric_caches: Path) -> None:
    before = {path: path.read_bytes() for path in list_files(finished.out)}
    for arguments, key in ((["--max-scenes", "5"], "scenes, split"), (["--agent", "human"], "agents")):
        answer = call(
            "eval", "--agent", "stop", "--split", "embedded", "--max-scenes", "6", *arguments, "--out", finished.out
        )
        assert "predictions.journal" in answer.error and f"another {key};" in answer.error
    assert before == {path: path.read_bytes() for path in list_files(finished.out)}


def test_sensors_of_other_scenes_need_another_log(tmp_path: Path, metric_caches: Path) -> None:
    out = tmp_path / "out"
    answer = evaluate_stop(out, metric_caches, "--degrade", "other-scene")
    assert "--degrade other-scene: expected scenes of at least two logs, got 6 of one" in answer.error
    assert not out.exists()


def test_two_runs_in_one_folder_are_refused(tmp_path: Path, metric_caches: Path) -> None:
    with lock_folder(tmp_path):
        answer = evaluate_stop(tmp_path, metric_caches)
    assert f"{tmp_path}: another run is writing here" in answer.error
    assert [path.name for path in list_files(tmp_path)] == [".lock"]


def test_an_agent_that_cannot_start_ends_the_run(tmp_path: Path, metric_caches: Path) -> None:
    agent = write_agent(tmp_path, "CannotStart")
    answer = call("eval", "--agent", agent, *OPTIONS, "--out", tmp_path / "out", "--cache", metric_caches)
    assert "could not start: FileNotFoundError: no such file: weights.safetensors" in answer.error
    assert not (tmp_path / "out" / "scores.csv").exists()


@pytest.mark.parametrize(
    "scenes_per_log, workers, sizes",
    [
        (400, 2, [32] * 12 + [16]),  # long logs: large chunks
        (60, 2, [7] * 8 + [4]),  # few scenes: enough chunks for all workers
        (25, 200, [4] * 6 + [1]),  # never so small that starting costs more than working
    ],
)
def test_chunks_are_neighbours_of_one_log(scenes_per_log: int, workers: int, sizes: List[int]) -> None:
    refs = [
        SceneRef(Path(f"{log}.pkl"), log, i, f"{log}{i}", "map", None) for log in "ab" for i in range(scenes_per_log)
    ]
    chunks = chunk_refs(refs, workers)
    assert [ref for chunk in chunks for ref in chunk] == refs
    assert [len(chunk) for chunk in chunks] == sizes * 2
    assert chunk_refs([], workers) == []


def test_losses_are_named() -> None:
    summary: Dict[str, Any] = {"agents": [{"agent": "a", "failed": 0}], "bad_logs": []}
    summary.update(missing_logs=[], missing_tokens=0)
    assert is_complete(summary)
    for key, value, words in (
        ("bad_logs", [{"log": "x"}], "1 bad logs"),
        ("missing_logs", ["x", "y"], "2 logs missing"),
        ("missing_tokens", 3, "3 tokens missing"),
        ("agents", [{"agent": "a", "failed": 4, "expected": 9}], "a failed in 4 of 9 scenes"),
    ):
        assert not is_complete({**summary, key: value})
        assert words in describe_losses({**summary, key: value})
