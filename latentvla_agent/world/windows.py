"""Cuts drives into scenes: scores every window with the embedded scorer and chooses those that the rules allow."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, Iterator, List, Mapping, Sequence, Tuple

from latentvla_agent.baselines import BaselineAgent, ConstantVelocityAgent, HumanAgent, StopAgent
from latentvla_agent.data.logs import LogFrame
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.scene_loader import SceneIndex, SceneLoader, SceneRef
from latentvla_agent.data.splits import SceneFilter
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
    """Windows of the drives (written to the folder `logs`, one file each) that `rules` allow, by log, in time order.

    Of a log at most `per_log` windows at least `min_gap` frames apart are taken, those with an event first where the
    rules say so.
    """
    windows: List[Window] = []
    scorer = _WindowScorer(logs, maps, rules)
    for log, frames in drives.items():
        kept: List[Window] = []
        offered = list(_list_windows(log, frames, rules))
        for window in sorted(offered, key=_has_no_event) if rules.events_first else offered:
            is_apart = all(abs(window.start - other.start) >= rules.min_gap for other in kept)
            if is_apart and (rules.per_log is None or len(kept) < rules.per_log):
                kept += scorer.admit(window, frames[window.start]["map_location"])
        windows += sorted(kept, key=lambda window: window.start)
    return windows


def _has_no_event(window: Window) -> bool:
    return not set(window.kinds) - set(RARE_WEATHER)


def _list_windows(log: str, frames: Sequence[LogFrame], rules: WindowRules) -> Iterator[Window]:
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


class _WindowScorer:
    """Scores windows of a town, where the rules ask for it; the map is read once."""

    def __init__(self, logs: Path, maps: Path, rules: WindowRules):
        self._logs, self._rules = logs, rules
        self._loader = SceneLoader(SceneIndex((), FILTER), MapStore(maps))
        self._scorer = Scorer(METRIC)

    def admit(self, window: Window, map_name: str) -> List[Window]:
        """The window with its scores; empty where the rules don't allow it."""
        if not self._rules.is_scored:
            return [window]
        path = self._logs / f"{window.log}.pkl"
        scene = self._loader.build(SceneRef(path, window.log, window.start, window.token, map_name, None))
        cache = build_metric_cache(scene, scene.map_api)
        scores: Dict[str, float] = {}
        for name, (agent, least, most) in self._bounds(window).items():
            plan = agent.compute_trajectory(scene.get_agent_input(), scene)
            scores[name] = float(self._scorer.score_trajectory(cache, plan).score[0])
            if not least <= scores[name] <= most:
                return []
        return [dataclasses.replace(window, scores=tuple(scores.items()))]

    def _bounds(self, window: Window) -> Dict[str, Tuple[BaselineAgent, float, float]]:
        """Planners, with the least and the highest score that they may have in a scene."""
        rules = self._rules
        max_stop = rules.max_stop if _has_no_event(window) else 1.0
        ranges = ((rules.min_human, 1.0), (0.0, rules.max_constant_velocity), (0.0, max_stop))
        return {name: (agent, *bounds) for (name, agent), bounds in zip(PLANNERS.items(), ranges)}
