"""What a run found, for `summary.json`, and whether anything is missing."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Dict, List, Mapping, Sequence

from latentvla_agent.evaluation.chunks import Predictions
from latentvla_agent.evaluation.costs import summarise_costs
from latentvla_agent.evaluation.paired_statistics import score_intervals
from latentvla_agent.evaluation.provenance import command_line, describe_machine
from latentvla_agent.evaluation.results import ResultRow, summarise_agent

if TYPE_CHECKING:
    from latentvla_agent.evaluation.run import Run


def summarise_run(
    run: Run,
    identity: Mapping[str, Any],
    rows: Sequence[ResultRow],
    predictions: Predictions,
    extras: Mapping[str, Mapping[str, Any]],
) -> Dict[str, Any]:
    """Content of `summary.json`; `extras` are entries of agents that replace means of rows, as for two stages."""
    by_agent: Dict[str, List[ResultRow]] = {spec.name: [] for spec in run.agents}
    for row in rows:
        by_agent[row.agent].append(row)
    index = run.index
    intervals = {} if extras else score_intervals(by_agent)
    return {
        **identity,
        "expected": len(index.all_refs),
        "dropped_no_route": index.dropped_no_route,
        "bad_logs": [{"log": path.name, "reason": reason} for path, reason in index.bad_logs],
        "missing_logs": list(index.missing_logs),
        "missing_tokens": len(index.missing_tokens),
        "roots": {
            **{"maps": str(run.roots.maps.resolve()), "sensors": str(run.roots.sensors.resolve())},
            "metric_caches": str(run.cache_folder.resolve()),
        },
        "machine": describe_machine(),
        "command": command_line(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "agents": [
            {
                **described,
                **summarise_agent(name, by_agent[name], len(index.all_refs), run.metric),
                **intervals.get(name, {}),
                **extras.get(name, {}),
                **summarise_costs(predictions[(name, ref.token)] for ref in index.all_refs),
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
