"""Hostile or broken logs and maps are one clear line from every command, and nothing of them is run."""

from __future__ import annotations

import builtins
import json
import os
import pickle
import re
import shutil
import sqlite3
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import pytest

from tests.cli.own_folders import MAPS, POSES, Command, first_token
from tests.data.log_factory import make_frame, make_log, write_log
from tests.evaluation.commands import EMBEDDED_LOGS, call


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
        r"tests\.cli\.test_broken_data\.Foreign",
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
    return [{"token": first_token(folder / "navsim_logs" / "dev"), "name": "a", "poses": POSES}]


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


def test_an_unknown_map_location(command: Command, tmp_path: Path) -> None:
    frames = [{**make_frame(index), "map_location": "atlantis"} for index in range(14)]
    write_log(tmp_path / "navsim_logs" / "dev" / "log.pkl", frames)
    entries = [{"token": "log-0003", "name": "a", "poses": POSES}]
    error = command("--data", tmp_path, "--maps", MAPS, entries=entries).error
    assert "nuplan-maps-v1.0.json: unknown map location 'atlantis'" in error
