"""`latentvla eval`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, List, Optional

import typer

from latentvla_agent.cli.options import (
    EXIT_INCOMPLETE,
    TIME_LIMIT_S,
    Cache,
    Data,
    DevkitPython,
    DevkitRoot,
    Executor,
    FrameInterval,
    Maps,
    MaxScenes,
    NuplanRoot,
    OptionalMetric,
    ScorerName,
    SkipBadLogs,
    SplitName,
    SyntheticScenes,
    TimeLimit,
    Workers,
    results_folder,
)
from latentvla_agent.cli.world_sensors import find_sensor_source
from latentvla_agent.data.roots import find_roots
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.agents import build_agent, find_agents
from latentvla_agent.evaluation.degradations import check_degradation, list_degradations
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.evaluation.ray_workers import start_ray
from latentvla_agent.evaluation.results import format_table
from latentvla_agent.evaluation.run import Run, evaluate
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.evaluation.scorer_choice import ScorerRequest, choose_scorer
from latentvla_agent.evaluation.stage_loop import EXECUTORS
from latentvla_agent.evaluation.summary import describe_losses, is_complete
from latentvla_agent.evaluation.two_stage import list_table_rows

DEFAULT_AGENTS = ("latentvla", "human", "pdm_closed", "constant_velocity", "stop")


def eval_command(
    agent: Annotated[
        Optional[List[str]], typer.Option("--agent", help="Agent by name or YAML file; repeat it.")
    ] = None,
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    metric: OptionalMetric = None,
    scorer: ScorerName = "auto",
    workers: Workers = None,
    out: Annotated[Optional[Path], typer.Option("--out", help="Results folder; default: runs/<split>-<hash>.")] = None,
    cache: Cache = None,
    frame_interval: FrameInterval = None,
    max_scenes: MaxScenes = None,
    skip_bad_logs: SkipBadLogs = False,
    time_limit: TimeLimit = TIME_LIMIT_S,
    executor: Executor = "processes",
    devkit_python: DevkitPython = None,
    devkit_root: DevkitRoot = None,
    nuplan_root: NuplanRoot = None,
    shadow: Annotated[
        int, typer.Option("--shadow", min=0, help="Scenes that the embedded scorer checks, where the devkit scores.")
    ] = 50,
    synthetic_scenes: SyntheticScenes = None,
    batch_size: Annotated[
        int, typer.Option("--batch-size", min=1, help="Scenes that a learned agent plans in one pass; for GPUs.")
    ] = 1,
    degradation: Annotated[
        Optional[str], typer.Option("--degrade", help=f"What sensors lose, one of: {', '.join(list_degradations())}.")
    ] = None,
    details: Annotated[
        bool, typer.Option("--keep-details", help="Keep proposals and latent actions for latentvla show.")
    ] = False,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Do again what agents failed at in an earlier run of this command.")
    ] = False,
) -> None:
    """Evaluate agents: every scene of a split, one table, exit status 0 only if all scenes were scored.

    Killed or interrupted, the same command goes on where it stopped. It does again what timed out or lost its worker,
    with whatever --time-limit it is given then.

    \b
    Examples:
      latentvla eval                                    latentvla and four others on minitown-val
      latentvla eval --data /data/openscene --split navtest --agent constant_velocity --workers 32
      latentvla eval --data ../shared/data/real/dev --split dev --agent human --agent stop --out runs/real
      latentvla eval --agent ipad --degrade fog --out runs/fog
    """
    check_executor(executor)
    if degradation is not None:
        check_degradation(degradation)
    roots = find_roots(data, maps, split=split)
    choice = choose_scorer(ScorerRequest(scorer, metric, devkit_python, devkit_root, nuplan_root), roots)
    specs = find_agents(agent or DEFAULT_AGENTS)
    for spec in specs:
        build_agent(spec)
    request = SplitRequest(data, maps, split, frame_interval, max_scenes, cache, skip_bad_logs, synthetic_scenes)
    source = open_source(request, two_stages=choice.has_two_stages)
    run = Run(
        agents=specs,
        split=source.split,
        index=source.index,
        roots=source.roots,
        out=results_folder(choice.devkit is not None),
        cache_folder=source.cache_folder,
        metric=choice.metric,
        devkit=choice.devkit,
        shadow_scenes=shadow,
        workers=workers or count_cores(),
        time_limit=time_limit,
        sensor_source=find_sensor_source(source.roots),
        executor=executor,
        batch_size=batch_size,
        degradation=degradation,
        keep_details=details,
        hashes=source.hashes,
        retry_failed=retry_failed,
    )
    run = run.into(out)
    source.prepare()
    summary = evaluate(run)
    lines = list_table_rows(summary["agents"], run.metric) if run.is_two_stage else summary["agents"]
    print(format_table(lines, run.metric))
    loss = "" if degradation is None else f", sensors degraded: {degradation}"
    scenes = f"split {run.split.name}, {summary['expected']} scenes{loss}"
    print(f"{run.metric.name}, {run.scorer} scorer, {scenes} -> {run.out}")
    if not is_complete(summary):
        print(f"latentvla: incomplete: {describe_losses(summary)}", file=sys.stderr)
        raise typer.Exit(EXIT_INCOMPLETE)


def check_executor(executor: str) -> None:
    """Raise `ConfigError` for an executor that is not there or not installed."""
    if executor not in EXECUTORS:
        raise ConfigError(f"unknown executor {executor!r}; there are: {', '.join(EXECUTORS)}")
    if executor == "ray":
        start_ray()
