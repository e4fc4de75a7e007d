"""Text and tables of a report. Everything that comes from files or agents is escaped."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from typing import Any, Dict, Iterable, List, Mapping, Sequence, Tuple

from latentvla_agent.evaluation.costs import COSTS
from latentvla_agent.evaluation.report_charts import format_percent, pick_color
from latentvla_agent.evaluation.results import SHORT_NAMES, ResultRow
from latentvla_agent.evaluation.statistics import resampled_levels
from latentvla_agent.scoring.versions import METRICS

METRIC_NAMES = {"pdms": "PDMS", "epdms": "EPDMS"}
MAX_REASONS, MAX_TOKENS, MAX_LISTED, MAX_TEXT = 20, 5, 50, 400


def name_metric(summary: Mapping[str, Any]) -> str:
    """`PDMS` of `pdms-v1.1`."""
    family = str(summary["metric"]).split("-")[0]
    return METRIC_NAMES.get(family, family)


def name_split(summary: Mapping[str, Any]) -> str:
    """The split, and what the agents' sensors lost there."""
    loss = summary.get("degradation")
    return f"{summary['split']['name']}{f', sensors degraded: {loss}' if loss else ''}"


def write_heading(summary: Mapping[str, Any]) -> str:
    """Title, what was evaluated, and whether it is complete."""
    agents = summary["agents"]
    count = f"{len(agents)} agent{'s' * (len(agents) != 1)}"
    scenes = f"{summary['expected']:,} scene{'s' * (summary['expected'] != 1)}"
    return (
        f"<h1>{name_metric(summary)} of {count} on {escape(name_split(summary))}</h1>\n"
        f'<p class="soft">{escape(str(summary["metric"]))}, {escape(str(summary["scorer"]))} scorer, {scenes}, '
        f"finished {escape(str(summary['finished']))}</p>\n{_write_status(summary)}"
    )


def list_losses(summary: Mapping[str, Any]) -> List[str]:
    """What the split promises and the result lacks, in words."""
    failed = sum(agent["failed"] for agent in summary["agents"])
    counts = (
        (failed, "failed scene"),
        (len(summary["bad_logs"]), "unreadable log"),
        (len(summary["missing_logs"]), "missing log"),
        (summary["missing_tokens"], "missing scene"),
    )
    return [f"{count:,} {what}{'s' * (count != 1)}" for count, what in counts if count]


def _write_status(summary: Mapping[str, Any]) -> str:
    losses = list_losses(summary)
    if losses:
        return f'<p class="status bad">Incomplete: {", ".join(losses)}. Failed scenes count 0 in the score.</p>'
    return '<p class="status good">Complete: every expected scene was scored for every agent.</p>'


def write_table(summary: Mapping[str, Any], num_logs: int) -> str:
    """Agents with score, interval and sub-scores, times 100."""
    columns = METRICS[summary["metric"]].columns
    heads = "".join(
        f'<th scope="col"><abbr title="{name.replace("_", " ")}">{SHORT_NAMES[name]}</abbr></th>' for name in columns
    )
    rows = "\n".join(_write_agent(index, agent, columns) for index, agent in enumerate(summary["agents"]))
    return (
        f'<div class="scroll"><table>\n<thead><tr><th scope="col">agent</th>'
        f'<th scope="col">{name_metric(summary)}</th><th scope="col">95 % interval</th>{heads}'
        '<th scope="col">scenes</th><th scope="col">failed</th><th scope="col">valid only</th></tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody></table></div>\n"
        f'<p class="soft">Scores times 100; failed scenes count 0, “valid only” leaves them out, sub-scores are means '
        f"over valid scenes. Intervals: hierarchical bootstrap over {resampled_levels(num_logs)} "
        f"({num_logs} log{'s' * (num_logs != 1)}).</p>"
    )


def _write_agent(index: int, agent: Mapping[str, Any], columns: Sequence[str]) -> str:
    low, high = agent.get("score_low"), agent.get("score_high")
    interval = "–" if low is None or high is None else f"{format_percent(low)} to {format_percent(high)}"
    cells = [f"<strong>{format_percent(agent['score'])}</strong>", interval]
    cells += [format_percent(agent[name]) for name in columns]
    cells += [f"{agent['expected']:,}", f"{agent['failed']:,}", format_percent(agent["score_valid_only"])]
    dot = f'<span class="dot" style="background:{pick_color(index)}"></span>'
    return f"<tr><td>{dot}{_clip(agent['agent'], 60)}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def write_failures(rows_by_agent: Mapping[str, Sequence[ResultRow]]) -> str:
    """Failed scenes by agent and reason: counts and the first tokens. Empty where nothing failed."""
    lines: List[str] = []
    for agent, rows in rows_by_agent.items():
        reasons = group_failures(rows)
        for reason, tokens in reasons[:MAX_REASONS]:
            shown = ", ".join(f"<code>{_clip(token, 80)}</code>" for token in tokens[:MAX_TOKENS])
            more = f" and {len(tokens) - MAX_TOKENS:,} more" if len(tokens) > MAX_TOKENS else ""
            lines.append(
                f'<tr><td>{_clip(agent, 60)}</td><td>{len(tokens):,}</td><td class="long">{_clip(reason)}</td>'
                f'<td class="long">{shown}{more}</td></tr>'
            )
        if len(reasons) > MAX_REASONS:
            rest = sum(len(tokens) for _, tokens in reasons[MAX_REASONS:])
            lines.append(
                f'<tr><td>{_clip(agent, 60)}</td><td>{rest:,}</td><td class="long" colspan="2">'
                f"{len(reasons) - MAX_REASONS:,} other reasons, see scores.csv</td></tr>"
            )
    if not lines:
        return ""
    styles = {"agent": "", "scenes": "", "reason": ' class="long"', "tokens": ' class="long"'}
    head = "".join(f'<th scope="col"{style}>{text}</th>' for text, style in styles.items())
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>{"".join(lines)}</tbody></table></div>'


