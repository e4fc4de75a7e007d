"""Scoring a file of trajectories from metric caches that NAVSIM's devkit wrote: no logs, no maps, no devkit."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from latentvla_agent.data.scene_loader import ADJACENT_MAX_GAP_S, SceneRef
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.file_scoring import FileScoring, count_processes, score_scenes
from latentvla_agent.evaluation.stages import Grader
from latentvla_agent.evaluation.trajectory_file import NamedTrajectory
from latentvla_agent.evaluation.workers import run_in_workers
from latentvla_agent.scoring.devkit_cache import find_devkit_caches, read_devkit_cache, read_devkit_identity
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.versions import Metric

Identity = Tuple[str, int]  # log name and time stamp [us]


class DevkitGrader(Grader):
    """Scores from the devkit's caches; one instance per worker process."""

    def __init__(self, caches: Mapping[str, Path], metric: str, human_filter: bool):
        super().__init__(metric, human_filter)
        self._caches = caches

    def load_cache(self, ref: SceneRef) -> MetricCache:
        """Read from where the devkit put it."""
        return read_devkit_cache(self._caches[ref.token])


def score_from_devkit_caches(
    entries: List[NamedTrajectory], folder: Path, scoring: FileScoring
) -> List[Dict[str, Any]]:
    """Rows as of `score_scenes`, from the caches below `folder`.

    Raises `DataError` where a token has no cache, and where the first that can be read is of another version than the
    metric.
    """
    found = find_devkit_caches(folder)
    caches: Dict[str, Path] = {}
    for entry in entries:
        if entry.token not in found:
            raise DataError(f"{scoring.path}: token {entry.token} has no metric cache in {folder}")
        caches[entry.token] = found[entry.token]
    _check_version(caches, scoring.metric)
    refs = _order_scenes(caches, scoring) if scoring.metric.has_predecessors else _list_scenes(caches)
    factory = partial(DevkitGrader, caches, scoring.metric.name, scoring.human_filter)
    return score_scenes(entries, refs, factory, scoring)


def _check_version(caches: Mapping[str, Path], metric: Metric) -> None:
    for path in caches.values():
        try:
            cache = read_devkit_cache(path)
        except DataError:  # scoring the scene will say why
            continue
        return cache.check_generation(metric.rules)


def _list_scenes(caches: Mapping[str, Path]) -> List[SceneRef]:
    """Scenes by log."""
    paths = sorted((path.absolute(), token) for token, path in caches.items())
    return [SceneRef(path.parents[2], path.parts[-4], 0, token, "", None) for path, token in paths]


def _order_scenes(caches: Mapping[str, Path], scoring: FileScoring) -> List[SceneRef]:
    """Scenes by log and time, each with the one before it where that is half a second earlier.

    A cache that can't be read comes last: scoring it will say why.
    """
    refs = _list_scenes(caches)
    tokens = {caches[ref.token]: ref.token for ref in refs}
    identities: Dict[str, Identity] = {}
    chunks = [[path] for path in tokens]
    count = count_processes(scoring.workers, len(refs))
    for outcome in run_in_workers(chunks, _make_reader, count, scoring.time_limit):
        if not outcome.error:
            identities[tokens[outcome.item]] = outcome.result
    known = sorted((ref for ref in refs if ref.token in identities), key=lambda ref: identities[ref.token])
    unknown = [ref for ref in refs if ref.token not in identities]
    ordered: List[SceneRef] = []
    for i, ref in enumerate(known):
        log_name, timestamp = identities[ref.token]
        before = known[i - 1].token if i else ""
        is_previous = i > 0 and _precedes(identities[before], (log_name, timestamp))
        ordered.append(SceneRef(ref.log_path, log_name, 0, ref.token, "", before if is_previous else None))
    return ordered + unknown


def _precedes(before: Identity, now: Identity) -> bool:
    return before[0] == now[0] and (now[1] - before[1]) * 1e-6 <= ADJACENT_MAX_GAP_S


def _make_reader() -> Callable[[Path], Optional[Identity]]:
    return read_devkit_identity
