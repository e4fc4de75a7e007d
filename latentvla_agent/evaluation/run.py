"""One evaluation: plan in every scene, then score every plan; both stages resume from their journals."""

from __future__ import annotations

import json
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Mapping, Sequence, Tuple

from latentvla_agent.data.files import write_atomically
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene_loader import SceneIndex, SceneRef
from latentvla_agent.data.splits import Split
from latentvla_agent.errors import DataError
from latentvla_agent.evaluation.agents import AgentSpec
from latentvla_agent.evaluation.journal import Journal
from latentvla_agent.evaluation.locking import lock_folder
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.provenance import (
    command_line,
    describe_agent,
    describe_machine,
    hash_list,
    list_versions,
)
from latentvla_agent.evaluation.results import ResultRow, summarise_agent, write_csv
from latentvla_agent.evaluation.stages import PlanHandler, PlanItem, ScoreHandler, ScoreItem, StageSetup, failed_row
from latentvla_agent.evaluation.workers import Outcome, run_in_workers

CHUNK_SIZE = 32  # scenes of one log that go to a worker together
PREDICTIONS, SCORES = "predictions.journal", "scores.journal"


@dataclass(frozen=True)
class Run:
    """Everything an evaluation is made of."""

    agents: Tuple[AgentSpec, ...]
    split: Split
    index: SceneIndex
    roots: DataRoots
    out: Path
    cache_folder: Path
    metric: str
    scorer: str
    workers: int
    time_limit: float

    def identity(self) -> Dict[str, Any]:
        """What must be equal for a run to be resumed; everything that can change a row."""
        return {
            "metric": self.metric,
            "scorer": self.scorer,
            "split": self.split.describe(),
            "scenes": hash_list([ref.token for ref in self.index.refs]),
            "agents": [describe_agent(spec) for spec in self.agents],
            "versions": list_versions(),
        }

    def setup(self) -> StageSetup:
        """What the workers get."""
        return StageSetup(self.roots, self.index.scene_filter, self.cache_folder, self.agents)


def evaluate(run: Run) -> Dict[str, Any]:
    """Run or resume the evaluation; returns the summary and writes it with `scores.csv` into `run.out`.

    Raises `DataError` where `run.out` can't be written, is in use, or holds another run.
    """
    with open_folder(run.out):
        identity = run.identity()
        predictions = plan_scenes(run, identity)
        rows = score_scenes(run, identity, predictions)
        summary = summarise_run(run, identity, rows)
        write_atomically(run.out / "scores.csv", write_csv(rows))
        write_atomically(run.out / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
    return summary


@contextmanager
def open_folder(out: Path) -> Iterator[None]:
    """Create the folder and hold its lock."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{out}: cannot be created ({error.strerror})") from error
    with lock_folder(out):
        yield


def chunk_refs(refs: Sequence[SceneRef]) -> List[List[SceneRef]]:
    """Neighbouring scenes of one log, so that a worker reads a log once."""
    chunks: List[List[SceneRef]] = []
    for ref in refs:
        if not chunks or chunks[-1][0].log_path != ref.log_path or len(chunks[-1]) >= CHUNK_SIZE:
            chunks.append([])
        chunks[-1].append(ref)
    return chunks


def plan_scenes(run: Run, identity: Mapping[str, Any]) -> Dict[Tuple[str, str], Dict[str, Any]]:
    """Stage 1: the prediction, or the failure, of every agent in every scene, by (agent, token)."""
    with Journal(run.out / PREDICTIONS, identity) as journal:
        _warn_damaged(journal)
        done = {(entry["prediction"]["agent"], entry["token"]): entry["prediction"] for entry in journal.entries}
        chunks = [
            [PlanItem(ref, spec.name) for ref in chunk if (spec.name, ref.token) not in done]
            for spec in run.agents
            for chunk in chunk_refs(run.index.refs)
        ]
        total = len(run.agents) * len(run.index.refs)
        for outcome in _run_stage("plan", total, len(done), chunks, partial(PlanHandler, run.setup()), run):
            item: PlanItem = outcome.item
            prediction = outcome.result or {"agent": item.agent, "error": outcome.error}
            journal.append({"token": item.ref.token, "prediction": prediction})
            done[(item.agent, item.ref.token)] = prediction
        return done


def score_scenes(
    run: Run, identity: Mapping[str, Any], predictions: Mapping[Tuple[str, str], Dict[str, Any]]
) -> List[ResultRow]:
    """Stage 2: rows of all agents in the order of agents, then scenes."""
    names = [spec.name for spec in run.agents]
    with Journal(run.out / SCORES, identity) as journal:
        _warn_damaged(journal)
        done = {entry["token"]: entry["rows"] for entry in journal.entries}
        chunks = [
            [
                ScoreItem(ref, tuple(predictions[(name, ref.token)] for name in names))
                for ref in chunk
                if ref.token not in done
            ]
            for chunk in chunk_refs(run.index.refs)
        ]
        for outcome in _run_stage(
            "score", len(run.index.refs), len(done), chunks, partial(ScoreHandler, run.setup()), run
        ):
            ref = outcome.item.ref
            rows = outcome.result or [failed_row(ref, name, outcome.error).to_json() for name in names]
            journal.append({"token": ref.token, "rows": rows})
            done[ref.token] = rows
    return [ResultRow.from_json(done[ref.token][i]) for i in range(len(names)) for ref in run.index.refs]


def _run_stage(
    name: str, total: int, finished: int, chunks: List[List[Any]], factory: Callable[[], Any], run: Run
) -> Iterator[Outcome[Any]]:
    with StageProgress(name, total, finished) as progress:
        for outcome in run_in_workers(chunks, factory, run.workers, run.time_limit):
            yield outcome
            progress.advance(failed=bool(outcome.error))


def _warn_damaged(journal: Journal) -> None:
    if journal.damaged_lines:
        lines = ", ".join(map(str, journal.damaged_lines))
        print(f"warning: {journal.path}: damaged line(s) {lines}; these scenes are done again", file=sys.stderr)


def summarise_run(run: Run, identity: Mapping[str, Any], rows: Sequence[ResultRow]) -> Dict[str, Any]:
    """Content of `summary.json`."""
    by_agent: Dict[str, List[ResultRow]] = {spec.name: [] for spec in run.agents}
    for row in rows:
        by_agent[row.agent].append(row)
    index = run.index
    return {
        **identity,
        "expected": len(index.refs),
        "dropped_no_route": index.dropped_no_route,
        "bad_logs": [{"log": path.name, "reason": reason} for path, reason in index.bad_logs],
        "missing_logs": list(index.missing_logs),
        "missing_tokens": len(index.missing_tokens),
        "machine": describe_machine(),
        "command": command_line(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "agents": [
            {**described, **summarise_agent(name, by_agent[name], len(index.refs))}
            for name, described in zip(by_agent, identity["agents"])
        ],
    }


def is_complete(summary: Mapping[str, Any]) -> bool:
    """Whether every scene that the split promises was found and scored."""
    lost = summary["bad_logs"] or summary["missing_logs"] or summary["missing_tokens"]
    return not lost and all(agent["failed"] == 0 for agent in summary["agents"])
