"""The two stages of every evaluation, whatever its scenes are: plan, then score; both resume from their journals."""

from __future__ import annotations

import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Collection, Dict, Generator, List, Mapping, Sequence, Tuple

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.chunks import chunk_refs, look_ahead
from latentvla_agent.evaluation.journal import Journal
from latentvla_agent.evaluation.plan_details import keep_details, open_details
from latentvla_agent.evaluation.planning import PlanItem
from latentvla_agent.evaluation.progress import StageProgress
from latentvla_agent.evaluation.ray_workers import run_in_ray
from latentvla_agent.evaluation.resumption import finished_plans, finished_scores, score_entry
from latentvla_agent.evaluation.stages import ScoreItem, failed_row
from latentvla_agent.evaluation.worker_process import HandlerFactory
from latentvla_agent.evaluation.workers import Outcome, run_in_workers
from latentvla_agent.scoring.versions import Metric

PREDICTIONS, SCORES = "predictions.journal", "scores.journal"
EXECUTORS = {"processes": run_in_workers, "ray": run_in_ray}


@dataclass(frozen=True)
class StageLoop:
    """Where the journals of a run lie, whose they are, who works, and the scenes in their order."""

    out: Path
    identity: Mapping[str, Any]
    refs: Sequence[SceneRef]
    agents: Sequence[str]
    workers: int
    time_limit: float
    executor: str = "processes"
    batch_size: int = 1  # scenes that a learned agent plans in one pass
    keep_details: bool = False  # see `plan_details`
    retry_failed: bool = False  # do again what agents failed at, too: see `resumption`
    partners: Mapping[str, SceneRef] = field(default_factory=dict)  # by token: whose sensors an agent gets instead

    def plan(self, factory: HandlerFactory) -> Dict[Tuple[str, str], Any]:
        """The prediction, or the failure, of every agent in every scene, by (agent, token)."""
        with Journal(self.out / PREDICTIONS, self.identity) as journal, open_details(
            self.out, self.identity, self.keep_details
        ) as details:
            _warn_damaged(journal)
            told = None if details is None else {(entry["agent"], entry["token"]) for entry in details.entries}
            done = finished_plans(journal.entries, self.retry_failed, told)
            progress = StageProgress(
                "plan",
                total=len(self.agents) * len(self.refs),
                finished=len(done),
                failed=sum("error" in prediction for prediction in done.values()),
            )
            with closing(self._work(progress, self._chunk_plans(done), factory)) as outcomes:
                for outcome in outcomes:
                    item: PlanItem = outcome.item
                    prediction = outcome.result or {"agent": item.agent, "error": outcome.error}
                    keep_details(details, item.ref.token, prediction)
                    journal.append({"token": item.ref.token, "prediction": prediction})
                    done[(item.agent, item.ref.token)] = prediction
            return done

    def _chunk_plans(self, done: Collection[Tuple[str, str]]) -> List[List[PlanItem]]:
        """What is left to plan, as it goes to the workers."""
        return [
            look_ahead(
                [PlanItem(ref, agent, self.partners.get(ref.token)) for ref in chunk if (agent, ref.token) not in done],
                self.batch_size,
            )
            for agent in self.agents
            for chunk in chunk_refs(self.refs, self.workers)
        ]

    def score(
        self,
        metric: Metric,
        make_item: Callable[[SceneRef], ScoreItem],
        factory: HandlerFactory,
        *,
        ahead: bool = False,
    ) -> Dict[str, List[Dict[str, Any]]]:
        """By token, a row for every agent as the handler gives it. `ahead`: items know what comes after them."""
        with Journal(self.out / SCORES, self.identity) as journal:
            _warn_damaged(journal)
            items = {ref.token: make_item(ref) for ref in self.refs}
            done = finished_scores(journal.entries, items, self.retry_failed)
            chunks = [
                [items[ref.token] for ref in chunk if ref.token not in done]
                for chunk in chunk_refs(self.refs, self.workers)
            ]
            if ahead:
                chunks = [look_ahead(chunk) for chunk in chunks]
            progress = StageProgress("score", len(self.refs), len(done))
            with closing(self._work(progress, chunks, factory)) as outcomes:
                for outcome in outcomes:
                    item: ScoreItem = outcome.item
                    rows = outcome.result or [
                        failed_row(item.ref, name, outcome.error).to_json(metric) for name in self.agents
                    ]
                    journal.append(score_entry(item, rows, outcome.error))
                    done[item.ref.token] = rows
            return done

    def _work(
        self, progress: StageProgress, chunks: List[List[Any]], factory: HandlerFactory
    ) -> Generator[Outcome[Any], None, None]:
        """Outcomes of a stage; closing it, as an error or Ctrl-C in its consumer does, ends the workers at once."""
        run = EXECUTORS[self.executor]
        with progress, closing(run(chunks, factory, self.workers, self.time_limit)) as outcomes:
            for outcome in outcomes:
                yield outcome
                progress.advance(failed=bool(outcome.error))


def _warn_damaged(journal: Journal) -> None:
    if journal.damaged_lines:
        lines = ", ".join(map(str, journal.damaged_lines))
        print(f"warning: {journal.path}: damaged line(s) {lines}; these scenes are done again", file=sys.stderr)
