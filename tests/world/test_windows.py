"""Windows of drives: cut as NAVSIM cuts scenes, scored by the embedded scorer, kept where the rules allow it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Dict, List

import pytest

from latentvla_agent.data.logs import read_log
from latentvla_agent.world.towns import LOGS_FOLDER, MAPS_FOLDER, Town
from latentvla_agent.world.windows import FILTER, Window, cut_windows
from tests.world.small_world import SMALL, TOWNS

Drives = Dict[str, List[Dict[str, Any]]]
ALL = replace(SMALL.rules, per_log=None, min_gap=1)
SCORED = replace(ALL, is_scored=True, max_constant_velocity=1.0, max_stop=1.0, min_human=0.0)


@pytest.fixture(scope="module")
def drives(small_towns: Dict[Town, Path]) -> Drives:
    """Frames of the first town's logs by name."""
    return {path.stem: read_log(path) for path in sorted((small_towns[TOWNS[0]] / LOGS_FOLDER).glob("*.pkl"))}


@pytest.fixture(scope="module")
def scored(small_towns: Dict[Town, Path], drives: Drives) -> List[Window]:
    """Every window of one drive with its scores."""
    folder, (name, frames) = small_towns[TOWNS[0]], next(iter(drives.items()))
    return cut_windows(folder / LOGS_FOLDER, folder / MAPS_FOLDER, {name: frames}, SCORED)


def test_every_window_has_its_history_and_future(drives: Drives, tmp_path: Path) -> None:
    windows = cut_windows(tmp_path, tmp_path, drives, ALL)  # nothing is read where nothing is scored
    for name, frames in drives.items():
        starts = [window.start for window in windows if window.log == name]
        assert starts == list(range(len(frames) - FILTER.num_frames + 1))
    assert len({window.token for window in windows}) == len(windows)


def test_a_window_has_the_events_that_begin_about_its_current_frame(tmp_path: Path) -> None:
    frames: List[Dict[str, Any]] = [
        {"token": str(index), "map_location": "", "world": {"weather": "fog", "events": []}} for index in range(40)
    ]
    for index in range(20, 25):
        frames[index]["world"]["events"] = ["cones"]
    windows = cut_windows(tmp_path, tmp_path, {"log": frames}, replace(ALL, event_lead=3, event_lag=5))
    currents = [int(window.token) for window in windows if "cones" in window.kinds]
    assert currents == list(range(20 - 5, 20 + 3 + 1))
    assert {window.kinds for window in windows} == {("fog",), ("cones", "fog")}
    few = cut_windows(tmp_path, tmp_path, {"log": frames}, replace(ALL, per_log=2, min_gap=4))
    assert [int(window.token) for window in few] == [15, 19]  # those with an event come first
    blind = cut_windows(tmp_path, tmp_path, {"log": frames}, replace(ALL, min_gap=2, events_first=False))
    assert [int(window.token) for window in blind] == list(range(3, 30, 2))


def test_scores_are_those_of_the_planners(scored: List[Window]) -> None:
    assert scored and all(
        [name for name, _ in window.scores] == ["human", "constant_velocity", "stop"] for window in scored
    )
    assert all(0.0 <= score <= 1.0 for window in scored for _, score in window.scores)
    assert max(dict(window.scores)["human"] for window in scored) > 0.8


@pytest.mark.parametrize("rule, name", [("max_constant_velocity", "constant_velocity"), ("max_stop", "stop")])
def test_rules_bound_the_scores(
    rule: str, name: str, scored: List[Window], small_towns: Dict[Town, Path], drives: Drives
) -> None:
    folder, values = small_towns[TOWNS[0]], [dict(window.scores)[name] for window in scored]
    bound = sorted(values)[len(values) // 2]
    rules, log = replace(SCORED, **{rule: bound}), scored[0].log
    kept = cut_windows(folder / LOGS_FOLDER, folder / MAPS_FOLDER, {log: drives[log]}, rules)
    assert kept == [window for window in scored if dict(window.scores)[name] <= bound]


def test_the_human_must_do_well(scored: List[Window], small_towns: Dict[Town, Path], drives: Drives) -> None:
    folder, log = small_towns[TOWNS[0]], scored[0].log
    bound = max(dict(window.scores)["human"] for window in scored)
    rules = replace(SCORED, min_human=bound)
    kept = cut_windows(folder / LOGS_FOLDER, folder / MAPS_FOLDER, {log: drives[log]}, rules)
    assert kept == [window for window in scored if dict(window.scores)["human"] >= bound]
