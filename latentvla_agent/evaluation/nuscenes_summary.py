"""`summary.json` of an evaluation on nuScenes, and its tables for people."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Dict, List, Mapping, Optional, Sequence

from latentvla_agent.data.nuscenes.database import HORIZON_FRAMES
from latentvla_agent.evaluation.chunks import Predictions
from latentvla_agent.evaluation.costs import summarise_costs
from latentvla_agent.evaluation.nuscenes_samples import Samples, explain_left_out
from latentvla_agent.evaluation.nuscenes_setup import VEHICLE
from latentvla_agent.evaluation.open_loop import COLLISIONS, L2, MeasuredPlans
from latentvla_agent.evaluation.open_loop_rules import HORIZONS_S, RULES
from latentvla_agent.evaluation.open_loop_summary import compare_plans, summarise_plans
from latentvla_agent.evaluation.paired_statistics import bootstrap_difference, score_intervals
from latentvla_agent.evaluation.provenance import command_line, describe_machine
from latentvla_agent.evaluation.results import ResultRow, align_cells, format_table, summarise_agent
from latentvla_agent.evaluation.statistics import resampled_levels
from latentvla_agent.scoring.versions import NUSCENES_METRIC

WARNING = "pdms-nuscenes is no score of NAVSIM's: other data, another car; never to be compared with navtest"
Measured = Mapping[str, Mapping[str, MeasuredPlans]]  # by agent and rules


def summarise_nuscenes(
    identity: Mapping[str, Any],
    samples: Samples,
    predictions: Predictions,
    measured: Measured,
    rows: Sequence[ResultRow],
) -> Dict[str, Any]:
    """Content of `summary.json`: the identity, then counts, sources, agents, and differences to the first agent."""
    by_agent = {agent: [row for row in rows if row.agent == agent] for agent in measured}
    intervals = score_intervals(by_agent)
    logs = {ref.log_name for ref in samples.refs}
    return {
        **identity,
        "samples": len(samples.refs),
        "complete_samples": sum(bool(truth.valid.all()) for truth in samples.truths),
        "horizon_s": HORIZON_FRAMES / 2,
        "drives": len({ref.log_path for ref in samples.refs}),
        "logs": len(logs),
        "resampled_levels": resampled_levels(len(logs)),
        **samples.facts,
        "pdms": _describe_pdms(samples),
        **{"bad_logs": [], "missing_logs": [], "missing_tokens": 0},  # a broken database stops the run
        "machine": describe_machine(),
        "command": command_line(),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "agents": [
            {
                **described,
                **_describe_plans(described["agent"], samples, predictions),
                "open_loop": summarise_plans(measured[described["agent"]]),
                **_describe_scores(described["agent"], by_agent[described["agent"]], samples, predictions),
                **intervals.get(described["agent"], {}),
                **summarise_costs(predictions[(described["agent"], ref.token)] for ref in samples.refs),
            }
            for described in identity["agents"]
        ],
        "differences": _compare_agents(measured, by_agent),
    }


def _describe_pdms(samples: Samples) -> Dict[str, Any]:
    """What is scored and what not; `left_out` says why nothing is."""
    return {
        "metric": NUSCENES_METRIC.name,
        "warning": WARNING,
        "scored_samples": len(samples.scored),
        "samples_left_out": samples.left_out,
        "locations_without_map": list(samples.locations_without_map),
        "left_out": explain_left_out(samples) or None,
        "vehicle": asdict(VEHICLE),
        "traffic_lights": "unknown, none is red",
        "route": "lanes and connectors along the human's path, then straight on",
    }


def _describe_plans(agent: str, samples: Samples, predictions: Predictions) -> Dict[str, Any]:
    failures = [
        {"token": ref.token, "error": predictions[(agent, ref.token)]["error"]}
        for ref in samples.refs
        if "error" in predictions[(agent, ref.token)]
    ]
    return {"planned": len(samples.refs) - len(failures), "not_planned": len(failures), "failures": failures}


def _describe_scores(
    agent: str, rows: Sequence[ResultRow], samples: Samples, predictions: Predictions
) -> Dict[str, Any]:
    """Means of PDMS, and how many plans that there are could not be scored; nothing where nothing is scored."""
    if not samples.scored:
        return {}
    lost = sum(not row.valid and "error" not in predictions[(agent, row.token)] for row in rows)
    return {**summarise_agent(agent, rows, len(samples.scored), NUSCENES_METRIC), "not_scored": lost}


def _compare_agents(measured: Measured, by_agent: Mapping[str, Sequence[ResultRow]]) -> List[Dict[str, Any]]:
    """Of every agent, paired by sample, what it has more than the first one."""
    first, *others = measured
    return [
        {
            **{"agent": other, "than": first},
            "open_loop": compare_plans(measured[first], measured[other]),
            NUSCENES_METRIC.name: _compare_scores(by_agent[first], by_agent[other]),
        }
        for other in others
    ]


def _compare_scores(first: Sequence[ResultRow], second: Sequence[ResultRow]) -> Optional[Dict[str, float]]:
    if not first:
        return None
    sides: List[Dict[str, Dict[str, float]]] = []
    for rows in (second, first):
        by_log: Dict[str, Dict[str, float]] = {}
        for row in rows:
            by_log.setdefault(row.log, {})[row.token] = row.score if row.valid else 0.0
        sides.append(by_log)
    low, high = bootstrap_difference(sides[0], sides[1])
    mean = (sum(row.score for row in second if row.valid) - sum(row.score for row in first if row.valid)) / len(first)
    return {"mean": mean, "low": low, "high": high}


def describe_failures(summary: Mapping[str, Any]) -> str:
    """In one line, what makes a run incomplete; empty for a complete one."""
    losses = [
        f"{agent['agent']} has no plan at {agent['not_planned']} of {summary['samples']} samples"
        f" (first: {agent['failures'][0]['error']})"
        for agent in summary["agents"]
        if agent["not_planned"]
    ]
    losses += [
        f"{agent['not_scored']} plans of {agent['agent']} could not be scored: see scores.csv"
        for agent in summary["agents"]
        if agent.get("not_scored")
    ]
    return ", ".join(losses)


def format_open_loop(summary: Mapping[str, Any]) -> str:
    """The table for people: by agent and rules, L2 in metres and collisions in percent at 1, 2, 3 s and on average."""
    horizons = [*(f"{horizon}s" for horizon in HORIZONS_S), "avg"]
    lines = [["agent", "rules", "value", "samples", *(f"L2 {name}" for name in horizons), "95 %"]]
    lines[0] += [*(f"col {name}" for name in horizons), "95 %"]
    for agent in summary["agents"]:
        for name in RULES:
            found = agent["open_loop"][name]
            for value in ("at", "up_to"):
                is_headline = value == found["rules"]["headline"]
                cells = [agent["agent"], name + "*" * is_headline, value, str(found["num_counted"]["3s"])]
                for metric, scale, digits in ((L2, 1.0, 2), (COLLISIONS, 100.0, 2)):
                    cells += [_number(found[metric][value][horizon], scale, digits) for horizon in horizons]
                    cells.append(_interval(found[f"{metric}_interval"], scale, digits) if is_headline else "")
                lines.append(cells)
    return align_cells(lines)


def _number(value: Optional[float], scale: float, digits: int) -> str:
    return "-" if value is None else f"{value * scale:.{digits}f}"


def _interval(bounds: Optional[Sequence[float]], scale: float, digits: int) -> str:
    return "-" if bounds is None else f"{bounds[0] * scale:.{digits}f}..{bounds[1] * scale:.{digits}f}"


def format_scores(summary: Mapping[str, Any]) -> str:
    """The table of `pdms-nuscenes`, with its warning; or why there is none."""
    if summary["pdms"]["left_out"]:
        return f"{NUSCENES_METRIC.name} left out: {summary['pdms']['left_out']}"
    return f"{format_table(summary['agents'], NUSCENES_METRIC)}\n{WARNING}"


def format_differences(summary: Mapping[str, Any]) -> str:
    """Differences to the first agent in the headlines, one line each; empty for one agent."""
    lines = []
    for pair in summary["differences"]:
        parts = [
            f"{label} {name} {found['mean'] * scale:+.2f} [{found['low'] * scale:+.2f}, {found['high'] * scale:+.2f}]"
            for name, metrics in pair["open_loop"].items()
            for label, metric, scale in (("L2", L2, 1.0), ("col", COLLISIONS, 100.0))
            if (found := metrics[metric]) is not None
        ]
        scores = pair[NUSCENES_METRIC.name]
        if scores is not None:
            low, high = 100.0 * scores["low"], 100.0 * scores["high"]
            parts.append(f"{NUSCENES_METRIC.name} {100.0 * scores['mean']:+.2f} [{low:+.2f}, {high:+.2f}]")
        lines.append(f"{pair['agent']} minus {pair['than']}: {', '.join(parts) or 'nothing to compare'}")
    return "\n".join(lines)
