"""`latentvla compare`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Dict, List, Optional, Tuple

import typer

from latentvla_agent.cli.options import Data, Maps, SplitName
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.evaluation.comparison import Groups, check_comparable, choose_agents, compare, find_logs
from latentvla_agent.evaluation.comparison_examples import EXAMPLES
from latentvla_agent.evaluation.comparison_page import write_comparison
from latentvla_agent.evaluation.comparison_pictures import paint_examples
from latentvla_agent.evaluation.comparison_report import format_comparison
from latentvla_agent.evaluation.comparison_sources import read_results
from latentvla_agent.evaluation.folders import make_folder
from latentvla_agent.evaluation.provenance import hash_mapping
from latentvla_agent.evaluation.scene_source import SplitRequest, open_source
from latentvla_agent.scoring.versions import ALL_METRICS, find_metric


def compare_command(
    results: Annotated[
        List[str],
        typer.Option(
            "--results", help="[NAME=]PATH: folder or scores.csv of `latentvla eval`, or a NAVSIM CSV; repeat."
        ),
    ],
    agents: Annotated[
        Optional[List[str]], typer.Option("--agents", "--agent", help="Agents, with commas or repeated; default: all.")
    ] = None,
    out: Annotated[Optional[Path], typer.Option("--out", help="Folder; default: runs/compare-<hash>.")] = None,
    metric: Annotated[
        Optional[str], typer.Option("--metric", help=f"What the results must be of: {', '.join(ALL_METRICS)}.")
    ] = None,
    data: Data = None,
    maps: Maps = None,
    split: SplitName = None,
    pictures: Annotated[
        int, typer.Option("--pictures", min=0, help="Scenes per pair and direction that are drawn; 0 for none.")
    ] = EXAMPLES,
) -> None:
    """Compare agents over the same scenes, paired by token: scores, differences and their intervals.

    Results under one name are training seeds of one agent: NAME= given several times, or agents called NAME-seed0,
    NAME-seed1 and so on. Intervals are then over logs, scenes and seeds.

    A NAVSIM CSV names no agent: NAME= does, else its experiment folder; nor does it name logs: results of
    `latentvla eval` beside it, or --data and --split, do. It holds no plans, so there are no pictures of its agents.

    \b
    Examples:
      latentvla compare --results runs/first --results runs/second
      latentvla compare --results ipad=runs/seed0 --results ipad=runs/seed1 --results runs/blind
      latentvla compare --results mine=a.csv --results theirs=b.csv --data /data/openscene --split navtest
    """
    names = [name.strip() for entry in agents or () for name in entry.split(",") if name.strip()]
    wanted = find_metric(metric, ALL_METRICS) if metric else None
    read = [result for argument in results for result in read_results(argument, wanted)]
    groups = choose_agents(read, names)
    check_comparable(groups)
    logs = find_logs(groups)
    if data is not None or split is not None:
        if logs:
            raise ConfigError(
                "--data and --split tell the logs of NAVSIM's CSVs; results of latentvla eval know theirs"
            )
        logs, split = _load_logs(groups, SplitRequest(data, maps, split))
    folder = make_folder(out or Path("runs") / f"compare-{_hash_inputs(groups)}")
    comparison = compare(groups, logs, split, pictures)
    drawn = paint_examples(comparison["largest_differences"], groups, list(groups))
    write_comparison(comparison, folder, drawn)
    print(format_comparison(comparison))
    print(f"-> {folder / 'compare.html'}, compare.md, compare.csv, compare.json")


def _hash_inputs(groups: Groups) -> str:
    return hash_mapping({name: [one.sha256 for one in group] for name, group in groups.items()})[:8]


def _load_logs(groups: Groups, request: SplitRequest) -> Tuple[Dict[str, str], str]:
    """The log of every token, and the name of the split; raises `DataError` where the split lacks one of them."""
    first = next(iter(groups.values()))[0]
    tokens = {row.token for row in first.rows}
    source = open_source(request, tokens=tokens)
    logs = {ref.token: ref.log_name for ref in source.index.refs}
    if set(logs) != tokens:
        missing = sorted(tokens - set(logs))
        raise DataError(
            f"{first.path}: {len(missing)} of its {len(tokens)} scenes are not in split {source.split.name}, "
            f"e.g. {missing[0]}"
        )
    return logs, source.split.name
