"""One evaluation: plan in every scene, then score every plan; both stages resume from their journals."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, Generator, List, Mapping, Optional, Sequence, Tuple

from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene_loader import SceneIndex, SceneRef
from latentvla_agent.data.splits import Split
from latentvla_agent.evaluation.agents import AgentSpec
from latentvla_agent.evaluation.costs import summarise_costs
from latentvla_agent.evaluation.folders import open_folder, write_output
from latentvla_agent.evaluation.journal import Journal
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.provenance import (
    command_line,
    describe_agent,
    describe_machine,
    hash_list,
    list_versions,
)
from latentvla_agent.evaluation.ray_workers import run_in_ray
from latentvla_agent.evaluation.report import make_report
from latentvla_agent.evaluation.results import ResultRow, summarise_agent, write_csv
from latentvla_agent.evaluation.stages import PlanHandler, PlanItem, ScoreHandler, ScoreItem, StageSetup, failed_row
from latentvla_agent.evaluation.statistics import score_intervals
from latentvla_agent.evaluation.workers import Outcome, run_in_workers
from latentvla_agent.scoring.versions import Metric

MIN_CHUNK, MAX_CHUNK = 4, 32  # scenes of one log that go to a worker together
CHUNKS_PER_WORKER = 4  # at least, where there are enough scenes: so that no worker is left alone with a long last one
PREDICTIONS, SCORES = "predictions.journal", "scores.journal"
EXECUTORS = {"processes": run_in_workers, "ray": run_in_ray}


@dataclass(frozen=True)
class Run:
    """Everything an evaluation is made of."""

    agents: Tuple[AgentSpec, ...]
    split: Split
    index: SceneIndex
    roots: DataRoots
    out: Path
    cache_folder: Path
    metric: Metric
    scorer: str
    workers: int
    time_limit: float
    executor: str = "processes"

    def identity(self) -> Dict[str, Any]:
        """What must be equal for a run to be resumed; everything that can change a row."""
        return {
            "metric": self.metric.name,
            "scorer": self.scorer,
            "split": self.split.describe(),
            "scenes": hash_list([ref.token for ref in self.index.refs]),
            "agents": [describe_agent(spec) for spec in self.agents],
            "versions": list_versions(),
        }

    def setup(self) -> StageSetup:
        """What the workers get."""
        return StageSetup(self.roots, self.index.scene_filter, self.cache_folder, self.agents, self.metric.name)


def evaluate(run: Run) -> Dict[str, Any]:
    """Run or resume the evaluation; returns the summary, and writes it into `run.out` with `scores.csv` and a report.

    Raises `DataError` where `run.out` can't be written, is in use, or holds another run.
    """
    with open_folder(run.out):
        identity = run.identity()
        predictions = plan_scenes(run, identity)
        rows = score_scenes(run, identity, predictions)
        summary = summarise_run(run, identity, rows, predictions)
        write_output(run.out / "scores.csv", write_csv(rows, run.metric))
        write_output(run.out / "summary.json", (json.dumps(summary, indent=1) + "\n").encode())
        report = make_report(summary, rows, predictions, run.setup(), run.index.refs)
        write_output(run.out / "report.html", report)
    return summary


def chunk_refs(refs: Sequence[SceneRef], workers: int) -> List[List[SceneRef]]:
    """Neighbouring scenes of one log, so that a worker rarely reads a log again."""
    size = min(MAX_CHUNK, max(MIN_CHUNK, len(refs) // (CHUNKS_PER_WORKER * workers)))
    chunks: List[List[SceneRef]] = []
    for ref in refs:
        if not chunks or chunks[-1][0].log_path != ref.log_path or len(chunks[-1]) >= size:
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
            for chunk in chunk_refs(run.index.refs, run.workers)
        ]
        progress = StageProgress(
            "plan",
            total=len(run.agents) * len(run.index.refs),
            finished=len(done),
            failed=sum("error" in prediction for prediction in done.values()),
        )
        with closing(_run_stage(progress, chunks, partial(PlanHandler, run.setup()), run)) as outcomes:
            for outcome in outcomes:
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
    known = {ref.token: ref for ref in run.index.refs} if run.metric.has_predecessors else {}
    with Journal(run.out / SCORES, identity) as journal:
        _warn_damaged(journal)
        done = {entry["token"]: entry["rows"] for entry in journal.entries}
        chunks = [
            [
                _make_item(ref, known.get(ref.previous or ""), names, predictions)
                for ref in chunk
                if ref.token not in done
            ]
            for chunk in chunk_refs(run.index.refs, run.workers)
        ]
        progress = StageProgress("score", len(run.index.refs), len(done))
        with closing(_run_stage(progress, chunks, partial(ScoreHandler, run.setup()), run)) as outcomes:
            for outcome in outcomes:
                ref = outcome.item.ref
                rows = outcome.result or [failed_row(ref, name, outcome.error).to_json(run.metric) for name in names]
                journal.append({"token": ref.token, "rows": rows})
                done[ref.token] = rows
    refs = run.index.refs
    return [ResultRow.from_json(done[ref.token][i], run.metric) for i in range(len(names)) for ref in refs]


def _make_item(
    ref: SceneRef, previous: Optional[SceneRef], names: Sequence[str], predictions: Mapping[Tuple[str, str], Any]
) -> ScoreItem:
    own = tuple(predictions[(name, ref.token)] for name in names)
    if previous is None:
        return ScoreItem(ref, own)
    return ScoreItem(ref, own, previous, tuple(predictions[(name, previous.token)] for name in names))


def _run_stage(
    progress: StageProgress, chunks: List[List[Any]], factory: Callable[[], Any], run: Run
) -> Generator[Outcome[Any], None, None]:
    """Outcomes of a stage; closing it, as an error or Ctrl-C in its consumer does, ends the workers at once."""
    with progress, closing(EXECUTORS[run.executor](chunks, factory, run.workers, run.time_limit)) as outcomes:
        for outcome in outcomes:
            yield outcome
            progress.advance(failed=bool(outcome.error))


def _warn_damaged(journal: Journal) -> None:
    if journal.damaged_lines:
        lines = ", ".join(map(str, journal.damaged_lines))
        print(f"warning: {journal.path}: damaged line(s) {lines}; these scenes are done again", file=sys.stderr)


def summarise_run(
    run: Run,
    identity: Mapping[str, Any],
    rows: Sequence[ResultRow],
    predictions: Mapping[Tuple[str, str], Mapping[str, Any]],
) -> Dict[str, Any]:
    """Content of `summary.json`."""
    by_agent: Dict[str, List[ResultRow]] = {spec.name: [] for spec in run.agents}
    for row in rows:
        by_agent[row.agent].append(row)
    index = run.index
    intervals = score_intervals(by_agent)
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
            {
                **described,
                **summarise_agent(name, by_agent[name], len(index.refs), run.metric),
                **intervals.get(name, {}),
                **summarise_costs(predictions[(name, ref.token)] for ref in index.refs),
            }
            for name, described in zip(by_agent, identity["agents"])
        ],
    }


def is_complete(summary: Mapping[str, Any]) -> bool:
    """Whether every scene that the split promises was found and scored."""
    lost = summary["bad_logs"] or summary["missing_logs"] or summary["missing_tokens"]
    return not lost and all(agent["failed"] == 0 for agent in summary["agents"])


def describe_losses(summary: Mapping[str, Any]) -> str:
    """In one line, what makes a run incomplete."""
    losses = [
        f"{agent['agent']} failed in {agent['failed']} of {agent['expected']} scenes"
        for agent in summary["agents"]
        if agent["failed"]
    ]
    losses += [f"{len(summary['bad_logs'])} bad logs"] if summary["bad_logs"] else []
    losses += [f"{len(summary['missing_logs'])} logs missing"] if summary["missing_logs"] else []
    losses += [f"{summary['missing_tokens']} tokens missing"] if summary["missing_tokens"] else []
    return f"{', '.join(losses)}; the reasons are in scores.csv and summary.json"
