"""One evaluation: plan in every scene, then score every plan; both stages resume from their journals."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple

from latentvla_agent.data.file_hashes import HashStore
from latentvla_agent.data.roots import DataRoots
from latentvla_agent.data.scene_loader import SceneIndex, SceneRef
from latentvla_agent.data.sensors import SensorSource
from latentvla_agent.data.splits import Split
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.agents import AgentSpec
from latentvla_agent.evaluation.chunks import ItemMaker, Predictions
from latentvla_agent.evaluation.degradations import OTHER_SCENE, find_partners
from latentvla_agent.evaluation.devkit_process import complete_maps
from latentvla_agent.evaluation.devkits import Devkit
from latentvla_agent.evaluation.folders import open_folder, write_output
from latentvla_agent.evaluation.official_scoring import OfficialHandler, OfficialSetup
from latentvla_agent.evaluation.planning import PlanHandler
from latentvla_agent.evaluation.provenance import (
    describe_agent,
    describe_data,
    hash_list,
    hash_mapping,
    list_versions,
)
from latentvla_agent.evaluation.report import make_report
from latentvla_agent.evaluation.results import SCORES_FILE, SUMMARY_FILE, ResultRow, write_csv
from latentvla_agent.evaluation.shadow import compare_with_embedded, warn_of_differences
from latentvla_agent.evaluation.stage_loop import StageLoop
from latentvla_agent.evaluation.stages import ScoreHandler, StageSetup
from latentvla_agent.evaluation.summary import summarise_run
from latentvla_agent.evaluation.two_stage import finish_agents
from latentvla_agent.scoring.versions import Metric

DEVKIT_LOG = "devkit.log"


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
    workers: int
    time_limit: float
    executor: str = "processes"
    devkit: Optional[Devkit] = None
    shadow_scenes: int = 0
    sensor_source: Optional[SensorSource] = None  # makes sensor files that are not there yet
    batch_size: int = 1  # scenes that a learned agent plans in one pass
    degradation: Optional[str] = None  # what agents' sensors lose: see `degradations`
    retry_failed: bool = False  # do again what agents failed at in an earlier run, too: see `resumption`
    hashes: HashStore = field(default_factory=HashStore)  # of logs and maps
    keep_details: bool = False  # proposals and latent actions, in a file of their own: see `plan_details`

    @property
    def scorer(self) -> str:
        """Who scores: the devkit where the run has one."""
        return "embedded" if self.devkit is None else "official"

    @property
    def is_two_stage(self) -> bool:
        """Whether scenes of a second stage go on where those of the first end (NAVSIM v2.2)."""
        return self.split.synthetic_folder is not None

    def identity(self) -> Dict[str, Any]:
        """What must be equal for a run to be resumed; everything that can change a row.

        Not the number of workers nor the time limit: an answer is the same however long it was waited for.
        """
        return {
            "metric": self.metric.name,
            "scorer": self.scorer,
            "split": self.split.describe(),
            "scenes": hash_list([ref.token for ref in self.index.all_refs]),
            **describe_data(self.index, self.roots, self.hashes),
            "agents": [describe_agent(spec) for spec in self.agents],
            "batch_size": self.batch_size,
            "degradation": self.degradation,
            "versions": list_versions(),
            "devkit": None if self.devkit is None else dict(self.devkit.facts),
        }

    def into(self, folder: Optional[Path]) -> Run:
        """The run with this output folder; where none is named, with one below its own that no other run has."""
        return replace(self, out=folder or self.out / f"{self.split.name}-{hash_mapping(self.identity())[:8]}")

    def setup(self) -> StageSetup:
        """What the workers get."""
        return StageSetup(
            self.roots,
            self.index.scene_filter,
            self.cache_folder,
            self.agents,
            self.metric.name,
            sensor_source=self.sensor_source,
            degradation=self.degradation,
            keep_details=self.keep_details,
        )

    def official_setup(self) -> OfficialSetup:
        """What the workers get where the devkit scores."""
        assert self.devkit is not None, "the run has a devkit"
        folder = self.cache_folder / "official-maps" / hash_mapping({"maps": str(self.roots.maps)})
        maps = complete_maps(self.roots, folder)
        return OfficialSetup(self.setup(), self.devkit, maps, self.out / DEVKIT_LOG, self.is_two_stage)

    def loop(self, identity: Mapping[str, Any]) -> StageLoop:
        """What goes through the scenes."""
        names = [spec.name for spec in self.agents]
        workforce = (self.workers, self.time_limit, self.executor, self.batch_size)
        loop = StageLoop(self.out, identity, self.index.all_refs, names, *workforce, keep_details=self.keep_details)
        return replace(loop, retry_failed=self.retry_failed)

    def scoring_factory(self) -> Callable[[], Any]:
        """Makes what scores in a worker."""
        if self.devkit is None:
            return partial(ScoreHandler, self.setup())
        return partial(OfficialHandler, self.official_setup())


def evaluate(run: Run) -> Dict[str, Any]:
    """Run or resume the evaluation; returns the summary, and writes it into `run.out` with `scores.csv` and a report.

    Raises `DataError` where `run.out` can't be written, is in use, or holds another run, and `ConfigError` before
    anything is written for what `check_run` finds.
    """
    check_run(run)
    with open_folder(run.out):
        identity = run.identity()
        run.hashes.save()
        predictions = plan_scenes(run, identity)
        scored = score_scenes(run, identity, predictions)
        rows, extras = finish_rows(run, scored)
        summary = summarise_run(run, identity, rows, predictions, extras)
        write_output(run.out / SCORES_FILE, write_csv(rows, run.metric))
        write_summary(run, summary)
        report = make_report(summary, rows, predictions, run.setup(), run.index.refs)
        write_output(run.out / "report.html", report)
        if run.devkit is not None and run.shadow_scenes and not run.is_two_stage:  # the embedded scorer replays traffic
            shadow = compare_with_embedded(run.setup(), run.index.refs, predictions, rows, run.shadow_scenes)
            summary["shadow"] = shadow  # last: what it finds is no reason to lose the results
            write_summary(run, summary)
            warn_of_differences(shadow)
    return summary


def write_summary(run: Run, summary: Mapping[str, Any]) -> None:
    """Write `summary.json`."""
    write_output(run.out / SUMMARY_FILE, (json.dumps(summary, indent=1) + "\n").encode())


def check_run(run: Run) -> None:
    """Raise `ConfigError` for a two-stage split without its mapping, and for scenes that have no partners."""
    if run.is_two_stage and not run.split.mapping:
        raise ConfigError(
            f"split {run.split.name}: expected reactive_all_mapping, which the two-stage score is made of"
        )
    find_run_partners(run)


def find_run_partners(run: Run) -> Dict[str, SceneRef]:
    """By token, whose sensors agents get instead: empty but for the degradation that asks for it."""
    return find_partners(run.index.all_refs) if run.degradation == OTHER_SCENE else {}


def plan(run: Run) -> Dict[Tuple[str, str], Any]:
    """Run or resume the first stage alone."""
    with open_folder(run.out):
        return plan_scenes(run, run.identity())


def plan_scenes(run: Run, identity: Mapping[str, Any]) -> Dict[Tuple[str, str], Any]:
    """Stage 1: the prediction, or the failure, of every agent in every scene, synthetic ones too, by (agent, token)."""
    loop = replace(run.loop(identity), partners=find_run_partners(run))
    return loop.plan(partial(PlanHandler, run.setup()))


def score_scenes(run: Run, identity: Mapping[str, Any], predictions: Predictions) -> Dict[str, List[Dict[str, Any]]]:
    """Stage 2: by token, a row for every agent as the handler gives it."""
    loop = run.loop(identity)
    items = ItemMaker(run.index.refs, loop.agents, predictions, run.metric.has_predecessors and not run.is_two_stage)
    return loop.score(run.metric, items.make, run.scoring_factory(), ahead=run.devkit is not None)


def finish_rows(
    run: Run, scored: Mapping[str, List[Dict[str, Any]]]
) -> Tuple[List[ResultRow], Dict[str, Mapping[str, Any]]]:
    """Rows of all agents in the order of agents, then scenes; and, for two stages, what the devkit makes of them."""
    refs = run.index.all_refs
    if run.is_two_stage:
        results = finish_agents(run.official_setup(), refs, run.split.mapping, scored, run.metric)
        extras = {agent: result.summary for agent, result in results.items()}
        return [row for result in results.values() for row in result.rows], extras
    return [ResultRow.from_json(scored[ref.token][i], run.metric) for i in range(len(run.agents)) for ref in refs], {}
