"""`latentvla cache`."""

from __future__ import annotations

import sys

import typer

from latentvla_agent.cli.options import (
    EXIT_INCOMPLETE,
    TIME_LIMIT_S,
    Cache,
    Data,
    FrameInterval,
    Maps,
    MaxScenes,
    Metric,
    SkipBadLogs,
    SplitName,
    TimeLimit,
    Workers,
)
from latentvla_agent.evaluation.metric_caching import make_metric_caches
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.evaluation.scorer_choice import DEFAULT_METRIC
from latentvla_agent.scoring.versions import find_metric


def cache_command(
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    metric: Metric = DEFAULT_METRIC,
    workers: Workers = None,
    cache: Cache = None,
    frame_interval: FrameInterval = None,
    max_scenes: MaxScenes = None,
    skip_bad_logs: SkipBadLogs = False,
    time_limit: TimeLimit = TIME_LIMIT_S,
) -> None:
    """Build the metric caches of a split ahead of time; what is there and fits the logs is kept.

    A cache serves every metric; --metric is checked, and makes no difference.

    \b
    Example:
      latentvla cache --data /data/openscene --split navtest --cache /fast/disk --workers 32
    """
    find_metric(metric)
    source = open_source(SplitRequest(data, maps, split, frame_interval, max_scenes, cache, skip_bad_logs))
    source.prepare()
    refs, folder = source.index.refs, source.cache_folder
    failures = make_metric_caches(source, workers or count_cores(), time_limit)
    print(f"{len(refs) - len(failures)} of {len(refs)} metric caches in {folder}")
    for failure in failures:
        print(f"latentvla: failed: {failure}", file=sys.stderr)
    if failures or source.index.bad_logs:
        raise typer.Exit(EXIT_INCOMPLETE)
