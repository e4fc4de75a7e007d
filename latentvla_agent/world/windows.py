"""Cuts drives into scenes: scores every window with the embedded scorer and chooses those that the rules allow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

from latentvla_agent.baselines import BaselineAgent, ConstantVelocityAgent, HumanAgent, StopAgent
from latentvla_agent.data.logs import LogFrame
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.scene import Scene
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.scoring.metric_cache import build_metric_cache
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.world.splits import RARE_WEATHER, WindowRules

FILTER = SceneFilter(frame_interval=1)  # NAVSIM's window: 4 history and 10 future frames
METRIC = "pdms-v1.1"
PLANNERS: Mapping[str, BaselineAgent] = {
    "human": HumanAgent(),
    "constant_velocity": ConstantVelocityAgent(),
    "stop": StopAgent(),
}


@dataclass(frozen=True)
class Window:
    """A scene of a drive: the token of its current frame, the frame where it starts, the rare kinds in it, and the
    scores (0…1) of the planners of `PLANNERS`, none where the rules ask for none."""

    token: str
    log: str
    start: int
    kinds: Tuple[str, ...]
    scores: Tuple[Tuple[str, float], ...] = ()


def cut_windows(logs: Path, maps: Path, drives: Mapping[str, Sequence[LogFrame]], rules: WindowRules) -> List[Window]:
    """Windows of the drives (written to the folder `logs`, one file each) that `rules` allow, log by log, in time order."""
    windows: List[Window] = []
    for name, candidates in _group_by_log(_list_windows(drives, rules)):
        scored = [
            window for window in _score_windows(logs, maps, candidates, rules) if _is_allowed(dict(window.scores), rules)
        ]
        windows += _thin_out(scored, rules)
    return windows


def _list_windows(drives: Mapping[str, Sequence[LogFrame]], rules: WindowRules) -> Iterator[Window]:
    for log, frames in drives.items():
        begins = _find_event_begins(frames)
        for start in range(len(frames) - FILTER.num_frames + 1):
            current = start + FILTER.num_history_frames - 1
            kinds = [kind for kind, begin in begins if -rules.event_lead <= begin - current <= rules.event_lag]
            weather = frames[current]["world"]["weather"]
            kinds += [weather] if weather in RARE_WEATHER else []
            yield Window(frames[current]["token"], log, start, tuple(dict.fromkeys(kinds)))


def _find_event_begins(frames: Sequence[LogFrame]) -> List[Tuple[str, int]]:
    """(kind, frame) where an event begins."""
    begins: List[Tuple[str, int]] = []
    before: Sequence[str] = ()
    for index, frame in enumerate(frames):
        now = frame["world"]["events"]
        begins += [(kind, index) for kind in now if kind not in before]
        before = now
    return begins


def _group_by_log(windows: Iterator[Window]) -> List[Tuple[str, List[Window]]]:
    groups: Dict[str, List[Window]] = {}
    for window in windows:
        groups.setdefault(window.log, []).append(window)
    return list(groups.items())


def _score_windows(logs: Path, maps: Path, windows: Sequence[Window], rules: WindowRules) -> List[Window]:
    """The windows with their scores."""
    if not rules.is_scored:
        return list(windows)
    store, scorer = MapStore(maps), Scorer(METRIC)
    split = Split(logs.name, logs, SceneFilter(frame_interval=1, log_names=(windows[0].log,)), "drive")
    loader = SceneLoader(index_scenes(split), store)
    return [
        Window(window.token, window.log, window.start, window.kinds, scores)
        for window in windows
        for scores in [_score_scene(loader.load(window.token), scorer)]
    ]


def _score_scene(scene: Scene, scorer: Scorer) -> Tuple[Tuple[str, float], ...]:
    cache = build_metric_cache(scene, scene.map_api)
    plans = {name: agent.compute_trajectory(scene.get_agent_input(), scene) for name, agent in PLANNERS.items()}
    return tuple((name, float(scorer.score_trajectory(cache, plan).score[0])) for name, plan in plans.items())


def _is_allowed(scores: Mapping[str, float], rules: WindowRules) -> bool:
    return not rules.is_scored or (
        scores["human"] >= rules.min_human
        and scores["constant_velocity"] <= rules.max_constant_velocity
        and scores["stop"] <= rules.max_stop
    )


def _thin_out(windows: Sequence[Window], rules: WindowRules) -> List[Window]:
    """At most `per_log` windows at least `min_gap` frames apart; windows with an event come first."""
    if rules.per_log is None and rules.min_gap <= 1:
        return list(windows)
    kept: List[Window] = []
    for window in sorted(windows, key=lambda window: (not set(window.kinds) - set(RARE_WEATHER), window.start)):
        is_apart = all(abs(window.start - other.start) >= rules.min_gap for other in kept)
        if is_apart and (rules.per_log is None or len(kept) < rules.per_log):
            kept.append(window)
    return sorted(kept, key=lambda window: window.start)


