"""Scoring a file of trajectories: only the scenes it names are built."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, Dict, List, Optional

from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene_loader import SceneIndex, SceneRef
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.results import ResultRow
from latentvla_agent.evaluation.run import chunk_refs
from latentvla_agent.evaluation.stages import ScoreHandler, ScoreItem, StageSetup, failed_row
from latentvla_agent.evaluation.trajectory_file import NamedTrajectory, group_by_token
from latentvla_agent.evaluation.workers import run_in_workers

SCENES_PER_WORKER = 8  # below that, starting a process costs more than it saves


def check_tokens(entries: List[NamedTrajectory], index: SceneIndex, path: Path, split: str) -> None:
    """Raise `DataError` for the first entry whose scene is not in the split."""
    known = {ref.token for ref in index.refs}
    for entry in entries:
        if entry.token not in known:
            reason = "is no scene" if entry.token in index.missing_tokens else "has no route, or too short a window,"
            raise DataError(f"{path}: token {entry.token} {reason} in the split {split}")


def score_entries(
    entries: List[NamedTrajectory],
    index: SceneIndex,
    roots: DataRoots,
    cache_folder: Path,
    workers: int,
    time_limit: float,
) -> List[Dict[str, Any]]:
    """A row for every entry, in the order of the file: token, name and the result-row fields."""
    groups = group_by_token(entries)
    count = min(workers, -(-len(index.refs) // SCENES_PER_WORKER))
    chunks = [[_make_item(ref, groups) for ref in chunk] for chunk in chunk_refs(index.refs, count)]
    factory = partial(ScoreHandler, StageSetup(roots, index.scene_filter, cache_folder))
    rows: List[Optional[Dict[str, Any]]] = [None] * len(entries)
    with StageProgress("score", len(index.refs), 0) as progress:
        for outcome in run_in_workers(chunks, factory, count, time_limit):
            ref, places = outcome.item.ref, [place for place, _ in groups[outcome.item.ref.token]]
            results = outcome.result or [failed_row(ref, "", outcome.error).to_json() for _ in places]
            for place, row in zip(places, results):
                rows[place] = _name_row(row, entries[place].name)
            progress.advance(failed=bool(outcome.error))
    return [row for row in rows if row is not None]


def _make_item(ref: SceneRef, groups: Dict[str, Any]) -> ScoreItem:
    predictions = [
        {
            "agent": entry.name,
            "poses": entry.trajectory.poses.tolist(),
            "interval": entry.trajectory.trajectory_sampling.interval_length,
        }
        for _, entry in groups[ref.token]
    ]
    return ScoreItem(ref, tuple(predictions))


def _name_row(row: Dict[str, Any], name: str) -> Dict[str, Any]:
    """The row with the trajectory's name in the place of an agent's."""
    flat = ResultRow.from_json(row).to_json()
    named = {"token": flat.pop("token"), "name": name, "log": flat.pop("log")}
    flat.pop("agent")
    return {**named, **flat}
