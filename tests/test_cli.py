"""The command `latentvla`: what it prints, and that hostile or broken input is one clear line and nothing else."""

from __future__ import annotations

import builtins
import gzip
import json
import os
import pickle
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Tuple

import numpy as np
import pytest

from latentvla_agent import __version__
from latentvla_agent.data.roots import EMBEDDED_FOLDER
from latentvla_agent.scoring.metric_cache import VERSION as CACHE_VERSION
from latentvla_agent.scoring.versions import METRICS
from tests.data.log_factory import make_frame, make_log, write_log
from tests.evaluation.commands import COMMAND, EMBEDDED_LOGS, ROOT, Answer, call, environment, list_files, run

POSES = [[2.0 * i, 0.1 * i, 0.0] for i in range(1, 9)]
MAPS = EMBEDDED_FOLDER / "maps"


@pytest.fixture(autouse=True)
def no_data_roots(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OPENSCENE_DATA_ROOT", "NUPLAN_MAPS_ROOT", "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)


class Command(NamedTuple):
    """A command with its own folders for whatever it writes."""

    name: str
    folder: Path

    def __call__(self, *arguments: Any, entries: Any = None) -> Answer:
        """Run it in this process, on the embedded logs unless told otherwise."""
        options = ["--cache", self.folder / "cache", "--workers", 1]
        if not {"--data", "--split"}.intersection(arguments):
            options += ["--split", "embedded"]
        if self.name == "score":
            plans = self.folder / "plans.json"
            plans.write_text(json.dumps(entries or [{"token": "any", "name": "a", "poses": POSES}]))
            options += ["--trajectories", plans, "--out", self.folder / "out" / "scores.json"]
        if self.name == "eval":
            options += ["--out", self.folder / "out"]
        return call(self.name, *options, *arguments)

    def left(self) -> List[Path]:
        """Files that it left behind, other than outlines of logs that it read to the end."""
        files = [path for place in ("out", "cache") for path in list_files(self.folder / place)]
        return [path for path in files if path.parent.name != "log-outlines" or path.suffix != ".json"]


