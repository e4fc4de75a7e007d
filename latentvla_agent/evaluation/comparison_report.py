"""A comparison for people, as text: the printed tables, `compare.md` and `compare.csv`."""

from __future__ import annotations

import csv
import io
from html import escape
from typing import Any, Dict, List, Mapping, Optional

from latentvla_agent.evaluation.comparison import is_certain
from latentvla_agent.evaluation.comparison_failures import ANY, KINDS
from latentvla_agent.evaluation.comparison_results import STAGES
from latentvla_agent.evaluation.cost_tables import explain_costs, tabulate_costs
from latentvla_agent.evaluation.costs import COSTS
from latentvla_agent.evaluation.report_sections import name_metric
from latentvla_agent.evaluation.results import SHORT_NAMES
from latentvla_agent.scoring.versions import ALL_METRICS

Comparison = Mapping[str, Any]  # content of compare.json
Rows = List[List[str]]

FAILURES = (
    "A plan fails that has less than the whole sub-score, and one that could not be made or scored; the ratio is that"
    " of the shares of plans that fail in any of the three."
)
NONE = "-"  # printed too, and not every terminal takes more than ASCII


def list_columns(comparison: Comparison) -> List[str]:
    """The sub-scores."""
    names = ALL_METRICS[comparison["metric"]].columns
    return [name + stage for stage in STAGES for name in names] if comparison["two_stage"] else list(names)


def tabulate_agents(comparison: Comparison) -> Rows:
    """Header and one row per agent."""
    columns = list_columns(comparison)
    rows = [["agent", name_metric(comparison), "95 % interval", *map(shorten_column, columns)]]
    for agent in comparison["agents"]:
        cells = [agent["agent"], _percent(agent["score"]), _interval(agent)]
        rows.append(cells + [_percent(agent[name]) for name in columns])
    return rows


def tabulate_failures(comparison: Comparison) -> Rows:
    """Header and one row per agent: of how many plans how many fail; none for two stages."""
    kinds = (*KINDS, ANY)
    heads = [*(f"{SHORT_NAMES[kind]} fails" for kind in KINDS), "any fails"]
    rows = [["agent", "plans", *heads, "in 100"]] if comparison["failures"] else []
    for one in comparison["failures"]:
        cells = [f"{one[name]:,}" for name in ("plans", *kinds)]
        rows.append([one["agent"], *cells, _percent(one[ANY] / one["plans"])])
    return rows


def tabulate_differences(comparison: Comparison) -> Rows:
    """Header and one row per pair; none for a single agent."""
    ratios = {(pair["a"], pair["b"]): _quotient(pair) for pair in comparison["failure_ratios"]}
    heads = ["difference", "mean", "95 % interval", "differs from 0", *["failures, ratio"] * bool(ratios)]
    rows = [heads] if comparison["differences"] else []
    for pair in comparison["differences"]:
        certain = NONE if pair["low"] is None else "yes" if is_certain(pair) else "not certain"
        cells = [name_pair(pair), _percent(pair["mean"], "+"), _interval(pair, "+"), certain]
        rows.append(cells + ([ratios[pair["a"], pair["b"]]] if ratios else []))
    return rows


def list_tables(comparison: Comparison) -> List[Rows]:
    """Agents, their failures, their costs, and the differences; some may be empty."""
    costs = tabulate_costs(comparison["agents"])
    return [tabulate_agents(comparison), tabulate_failures(comparison), costs, tabulate_differences(comparison)]


def name_pair(pair: Mapping[str, Any]) -> str:
    """Which difference it is."""
    return f"{pair['a']} minus {pair['b']}"


def shorten_column(name: str) -> str:
    """`NC` of a sub-score, `NC 1` of its first stage."""
    for number, stage in enumerate(STAGES, start=1):
        if name.endswith(stage):
            return f"{SHORT_NAMES[name[: -len(stage)]]} {number}"
    return SHORT_NAMES[name]


