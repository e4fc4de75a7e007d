"""`latentvla eval`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, List, Optional

import typer

from latentvla_agent.cli.options import (
    DEFAULT_METRIC,
    EXIT_INCOMPLETE,
    TIME_LIMIT_S,
    Cache,
    Data,
    Executor,
    FrameInterval,
    Maps,
    MaxScenes,
    Metric,
    ScorerName,
    SkipBadLogs,
    SplitName,
    SyntheticScenes,
    TimeLimit,
    Workers,
    check_scorer,
)
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.agents import build_agent, find_agents
from latentvla_agent.evaluation.provenance import count_cores, hash_mapping
from latentvla_agent.evaluation.ray_workers import start_ray
from latentvla_agent.evaluation.results import format_table
from latentvla_agent.evaluation.run import EXECUTORS, Run, describe_losses, evaluate, is_complete
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.scoring.versions import find_metric

DEFAULT_AGENTS = ("human", "pdm_closed", "constant_velocity", "stop")


def eval_command(
    agent: Annotated[
        Optional[List[str]], typer.Option("--agent", help="Agent by name or YAML file; repeat it.")
    ] = None,
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    metric: Metric = DEFAULT_METRIC,
    scorer: ScorerName = "auto",
    workers: Workers = None,
    out: Annotated[Optional[Path], typer.Option("--out", help="Results folder; default: runs/<split>-<hash>.")] = None,
    cache: Cache = None,
    frame_interval: FrameInterval = None,
    max_scenes: MaxScenes = None,
    skip_bad_logs: SkipBadLogs = False,
    time_limit: TimeLimit = TIME_LIMIT_S,
    executor: Executor = "processes",
    synthetic_scenes: SyntheticScenes = None,
) -> None:
    """Evaluate agents: every scene of a split, one table, exit status 0 only if all scenes were scored.

    Killed or interrupted, the same command goes on where it stopped.

    \b
    Examples:
      latentvla eval                                    four baselines on the embedded logs
      latentvla eval --data /data/openscene --split navtest --agent constant_velocity --workers 32
      latentvla eval --data ../shared/data/real/dev --split dev --agent human --agent stop --out runs/real
    """
    check_scorer(scorer)
    check_executor(executor)
    chosen_metric = find_metric(metric)
    specs = find_agents(agent or DEFAULT_AGENTS)
    for spec in specs:
        build_agent(spec)
    request = SplitRequest(data, maps, split, frame_interval, max_scenes, cache, skip_bad_logs, synthetic_scenes)
    source = open_source(request)
    run = Run(
        agents=specs,
        split=source.split,
        index=source.index,
        roots=source.roots,
        out=out or Path("runs"),
        cache_folder=source.cache_folder,
        metric=chosen_metric,
        scorer="embedded",
        workers=workers or count_cores(),
        time_limit=time_limit,
        executor=executor,
    )
    if out is None:
        run = replace(run, out=run.out / f"{run.split.name}-{hash_mapping(run.identity())[:8]}")
    source.prepare()
    summary = evaluate(run)
    print(format_table(summary["agents"], chosen_metric))
    print(f"{metric}, {run.scorer} scorer, split {run.split.name}, {len(run.index.refs)} scenes -> {run.out}")
    if not is_complete(summary):
        print(f"latentvla: incomplete: {describe_losses(summary)}", file=sys.stderr)
        raise typer.Exit(EXIT_INCOMPLETE)


def check_executor(executor: str) -> None:
    """Raise `ConfigError` for an executor that is not there or not installed."""
    if executor not in EXECUTORS:
        raise ConfigError(f"unknown executor {executor!r}; there are: {', '.join(EXECUTORS)}")
    if executor == "ray":
        start_ray()