def group_failures(rows: Iterable[ResultRow]) -> List[Tuple[str, List[str]]]:
    """Reasons with the tokens that failed for them, the most frequent first; a reason's own token and log are cut."""
    groups: Dict[str, List[str]] = {}
    for row in rows:
        if not row.valid:
            reason = row.error or "no reason given"
            for name, stand_in in ((row.token, "<token>"), (row.log, "<log>")):
                reason = reason.replace(name, stand_in) if name else reason
            groups.setdefault(reason, []).append(row.token)
    return sorted(groups.items(), key=lambda group: (-len(group[1]), group[0]))


def write_losses(summary: Mapping[str, Any]) -> str:
    """Windows, logs and tokens that are not among the scenes. Empty where there are none."""
    parts: List[str] = []
    if summary["dropped_no_route"]:
        parts.append(
            f"<p>{summary['dropped_no_route']:,} windows without a route were left out, as the split asks.</p>"
        )
    if summary["missing_tokens"]:
        parts.append(f"<p>{summary['missing_tokens']:,} scenes of the split were not found in its logs.</p>")
    bad = [f"{entry['log']}: {entry['reason']}" for entry in summary["bad_logs"]]
    for title, items in (("Unreadable logs", bad), ("Missing logs", list(summary["missing_logs"]))):
        if items:
            listed = "".join(f"<li><code>{_clip(item)}</code></li>" for item in items[:MAX_LISTED])
            more = f"<li>and {len(items) - MAX_LISTED:,} more</li>" if len(items) > MAX_LISTED else ""
            parts.append(f"<h3>{title}</h3><ul>{listed}{more}</ul>")
    return "\n".join(parts)


def write_notes(notes: Sequence[str]) -> str:
    """What the report itself could not show, and why; equal notes once."""
    counts = Counter(notes)
    lines = [_clip(note) + (f" ({count} times)" if count > 1 else "") for note, count in counts.items()]
    more = [f"and {len(lines) - MAX_LISTED:,} more"] if len(lines) > MAX_LISTED else []
    return f"<ul>{''.join(f'<li>{line}</li>' for line in lines[:MAX_LISTED] + more)}</ul>" if lines else ""


def write_provenance(summary: Mapping[str, Any]) -> str:
    """Where the numbers come from."""
    split, machine = summary["split"], summary["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in summary["versions"].items())
    entries: List[Tuple[str, str]] = [
        ("command", str(summary["command"])),
        ("metric", str(summary["metric"])),
        ("scorer", str(summary["scorer"])),
        ("split", f"{split['name']}: {split['source']}"),
        ("filter", describe_filter(split["scene_filter"])),
        ("scenes", f"{summary['expected']:,} expected, tokens {summary['scenes']}"),
        ("finished", str(summary["finished"])),
        ("versions", versions),
        ("machine", ", ".join(f"{key} {value}" for key, value in machine.items())),
    ]
    known = {"agent", "expected", "scored", "failed", "score", "score_valid_only", "score_low", "score_high", *COSTS}
    for agent in summary["agents"]:
        hashes = [f"{key} {value}" for key, value in agent.items() if key not in known and key not in SHORT_NAMES]
        entries.append((f"agent {agent['agent']}", ", ".join(hashes)))
    items = (f"<dt>{_clip(key, 40)}</dt><dd><code>{_clip(value, 4000)}</code></dd>" for key, value in entries)
    return f"<dl>{''.join(items)}</dl>"


def describe_filter(scene_filter: Mapping[str, Any]) -> str:
    """The resolved filter; long lists as their length."""
    shown = {
        key: f"{len(value):,} names" if isinstance(value, (list, tuple)) and len(value) > 5 else value
        for key, value in scene_filter.items()
    }
    return json.dumps(shown)


def _clip(text: Any, length: int = MAX_TEXT) -> str:
    """Escaped text of at most `length` characters."""
    text = str(text)
    return escape(text if len(text) <= length else f"{text[: length - 1]}…")
