"""A comparison for people: the printed tables, `compare.md`, `compare.csv` and the self-contained `compare.html`."""

from __future__ import annotations

import csv
import io
import json
from html import escape
from pathlib import Path
from typing import Any, Dict, List, Mapping, Optional, Sequence

from latentvla_agent.evaluation.comparison import is_certain
from latentvla_agent.evaluation.comparison_sources import STAGES
from latentvla_agent.evaluation.costs import COSTS
from latentvla_agent.evaluation.folders import write_output
from latentvla_agent.evaluation.report_charts import draw_bars, draw_differences, draw_intervals, pick_color
from latentvla_agent.evaluation.report_sections import name_metric, write_notes
from latentvla_agent.evaluation.report_template import fill_page
from latentvla_agent.evaluation.results import SHORT_NAMES
from latentvla_agent.scoring.versions import METRICS

Comparison = Mapping[str, Any]  # content of compare.json
Rows = List[List[str]]

NONE = "-"  # printed too, and not every terminal takes more than ASCII
LONG_NAME = 26  # characters that fit beside other columns on a phone
CLIPPED_NAME = 19  # two of them fit into a chart
COST_TITLES = {
    "features_ms": "features ms",
    "tokens_ms": "tokens ms",
    "planner_ms": "planner ms",
    "total_ms": "total ms",
    "parameters": "parameters",
}


def write_comparison(comparison: Comparison, folder: Path) -> None:
    """The four files of a comparison."""
    write_output(folder / "compare.csv", write_table(comparison))
    write_output(folder / "compare.md", write_markdown(comparison).encode("utf-8", "backslashreplace"))
    write_output(folder / "compare.html", render_comparison(comparison).encode("utf-8", "backslashreplace"))
    write_output(folder / "compare.json", (json.dumps(comparison, indent=1) + "\n").encode())


def list_columns(comparison: Comparison) -> List[str]:
    """The sub-scores."""
    names = METRICS[comparison["metric"]].columns
    return [name + stage for stage in STAGES for name in names] if comparison["two_stage"] else list(names)


def tabulate_agents(comparison: Comparison) -> Rows:
    """Header and one row per agent; of the costs those that one of them knows."""
    agents, columns = comparison["agents"], list_columns(comparison)
    costs = [name for name in COSTS if any(agent[name] is not None for agent in agents)]
    title = name_metric(comparison)
    header = ["agent", title, "95 % interval", *map(shorten_column, columns), *(COST_TITLES[name] for name in costs)]
    rows = [header]
    for agent in agents:
        cells = [agent["agent"], _percent(agent["score"]), _interval(agent)]
        cells += [_percent(agent[name]) for name in columns]
        rows.append(cells + [_cost(name, agent[name]) for name in costs])
    return rows


def tabulate_differences(comparison: Comparison) -> Rows:
    """Header and one row per pair; none for a single agent."""
    rows = [["difference", "mean", "95 % interval", "differs from 0"]] if comparison["differences"] else []
    for pair in comparison["differences"]:
        certain = NONE if pair["low"] is None else "yes" if is_certain(pair) else "not certain"
        rows.append([name_pair(pair), _percent(pair["mean"], "+"), _interval(pair, "+"), certain])
    return rows


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
        *(f"Note: {note}" for note in c["notes"]),
    ]


def format_comparison(comparison: Comparison) -> str:
    """What is printed: both tables, scores times 100, and what they are of."""
    tables = [_align(rows) for rows in (tabulate_agents(comparison), tabulate_differences(comparison)) if rows]
    return "\n\n".join([*tables, "\n".join(describe(comparison))])


def write_markdown(comparison: Comparison) -> str:
    """`compare.md`."""
    lines = [f"# {_title(comparison)}", "", "Scores times 100; failed scenes count 0.", ""]
    for rows in (tabulate_agents(comparison), tabulate_differences(comparison)):
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


# --- the page


