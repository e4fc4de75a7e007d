"""A process of the devkit's interpreter that works for ours; `evaluation/devkit_process.py` starts it.

One JSON object per line comes in on stdin, one goes out on stdout for each; the first line out says which devkit this
is. An answer with `error` is the failure of that request alone.
"""

from __future__ import annotations

import gc
import importlib.metadata
import json
import logging
import os
import platform
import sys
import tempfile
import threading
import time
import traceback
import warnings
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, TextIO, Tuple

import numpy as np

from latentvla_agent.data.files import hash_folder
from latentvla_agent.data.logs import read_log
from latentvla_agent.navsim_bridge import OfficialBench, OfficialScorer, find_devkit, pack_row
from latentvla_agent.scoring.official_cache import read_official_cache, write_official_cache

PARENT_CHECK_S = 1.0
COLLECT_EVERY = 64  # requests
BENCH_WORKS = ("open_scenes", "cache_scene", "load_scene", "score")
NUMERIC_PACKAGES = ("numpy", "scipy", "shapely", "pandas")

Request = Dict[str, Any]
Answer = Dict[str, Any]
Row = Dict[str, Any]


def answer(handle: Callable[[Request], Answer], request: Request) -> Answer:
    """What `handle` makes of the request, or the error that it raised."""
    try:
        return handle(request)
    except Exception as error:  # told to whoever asked
        traceback.print_exc()
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())}


def serve(handle: Callable[[Request], Answer], requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more."""
    for line in requests:
        print(json.dumps(answer(handle, json.loads(line))), file=answers, flush=True)


def serve_fast(handle: Callable[[Request], Answer], garbage: List[Any], requests: TextIO, answers: TextIO) -> None:
    """As `serve`; what takes time and need not be done before an answer is done after it, while nobody waits.

    That is to free `garbage`, and to collect cycles, of which the devkit's objects hold hardly any: a collection walks
    every object of the metric caches, and would take a third of the time.
    """
    gc.collect()
    gc.freeze()
    gc.disable()
    for count, line in enumerate(requests, start=1):
        print(json.dumps(answer(handle, json.loads(line))), file=answers, flush=True)
        garbage.clear()
        if count % COLLECT_EVERY == 0:
            gc.collect()


def describe_devkit() -> Answer:
    """Version of the devkit, a hash of its sources, and versions of what it computes with."""
    folder, generation = find_devkit()
    versions = {name: importlib.metadata.version(name) for name in NUMERIC_PACKAGES}
    source = hash_folder(folder, ".py")[:16]
    python = platform.python_version()
    return {"folder": str(folder), "generation": generation, "source": source, "python": python, **versions}


def make_bench_handler(log_folder: Path, maps_root: Path, cache_folder: Path) -> Callable[[Request], Answer]:
    """Measures works of the devkit: {"work", "token", "calls"} gives {"ms": [...]}."""
    bench = OfficialBench(log_folder, maps_root, cache_folder)

    def handle(request: Request) -> Answer:
        work = BENCH_WORKS[BENCH_WORKS.index(request["work"])]
        arguments: List[Any] = [request.get("token", "")]
        if work == "open_scenes":
            arguments = [request["tokens"]]
        elif work == "score":
            arguments += [np.array(request["trajectories"], dtype=np.float64), request["interval"]]
        return {"ms": [_measure(getattr(bench, work), arguments) for _ in range(request.get("calls", 1))]}

    return handle


def _measure(function: Callable[..., None], arguments: List[Any]) -> float:
    started = time.perf_counter()
    function(*arguments)
    return 1e3 * (time.perf_counter() - started)


class ScoreHandler:
    """Scores the predictions of a scene: {"scene", "predictions", "columns"} gives {"rows"}.

    Where vehicles react, the scene is of a two-stage split: rows are whole and packed, and {"finish", "mapping",
    "columns"}, all rows of an agent, gives its score.

    A row holds the asked columns, or {"error"} for a prediction that can't be scored. {"previous",
    "previous_predictions"} are those of the scene before, for two-frame comfort; the rows of the last scene are kept,
    because the next one asks for them. {"ahead"} names scenes and predictions that will be asked for soon: what is done
    for all of them together costs less. A scene is {"token", "cache", "source"} and {"log", "start", "history",
    "future"} or, a synthetic one, {"file"}.
    """

    def __init__(self, maps_root: Path, is_reactive: bool) -> None:
        self._official, self._is_reactive = OfficialScorer(maps_root, is_reactive), is_reactive
        self._caches = CacheStore(self._official)
        self._last: Dict[str, List[Row]] = {}
        self._ahead: Dict[str, Any] = {}  # metric caches of scenes that come soon
        self.garbage: List[Any] = []  # metric caches that are done with

    def handle(self, request: Request) -> Answer:
        """Answer one request."""
        if "finish" in request:
            return self._official.finish_two_stages(request["finish"], request["mapping"], request["columns"])
        if request.get("ahead"):
            answer(self._look_ahead, request)  # what fails there fails again in its turn, and is told then
        rows = self._score(request["scene"], request["predictions"])
        if self._is_reactive:
            return {"rows": [pack_row(row) for row in rows]}
        before: List[Row] = [{"error": "no scene before"}] * len(rows)
        if request.get("previous") is not None:
            before = self._score_previous(request["previous"], request["previous_predictions"])
        self._last = {request["scene"]["token"]: rows}
        finished = [answer(partial(self._finish, row), other) for row, other in zip(rows, before)]
        return {"rows": [pick_columns(row, request["columns"]) for row in finished]}

    def _look_ahead(self, request: Request) -> Answer:
        """Load the caches of this scene and of the next ones, and simulate all plans there in one pass."""
        self._ahead.clear()
        plans = []
        for item in (request, *request["ahead"]):
            scene, predictions = item["scene"], item["predictions"]
            self._ahead[scene["token"]] = cache = self._caches.load(scene)
            plans.append((cache, [_read_plan(prediction) for prediction in predictions if "error" not in prediction]))
        self._official.simulate_ahead(plans)
        return {}

    def _score(self, scene: Request, predictions: List[Request]) -> List[Row]:
        cache = self._ahead.pop(scene["token"], None)
        if cache is None:
            cache = self._caches.load(scene)
        self.garbage.append(cache)
        return [answer(partial(self._score_prediction, cache, scene["token"]), item) for item in predictions]

    def _score_prediction(self, cache: Any, token: str, prediction: Request) -> Row:
        if "error" in prediction:
            return {"error": prediction["error"]}
        return {"token": token, **self._official.score(cache, *_read_plan(prediction))}

    def _score_previous(self, scene: Request, predictions: List[Request]) -> List[Row]:
        if scene["token"] in self._last:
            return self._last[scene["token"]]
        failed = [{"error": "no scene before"}] * len(predictions)
        rows = answer(lambda request: {"rows": self._score(request, predictions)}, scene)
        return rows.get("rows", failed)

    def _finish(self, row: Row, before: Row) -> Row:
        if "error" in row or self._official.generation == 1:
            return row
        return self._official.finish_row(row, None if "error" in before else before)


def _read_plan(prediction: Request) -> Tuple[Any, float]:
    """Poses (T, 3) and interval [s]."""
    return np.array(prediction["poses"], dtype=np.float64), prediction["interval"]


class CacheStore:
    """The devkit's metric caches, built where they are missing, or made of other data."""

    def __init__(self, official: OfficialScorer) -> None:
        self._official = official
        self._log_path = ""
        self._frames: List[Any] = []

    def load(self, scene: Request) -> Any:
        """The metric cache of a scene."""
        path = Path(scene["cache"])
        cache = read_official_cache(path, scene["source"])
        if cache is None:
            cache = self._build(scene)
            write_official_cache(cache, path, scene["source"])
        return cache

    def _build(self, scene: Request) -> Any:
        if "file" in scene:
            return self._official.build_synthetic_cache(Path(scene["file"]))
        if scene["log"] != self._log_path:
            self._frames = read_log(Path(scene["log"]))
            self._log_path = scene["log"]
        window = slice(scene["start"], scene["start"] + scene["history"] + scene["future"])
        return self._official.build_cache(self._frames[window], scene["history"], scene["future"])


