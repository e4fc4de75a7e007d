"""What a worker does with one scene, without the worker."""

from __future__ import annotations

import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest

from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene_loader import SceneIndex, index_scenes
from latentvla_agent.data.splits import SceneFilter, Split, resolve_split
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.agents import find_agent
from latentvla_agent.evaluation.planning import PlanHandler, PlanItem
from latentvla_agent.evaluation.stages import CacheHandler, ScoreHandler, ScoreItem, SourceHashes, StageSetup
from latentvla_agent.scoring.metric_cache import MetricCache, read_metric_cache
from tests.evaluation.commands import list_files

STAY = {"agent": "a", "poses": np.zeros((8, 3)).tolist(), "interval": 0.5}


@pytest.fixture(scope="module")
def index() -> SceneIndex:
    return index_scenes(resolve_split("embedded", find_roots(environ={}, split="embedded"), max_scenes=2))


@pytest.fixture(scope="module")
def setup(index: SceneIndex, metric_caches: Path) -> StageSetup:
    agents = (find_agent("human"), find_agent("constant_velocity"))
    return StageSetup(find_roots(environ={}, split="embedded"), index.scene_filter, metric_caches / "stages", agents)


def test_scores_are_the_same_from_a_built_and_a_stored_cache(setup: StageSetup, index: SceneIndex) -> None:
    item = ScoreItem(index.refs[0], (STAY,))
    first = ScoreHandler(setup)(item)
    assert [path.name for path in list_files(setup.cache_folder)] == [f"{index.refs[0].token}.safetensors"]
    assert ScoreHandler(setup)(item) == first and first[0]["valid"]


@pytest.mark.parametrize("damage", [b"", b"garbage", None])
def test_a_broken_cache_is_made_again(setup: StageSetup, index: SceneIndex, damage: Any) -> None:
    item = ScoreItem(index.refs[0], (STAY,))
    expected = ScoreHandler(setup)(item)
    (path,) = list_files(setup.cache_folder)
    path.write_bytes(path.read_bytes()[:5000] if damage is None else damage)
    assert ScoreHandler(setup)(item) == expected
    assert list_files(setup.cache_folder) == [path]
    assert read_metric_cache(path).token == index.refs[0].token


def cache_of(setup: StageSetup, token: str, num_history_frames: int) -> MetricCache:
    """The cache of a scene in windows of so much history, of which every frame starts one."""
    scene_filter = SceneFilter(num_history_frames, frame_interval=1)
    loader = index_scenes(Split("embedded", setup.roots.logs / "embedded", scene_filter, ""))
    handler = CacheHandler(replace(setup, scene_filter=scene_filter))
    return handler.load_cache(next(ref for ref in loader.refs if ref.token == token))


def test_a_cache_is_of_one_length_of_history(setup: StageSetup, index: SceneIndex, tmp_path: Path) -> None:
    """The folder holds one cache of a scene, and a run with other windows doesn't take it for its own."""
    shared, token = replace(setup, cache_folder=tmp_path), index.refs[0].token
    short, full, none = (len(cache_of(shared, token, frames).history) for frames in (2, 4, 1))
    assert none == 0 < short < 10 < full, "steps of 0.1 s"
    (path,) = list_files(tmp_path)
    built = path.stat().st_mtime_ns
    assert len(cache_of(shared, token, 1).history) == 0 and path.stat().st_mtime_ns == built


def test_what_counts_of_a_window_is_in_the_name_of_the_source(setup: StageSetup, index: SceneIndex) -> None:
    def name(history: int, future: int) -> str:
        return SourceHashes(MapStore(setup.roots.maps), SceneFilter(history, future)).source_of(index.refs[0])

    histories = [name(history, 10) for history in (1, 2, 3, 4, 5, 20)]
    assert len(set(histories)) == 4 and histories[3] == histories[4] == histories[5]
    futures = [name(4, future) for future in (8, 9, 10, 11, 20)]
    assert len(set(futures)) == 3 and futures[2] == futures[3] == futures[4]


def test_a_full_disk_costs_the_cache_and_not_the_scene(
    setup: StageSetup, index: SceneIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    expected = ScoreHandler(setup)(ScoreItem(index.refs[0], (STAY,)))
    monkeypatch.setattr(os, "replace", full)
    elsewhere = replace(setup, cache_folder=tmp_path)
    assert ScoreHandler(elsewhere)(ScoreItem(index.refs[0], (STAY,))) == expected
    with pytest.raises(OSError, match="No space left"):
        CacheHandler(elsewhere)(ScoreItem(index.refs[0]))
    assert list_files(tmp_path) == []


def test_a_failure_of_one_prediction_leaves_the_others(
    setup: StageSetup, index: SceneIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: Dict[str, Any] = {"agent": "f", "error": "on purpose"}
    broken = {**STAY, "agent": "b", "poses": np.full((8, 3), np.nan).tolist()}
    rows = ScoreHandler(setup)(ScoreItem(index.refs[0], (failed, broken, STAY)))
    assert [row["agent"] for row in rows] == ["f", "b", "a"]
    assert [row["valid"] for row in rows] == [False, False, True]
    assert rows[0]["error"] == "on purpose" and rows[1]["error"].startswith("TrajectoryError: ")


@pytest.mark.parametrize("fault", ["scene", "prediction", "error", "absent"])
def test_a_failure_in_the_scene_before_costs_two_frame_comfort_only(
    setup: StageSetup, index: SceneIndex, fault: str
) -> None:
    first, second = index.refs
    assert second.previous == first.token
    before: Dict[str, Any] = {
        "scene": STAY,
        "prediction": {**STAY, "poses": np.full((8, 3), np.nan).tolist()},
        "error": {"agent": "a", "error": "on purpose"},
        "absent": None,
    }
    handler = ScoreHandler(replace(setup, metric="epdms-v2.2"))
    name = "two_frame_extended_comfort"
    (good,) = handler(ScoreItem(second, (STAY,), first, (STAY,)))
    assert good["valid"] and good[name] in (0.0, 1.0)
    broken = replace(first, token="gone") if fault == "scene" else first
    (row,) = handler(ScoreItem(second, (STAY,), broken, (before[fault],)))
    assert row["valid"] and row[name] is None
    assert {key for key in row if row[key] != good[key]} <= {name, "score"}
    assert handler(ScoreItem(second, (STAY,))) == [row]


def test_a_log_that_changed_is_noticed(setup: StageSetup, index: SceneIndex) -> None:
    ref = replace(index.refs[0], start=index.refs[0].start + 1)
    with pytest.raises(DataError, match="the log has changed"):
        PlanHandler(setup)(PlanItem(ref, "human"))