def render_comparison(comparison: Comparison) -> str:
    """`compare.html`. Everything that comes from files is escaped."""
    first, levels, *notes = describe(comparison)
    metric, agents, differences = name_metric(comparison), comparison["agents"], comparison["differences"]
    chart = draw_intervals(
        f"{metric} with 95 % intervals",
        [(agent["agent"], agent["score"], agent["low"], agent["high"]) for agent in agents],
    )
    cards = [f"<h3>{metric} and 95 % interval</h3>{chart}"]
    if differences:
        pairs = [
            (f"{_clip(pair['a'])} minus {_clip(pair['b'])}", pair["mean"], pair["low"], pair["high"])
            for pair in differences
        ]
        cards.append(f"<h3>Paired differences in points</h3>{draw_differences('paired differences', pairs)}")
    body = [f"<h1>{escape(_title(comparison))}</h1>", f'<p class="soft">{escape(first)}</p>']
    body += [write_notes([note.replace("Note: ", "", 1) for note in notes])]
    body += [_write_rows(tabulate_agents(comparison), comparison, dots=True)]
    style = "soft" if comparison["clusters"] > 1 and not comparison["two_stage"] else "status bad"
    body += [f'<p class="soft">Scores times 100; failed scenes count 0.</p>\n<p class="{style}">{escape(levels)}</p>']
    body += [_write_cards(cards)]
    if differences:
        rows = _write_rows(tabulate_differences(comparison), comparison)
        body += [f"<section>\n<h2>Differences, paired by scene</h2>\n{rows}\n</section>"]
    body += [f"<section>\n<h2>Sub-scores</h2>\n{_write_cards(_draw_sub_scores(comparison))}\n</section>"]
    items = (
        f"<dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd>"
        for name, value in list_provenance(comparison).items()
    )
    body += [f"<section>\n<h2>Provenance</h2>\n<dl>{''.join(items)}</dl>\n</section>"]
    return fill_page(escape(_title(comparison)), "\n".join(part for part in body if part))


def _draw_sub_scores(comparison: Comparison) -> List[str]:
    cards = []
    for name in list_columns(comparison):
        title = f"{shorten_column(name)}: {name.replace('_', ' ')}"
        bars = draw_bars(title, [(agent["agent"], agent[name]) for agent in comparison["agents"]])
        cards.append(f"<h3>{title}</h3>{bars}")
    return cards


def _write_rows(rows: Rows, comparison: Comparison, dots: bool = False) -> str:
    titles = {shorten_column(name): name.replace("_", " ") for name in list_columns(comparison)}
    heads = (f'<abbr title="{titles[cell]}">{cell}</abbr>' if cell in titles else escape(cell) for cell in rows[0])
    lines = []
    for number, row in enumerate(rows[1:]):
        dot = f'<span class="dot" style="background:{pick_color(number)}"></span>' if dots else ""
        name = f"<td{' class=long' if len(row[0]) > LONG_NAME else ''}>{dot}{escape(row[0])}</td>"
        lines.append(f"<tr>{name}{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>")
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "\n".join(lines)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _write_cards(contents: Sequence[str]) -> str:
    return f'<div class="grid">{"".join(f"<figure class=card>{content}</figure>" for content in contents)}</div>'


# --- cells


def _title(comparison: Comparison) -> str:
    names = comparison["agents"]
    where = f" on {comparison['split']}" if comparison["split"] else ""
    return f"{name_metric(comparison)} of {_count(len(names), 'agent')}{where}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _clip(name: str) -> str:
    return name if len(name) <= CLIPPED_NAME else f"{name[: CLIPPED_NAME - 1]}…"


def _percent(value: Optional[float], sign: str = "") -> str:
    return NONE if value is None else f"{100.0 * value:{sign}.2f}"


def _interval(entry: Mapping[str, Optional[float]], sign: str = "") -> str:
    return NONE if entry["low"] is None else f"{_percent(entry['low'], sign)} to {_percent(entry['high'], sign)}"


def _cost(name: str, value: Optional[float]) -> str:
    return NONE if value is None else f"{value:,.0f}" if name == "parameters" else f"{value:,.2f}"


def _escape_markdown(text: str) -> str:
    return escape(" ".join(text.split()), quote=False).replace("|", "\\|")


def _align(rows: Rows) -> str:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])])
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