def pick_columns(row: Row, columns: List[str]) -> Row:
    """The named columns as plain numbers, None for one that the scene has not; or the error."""
    if "error" in row:
        return {"error": row["error"]}
    return {name: None if np.isnan(row[name]) else float(row[name]) for name in columns}


def main(arguments: List[str]) -> None:
    """`bench MAPS_ROOT LOG_FOLDER`, `score MAPS_ROOT`, or `score-reactive MAPS_ROOT` for two stages.

    Whatever keeps the devkit from working ends the process.
    """
    command, maps_root, *rest = arguments
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what the devkit prints is no answer
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    os.environ["NUPLAN_MAPS_ROOT"] = maps_root
    threading.Thread(target=leave_with_parent, args=(os.getppid(),), daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        if command == "bench":
            bench = make_bench_handler(Path(rest[0]), Path(maps_root), Path(folder))
            _introduce(answers)
            serve(bench, sys.stdin, answers)
        else:
            scores = ScoreHandler(Path(maps_root), command == "score-reactive")
            _introduce(answers)
            serve_fast(scores.handle, scores.garbage, sys.stdin, answers)


def _introduce(answers: TextIO) -> None:
    print(json.dumps(describe_devkit()), file=answers, flush=True)


def leave_with_parent(parent: int) -> None:
    """End this process when the one that started it has gone, even in the middle of a scene."""
    while os.getppid() == parent:
        time.sleep(PARENT_CHECK_S)
    os._exit(1)
