"""Scoring a file of trajectories: only the scenes it names are built."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from latentvla_agent.data.scene_loader import SceneIndex, SceneRef
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.chunks import chunk_refs
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.scene_source import SceneSource
from latentvla_agent.evaluation.stages import Prediction, ScoreHandler, ScoreItem, StageSetup, failed_row
from latentvla_agent.evaluation.trajectory_file import NamedTrajectory, group_by_token
from latentvla_agent.evaluation.worker_process import HandlerFactory
from latentvla_agent.evaluation.workers import run_in_workers
from latentvla_agent.scoring.versions import Metric

Groups = Mapping[str, List[Tuple[int, NamedTrajectory]]]

SCENES_PER_WORKER = 8  # below that, starting a process costs more than it saves


@dataclass(frozen=True)
class FileScoring:
    """How the trajectories of the file `path` are scored."""

    path: Path
    metric: Metric
    workers: int
    time_limit: float
    human_filter: bool = True


def check_tokens(entries: List[NamedTrajectory], index: SceneIndex, path: Path, split: str) -> None:
    """Raise `DataError` for the first entry whose scene is not in the split."""
    known = {ref.token for ref in index.refs}
    for entry in entries:
        if entry.token not in known:
            reason = "is no scene" if entry.token in index.missing_tokens else "has no route, or too short a window,"
            raise DataError(f"{path}: token {entry.token} {reason} in the split {split}")


def score_entries(entries: List[NamedTrajectory], source: SceneSource, scoring: FileScoring) -> List[Dict[str, Any]]:
    """Rows as of `score_scenes`, from logs and maps."""
    index, metric = source.index, scoring.metric
    setup = StageSetup(source.roots, index.scene_filter, source.cache_folder, (), metric.name, scoring.human_filter)
    return score_scenes(entries, index.refs, partial(ScoreHandler, setup), scoring)


def count_processes(workers: int, num_scenes: int) -> int:
    """How many of the workers so many scenes are worth."""
    return min(workers, -(-num_scenes // SCENES_PER_WORKER))


def score_scenes(
    entries: List[NamedTrajectory], refs: Sequence[SceneRef], factory: HandlerFactory, scoring: FileScoring
) -> List[Dict[str, Any]]:
    """A row for every entry, in the order of the file: token, name and the result-row fields.

    Two-frame comfort is found where the file also holds the trajectory of the same name for the scene before.
    """
    groups, metric = group_by_token(entries), scoring.metric
    count = count_processes(scoring.workers, len(refs))
    known = {ref.token: ref for ref in refs} if metric.has_predecessors else {}
    chunks = [[_make_item(ref, groups, known) for ref in chunk] for chunk in chunk_refs(refs, count)]
    rows: List[Optional[Dict[str, Any]]] = [None] * len(entries)
    with StageProgress("score", len(refs), 0) as progress:
        for outcome in run_in_workers(chunks, factory, count, scoring.time_limit):
            ref, places = outcome.item.ref, [place for place, _ in groups[outcome.item.ref.token]]
            results = outcome.result or [failed_row(ref, "", outcome.error).to_json(metric) for _ in places]
            for place, row in zip(places, results):
                rows[place] = _name_row(row, entries[place].name, metric)
            progress.advance(failed=bool(outcome.error))
    return [row for row in rows if row is not None]


def _make_item(ref: SceneRef, groups: Groups, known: Mapping[str, SceneRef]) -> ScoreItem:
    own = [entry for _, entry in groups[ref.token]]
    previous = known.get(ref.previous or "")
    if previous is None:
        return ScoreItem(ref, tuple(_as_prediction(entry) for entry in own))
    before = {entry.name: _as_prediction(entry) for _, entry in groups[previous.token]}
    predictions = tuple(_as_prediction(entry) for entry in own)
    return ScoreItem(ref, predictions, previous, tuple(before.get(entry.name) for entry in own))


def _as_prediction(entry: NamedTrajectory) -> Prediction:
    sampling = entry.trajectory.trajectory_sampling
    return {"agent": entry.name, "poses": entry.trajectory.poses.tolist(), "interval": sampling.interval_length}


def _name_row(row: Dict[str, Any], name: str, metric: Metric) -> Dict[str, Any]:
    """The row with the trajectory's name in the place of an agent's."""
    flat = ResultRow.from_json(row, metric).to_json(metric)
    named = {"token": flat.pop("token"), "name": name, "log": flat.pop("log")}
    flat.pop("agent")
    return {**named, **flat}