def describe(comparison: Comparison) -> List[str]:
    """What was compared and how far it can be trusted, in sentences."""
    c = comparison
    stages = "two stages, " if c["two_stage"] else ""
    split = f"split {c['split']}" if c["split"] else "a split that the files do not name"
    clusters = "" if c["two_stage"] else f"; {_count(c['clusters'], 'cluster')}, {_count(c['seeds'], 'training seed')}"
    return [
        f"{c['metric']}, {c['scorer']} scorer, {stages}{split}, {_count(c['scenes'], 'scene')}{clusters}.",
        f"Intervals resample {c['resampled_levels']}.",
        *([FAILURES] if c["failures"] else []),
        *(explain_costs(c["agents"], c["batch_sizes"]) if tabulate_costs(c["agents"]) else []),
        *(f"Note: {note}" for note in c["notes"]),
    ]


def format_comparison(comparison: Comparison) -> str:
    """What is printed: the tables, scores times 100, and what they are of."""
    tables = [_align(rows) for rows in list_tables(comparison) if rows]
    return "\n\n".join([*tables, "\n".join(describe(comparison))])


def write_markdown(comparison: Comparison) -> str:
    """`compare.md`."""
    lines = [f"# {name_comparison(comparison)}", "", "Scores times 100; failed scenes count 0.", ""]
    for rows in list_tables(comparison):
        for number, row in enumerate(rows):
            lines.append(f"| {' | '.join(_escape_markdown(cell) for cell in row)} |")
            lines += [f"|{'---|' * len(row)}"] if number == 0 else []
        lines += [""] if rows else []
    lines += [f"- {_escape_markdown(text)}" for text in describe(comparison)]
    lines += [_escape_markdown(f"- {name}: {value}") for name, value in list_provenance(comparison).items()]
    return "\n".join(lines) + "\n"


def write_table(comparison: Comparison) -> bytes:
    """`compare.csv`, scores in 0…1: a row per agent; then a row per pair, whose score is `agent` minus `minus`."""
    columns = ["agent", "minus", "score", "low", "high", *list_columns(comparison), *COSTS]
    rows = [dict(agent) for agent in comparison["agents"]]
    rows += [
        {"agent": pair["a"], "minus": pair["b"], "score": pair["mean"], "low": pair["low"], "high": pair["high"]}
        for pair in comparison["differences"]
    ]
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode("utf-8", "backslashreplace")


def list_provenance(comparison: Comparison) -> Dict[str, str]:
    """Where the numbers come from."""
    entries = {"command": comparison["command"], "finished": comparison["finished"]}
    for number, one in enumerate(comparison["inputs"], start=1):
        entries[f"input {number}"] = f"{one['path']} ({', '.join(one['agents'])}), SHA-256 {one['sha256']}"
    entries["measured with"] = ", ".join(f"{name} {value}" for name, value in comparison["facts"].items())
    entries["computed with"] = ", ".join(f"{name} {version}" for name, version in comparison["versions"].items())
    return entries


def name_comparison(comparison: Comparison) -> str:
    """Its title."""
    names = comparison["agents"]
    where = f" on {comparison['split']}" if comparison["split"] else ""
    return f"{name_metric(comparison)} of {_count(len(names), 'agent')}{where}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _percent(value: Optional[float], sign: str = "") -> str:
    return NONE if value is None else f"{100.0 * value:{sign}.2f}"


def _interval(entry: Mapping[str, Optional[float]], sign: str = "") -> str:
    return NONE if entry["low"] is None else f"{_percent(entry['low'], sign)} to {_percent(entry['high'], sign)}"


def _quotient(pair: Mapping[str, Optional[float]]) -> str:
    """A ratio and its interval; what is infinite is not said."""
    ratio, low, high = (NONE if pair[name] is None else f"{pair[name]:.2f}" for name in ("ratio", "low", "high"))
    return ratio if ratio == NONE else f"{ratio} ({low} to {high})"


def _escape_markdown(text: str) -> str:
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def _align(rows: Rows) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
