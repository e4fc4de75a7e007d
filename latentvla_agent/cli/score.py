"""`latentvla score`."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Annotated, Any, Dict, List, Optional

import typer

from latentvla_agent.cli.options import (
    EXIT_INCOMPLETE,
    TIME_LIMIT_S,
    Cache,
    Data,
    FrameInterval,
    Maps,
    Metric,
    ScorerName,
    SplitName,
    TimeLimit,
    Workers,
)
from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.devkit_scoring import score_from_devkit_caches
from latentvla_agent.evaluation.file_scoring import FileScoring, check_tokens, score_entries
from latentvla_agent.evaluation.folders import prepare_file, write_output
from latentvla_agent.evaluation.provenance import count_cores
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.evaluation.scorer_choice import DEFAULT_METRIC
from latentvla_agent.evaluation.trajectory_file import NamedTrajectory, read_trajectories
from latentvla_agent.scoring.versions import find_metric
from latentvla_agent.scoring.warm_up import compile_kernels

Row = Dict[str, Any]


def score_command(
    trajectories: Annotated[Path, typer.Option("--trajectories", help="JSON list of {token, name, poses, sampling?}.")],
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    metric: Metric = DEFAULT_METRIC,
    scorer: ScorerName = "auto",
    workers: Workers = None,
    out: Annotated[
        Optional[Path], typer.Option("--out", help="Result file .json or .json.gz; default: stdout.")
    ] = None,
    cache: Cache = None,
    frame_interval: FrameInterval = None,
    time_limit: TimeLimit = TIME_LIMIT_S,
    human_filter: Annotated[bool, typer.Option(help="EPDMS: excuse what the human fails at, too.")] = True,
    metric_cache: Annotated[
        Optional[Path], typer.Option("--metric-cache", help="Caches by the devkit, in place of logs and maps.")
    ] = None,
) -> None:
    """Score trajectories from a file. Poses are x, y [m], heading [rad] in the ego frame, the first after one interval.

    \b
    Examples:
      latentvla score --data ../shared/data/real/dev --split dev --trajectories plans.json.gz --out scores.json
      latentvla score --metric-cache /data/exp/metric_cache --metric epdms-v2.2 --trajectories plans.json.gz
    """
    if scorer not in ("auto", "embedded"):
        raise ConfigError(f"unknown scorer {scorer!r}: trajectories of a file are scored by the embedded one")
    scoring = FileScoring(trajectories, find_metric(metric), workers or count_cores(), time_limit, human_filter)
    entries = read_trajectories(trajectories)
    if metric_cache is not None:
        if any(option is not None for option in (data, maps, split, cache, frame_interval)):
            raise ConfigError("--metric-cache takes the place of --data, --maps, --split, --frame-interval and --cache")
        rows = _score_from_caches(entries, metric_cache, scoring, out)
    else:
        rows = _score_from_logs(entries, SplitRequest(data, maps, split, frame_interval, cache=cache), scoring, out)
    _write_rows(rows, out, metric)
    failed = [row for row in rows if not row["valid"]]
    if failed:
        print(f"latentvla: {len(failed)} trajectories could not be scored: {failed[0]['error']}", file=sys.stderr)
        raise typer.Exit(EXIT_INCOMPLETE)


def _score_from_caches(
    entries: List[NamedTrajectory], folder: Path, scoring: FileScoring, out: Optional[Path]
) -> List[Row]:
    if out is not None:
        prepare_file(out)
    compile_kernels()
    return score_from_devkit_caches(entries, folder, scoring)


def _score_from_logs(
    entries: List[NamedTrajectory], request: SplitRequest, scoring: FileScoring, out: Optional[Path]
) -> List[Row]:
    source = open_source(request, tokens={entry.token for entry in entries})
    check_tokens(entries, source.index, scoring.path, source.split.name)
    if out is not None:
        prepare_file(out)
    source.prepare()
    return score_entries(entries, source, scoring)


def _write_rows(rows: List[Row], out: Optional[Path], metric: str) -> None:
    text = json.dumps(rows, indent=1) + "\n"
    if out is None:
        sys.stdout.write(text)
        return
    content = text.encode()
    write_output(out, gzip.compress(content, mtime=0) if out.suffix == ".gz" else content)
    print(f"{len(rows)} rows ({metric}, embedded scorer) -> {out}", file=sys.stderr)