@pytest.fixture(params=["eval", "score", "cache"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Command]:
    """Each command; after the test, nothing half-written may be left."""
    made = Command(request.param, tmp_path / "command")
    made.folder.mkdir()
    yield made
    assert made.left() == []


@pytest.fixture
def score(tmp_path: Path) -> Iterator[Command]:
    """The command `score`, likewise."""
    made = Command("score", tmp_path / "command")
    made.folder.mkdir()
    yield made
    assert made.left() == []


# --- broken logs


class Call:
    """Pickles as a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any):
        self._reduced = (function, arguments)

    def __reduce__(self) -> Tuple[Any, ...]:
        return self._reduced


class Foreign:
    """A class that no log may hold."""


def hostile(value: Any) -> List[Dict[str, Any]]:
    """A good log with one bad value in it."""
    frames = [make_frame(index) for index in range(20)]
    frames[7]["driving_command"] = value
    return frames


MARKER = "/tmp/latentvla-test-was-executed"
BAD_LOGS: Dict[str, Tuple[Callable[[], bytes], str]] = {
    "truncated": (lambda: pickle.dumps(hostile(0))[:5000], "not a readable pickle"),
    "empty": (lambda: b"", "not a readable pickle"),
    "os.system": (lambda: pickle.dumps(hostile(Call(os.system, f"touch {MARKER}"))), r"(posix|os)\.system"),
    "builtins.eval": (lambda: pickle.dumps(hostile(Call(builtins.eval, f"open({MARKER!r}, 'w')"))), r"builtins\.eval"),
    "builtins.getattr": (lambda: pickle.dumps(hostile(Call(getattr, "a", "upper"))), r"builtins\.getattr"),
    "numpy function": (lambda: pickle.dumps(hostile(Call(np.load, "x.npy"))), r"numpy\.load"),
    "class in object array": (
        lambda: pickle.dumps(hostile(np.array([1, Foreign()], dtype=object))),
        r"tests\.test_cli\.Foreign",
    ),
    "a dict": (lambda: pickle.dumps({"frames": hostile(0)}), "expected a list of frames, got dict"),
    "a frame of text": (lambda: pickle.dumps(["frame"]), "frame 0: expected a dict"),
    "a bad value": (lambda: pickle.dumps(hostile("left")), "frame 7: driving_command: expected"),
}


@pytest.mark.parametrize("kind", BAD_LOGS)
def test_bad_logs(command: Command, tmp_path: Path, kind: str) -> None:
    content, reason = BAD_LOGS[kind]
    log = tmp_path / "data" / "navsim_logs" / "dev" / "bad.pkl"
    make_log(log.with_name("good.pkl"))
    log.write_bytes(content())
    error = command("--data", tmp_path / "data", "--maps", MAPS).error
    assert error.startswith(f"latentvla: error: {log}: ") and re.search(reason, error), error
    assert not Path(MARKER).exists()


@pytest.mark.slow
def test_bad_logs_can_be_skipped_and_are_listed(tmp_path: Path) -> None:
    logs = tmp_path / "data" / "navsim_logs" / "dev"
    logs.mkdir(parents=True)
    shutil.copy(sorted(EMBEDDED_LOGS.glob("*.pkl"))[0], logs / "z_good.pkl")
    (logs / "a_bad.pkl").write_bytes(b"bad")
    options = ["--data", tmp_path / "data", "--maps", MAPS, "--max-scenes", 2, "--workers", 1]
    options += ["--skip-bad-logs", "--cache", tmp_path / "cache"]
    answer = call("eval", *options, "--agent", "stop", "--out", tmp_path / "out")
    assert answer.status == 1 and f"latentvla: skipped bad log: {logs / 'a_bad.pkl'}: " in answer.err
    assert answer.err.splitlines()[-1].startswith("latentvla: incomplete: 1 bad logs")
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [bad["log"] for bad in summary["bad_logs"]] == ["a_bad.pkl"] and summary["agents"][0]["scored"] == 2
    cached = call("cache", *options)
    assert cached.status == 1 and "2 of 2 metric caches" in cached.out and "a_bad.pkl" in cached.err


def test_only_bad_logs(tmp_path: Path) -> None:
    log = tmp_path / "navsim_logs" / "dev" / "bad.pkl"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"bad")
    answer = call("eval", "--data", tmp_path, "--maps", MAPS, "--skip-bad-logs", "--out", tmp_path / "out")
    assert "expected scenes for split dev, got none" in answer.error and "1 broken logs" in answer.error


# --- broken maps


@pytest.fixture
def embedded_copy(tmp_path: Path) -> Path:
    """The embedded data, to be broken: one log and all maps."""
    folder = tmp_path / "data"
    shutil.copytree(MAPS, folder / "maps")
    (folder / "navsim_logs" / "dev").mkdir(parents=True)
    shutil.copy(sorted(EMBEDDED_LOGS.glob("*.pkl"))[0], folder / "navsim_logs" / "dev")
    return folder


def drop_layer(path: Path, name: str) -> None:
    """Remove a layer from a GeoPackage."""
    with sqlite3.connect(path) as database:
        triggers = database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (trigger,) in triggers:
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute(f'DROP TABLE "{name}"')
        for table in ("gpkg_contents", "gpkg_geometry_columns"):
            database.execute(f"DELETE FROM {table} WHERE table_name = ?", (name,))
    database.close()


def name_scene(folder: Path) -> List[Dict[str, Any]]:
    """An entry for the first scene of the data."""
    (log,) = (folder / "navsim_logs" / "dev").glob("*.pkl")
    frames = pickle.loads(log.read_bytes())
    frame = next(frame for frame in frames[3:] if len(frame["roadblock_ids"]))
    return [{"token": frame["token"], "name": "a", "poses": POSES}]


@pytest.mark.parametrize("layer", ["lane_connectors", "baseline_paths", "carpark_areas", "meta"])
def test_missing_layer(command: Command, embedded_copy: Path, layer: str) -> None:
    for path in embedded_copy.glob("maps/*/*/map.gpkg"):
        drop_layer(path, layer)
    error = command("--data", embedded_copy, entries=name_scene(embedded_copy)).error
    assert f"map.gpkg: layer {layer} is missing" in error


@pytest.mark.parametrize("content", [None, b"", b"no map"])
def test_missing_or_broken_map(command: Command, embedded_copy: Path, content: Any) -> None:
    for path in embedded_copy.glob("maps/*/*/map.gpkg"):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
    error = command("--data", embedded_copy, entries=name_scene(embedded_copy)).error
    assert "map.gpkg: " in error and ("not found" if content is None else "not readable") in error


def test_missing_maps_folder(command: Command, embedded_copy: Path) -> None:
    shutil.rmtree(embedded_copy / "maps")
    error = command("--data", embedded_copy, entries=name_scene(embedded_copy)).error
    assert "nuplan-maps-v1.0.json: not found" in error


# --- arguments


@pytest.mark.parametrize(
    "arguments, reason",
    [
        (["--split", "embeded"], "no split 'embeded', the known ones are: embedded, minitown-"),
        (["--split", "no.yaml"], "no.yaml: expected a YAML file of a split, got nothing"),
        (["--split", "../embedded"], "expected the name of a split"),
        (["--data", "/nowhere"], "/nowhere: expected a folder (--data), got nothing"),
        (["--maps", "/nowhere"], "/nowhere: expected a folder (--maps), got nothing"),
    ],
)
def test_unknown_arguments(command: Command, arguments: List[str], reason: str) -> None:
    assert reason in command(*arguments).error


@pytest.mark.parametrize(
    "agent, reason",
    [
        ("constant_velocty", "unknown agent 'constant_velocty', did you mean constant_velocity?"),
        ("no.yaml", "unknown agent 'no.yaml'"),
    ],
)
def test_unknown_agents(tmp_path: Path, agent: str, reason: str) -> None:
    assert reason in call("eval", "--agent", agent, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "metric, reason",
    [
        ("pdms", "unknown metric 'pdms', did you mean pdms-v1.1?"),
        ("epdms-v2", "unknown metric 'epdms-v2', did you mean epdms-v2.2?"),
        ("ADE", "unknown metric 'ADE'; there are: pdms-v1.1, epdms-v2.2, epdms-v2.2-prefix"),
    ],
)
@pytest.mark.parametrize("name", ["eval", "score"])
def test_unknown_metrics(tmp_path: Path, name: str, metric: str, reason: str) -> None:
    made = Command(name, tmp_path)
    assert reason in made("--metric", metric).error and made.left() == []


@pytest.mark.parametrize(
    "scorer, reason", [("oficial", "unknown scorer"), ("official", "no NAVSIM devkit is installed here or named")]
)
def test_scorers(tmp_path: Path, scorer: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("NAVSIM_PYTHON", "NAVSIM_DEVKIT_ROOT"):
        monkeypatch.delenv(variable, raising=False)
    assert reason in call("eval", "--scorer", scorer, "--out", tmp_path / "out").error


def test_output_in_the_way_of_a_file(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    entries = [{"token": first_token(), "name": "a", "poses": POSES}]
    assert "file: cannot be created (File exists)" in command(
        "--cache", tmp_path / "file", entries=entries
    ).error.replace(
        f"file/metric-caches-{CACHE_VERSION}: cannot be created (Not a directory)",
        "file: cannot be created (File exists)",
    )
    if command.name != "cache":
        out = tmp_path / "file" / "out.json"
        error = (
            command("--out", out, "--agent", "stop", entries=entries).error
            if command.name == "eval"
            else (command("--out", out, entries=entries).error)
        )
        assert str(tmp_path / "file") in error and "cannot be created" in error
    assert (tmp_path / "file").read_text() == "mine"


def test_output_is_a_folder(score: Command, tmp_path: Path) -> None:
    entries = [{"token": first_token(), "name": "a", "poses": POSES}]
    assert f"{tmp_path}: expected the name of a file" in score("--out", tmp_path, entries=entries).error


# --- trajectories


def first_token() -> str:
    frames = pickle.loads(sorted(EMBEDDED_LOGS.glob("*.pkl"))[0].read_bytes())
    return str(next(frame["token"] for frame in frames[3:] if len(frame["roadblock_ids"])))


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


def test_an_unknown_map_location(command: Command, tmp_path: Path) -> None:
    frames = [{**make_frame(index), "map_location": "atlantis"} for index in range(14)]
    write_log(tmp_path / "navsim_logs" / "dev" / "log.pkl", frames)
    entries = [{"token": "log-0003", "name": "a", "poses": POSES}]
    error = command("--data", tmp_path, "--maps", MAPS, entries=entries).error
    assert "nuplan-maps-v1.0.json: unknown map location 'atlantis'" in error


# --- scores


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


# --- help


@pytest.mark.parametrize("name", ["eval", "cache", "score"])
def test_help_shows_an_example(name: str) -> None:
    answer = call(name, "--help")
    assert answer.status == 0 and re.search(rf"Examples?:\n +latentvla {name} ", answer.out)


def test_help_lists_the_commands() -> None:
    answer = call("--help")
    assert answer.status == 0 and all(
        re.search(rf"^ +{name} ", answer.out, re.M) for name in ("eval", "cache", "score")
    )


def test_version() -> None:
    assert call("--version") == Answer(0, f"latentvla-agent {__version__}\n", "")


def test_the_command_is_installed_as_a_process() -> None:
    assert run("--version").out == f"latentvla-agent {__version__}\n"
