"""`compare.html`: one self-contained page of a comparison. Everything that comes from files is escaped."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import List, Optional

from latentvla_agent.evaluation.comparison_gallery import write_examples
from latentvla_agent.evaluation.comparison_pictures import ExamplePictures
from latentvla_agent.evaluation.comparison_report import (
    FAILURES,
    Comparison,
    describe,
    list_columns,
    list_provenance,
    name_comparison,
    shorten_column,
    tabulate_agents,
    tabulate_differences,
    tabulate_failures,
    write_markdown,
    write_table,
)
from latentvla_agent.evaluation.cost_tables import explain_costs, tabulate_costs
from latentvla_agent.evaluation.folders import write_output
from latentvla_agent.evaluation.html_tables import write_cards, write_rows
from latentvla_agent.evaluation.report_charts import draw_bars, draw_differences, draw_intervals
from latentvla_agent.evaluation.report_sections import name_metric, write_notes
from latentvla_agent.evaluation.report_template import fill_page

CLIPPED_NAME = 19  # two of them fit into a chart


def write_comparison(comparison: Comparison, folder: Path, pictures: Optional[ExamplePictures] = None) -> None:
    """The four files of a comparison."""
    write_output(folder / "compare.csv", write_table(comparison))
    write_output(folder / "compare.md", write_markdown(comparison).encode("utf-8", "backslashreplace"))
    page = render_comparison(comparison, pictures)
    write_output(folder / "compare.html", page.encode("utf-8", "backslashreplace"))
    write_output(folder / "compare.json", (json.dumps(comparison, indent=1) + "\n").encode())


def render_comparison(comparison: Comparison, pictures: Optional[ExamplePictures] = None) -> str:
    """The page."""
    rows, failures = tabulate_differences(comparison), tabulate_failures(comparison)
    sections = (
        ("Plans that fail", write_rows(failures, dots=True) + f'\n<p class="soft">{FAILURES}</p>' if failures else ""),
        ("Latency and parameters", _write_costs(comparison)),
        ("Differences, paired by scene", write_rows(rows) if rows else ""),
        ("Where they differ most", write_examples(comparison, pictures or ExamplePictures())),
        ("Sub-scores", write_cards(_draw_sub_scores(comparison))),
        ("Provenance", _write_provenance(comparison)),
    )
    body = [_write_heading(comparison), write_cards(_draw_scores(comparison))]
    body += [f"<section>\n<h2>{title}</h2>\n{content}\n</section>" for title, content in sections if content]
    return fill_page(escape(name_comparison(comparison)), "\n".join(body))


def _write_heading(comparison: Comparison) -> str:
    """What was compared, and the table of agents."""
    first, levels = describe(comparison)[:2]
    titles = {shorten_column(name): name.replace("_", " ") for name in list_columns(comparison)}
    style = "soft" if comparison["clusters"] > 1 and not comparison["two_stage"] else "status bad"
    parts = [
        f"<h1>{escape(name_comparison(comparison))}</h1>",
        f'<p class="soft">{escape(first)}</p>',
        write_notes(comparison["notes"]),
        write_rows(tabulate_agents(comparison), titles, dots=True),
        '<p class="soft">Scores times 100; failed scenes count 0.</p>',
        f'<p class="{style}">{escape(levels)}</p>',
    ]
    return "\n".join(part for part in parts if part)


def _draw_scores(comparison: Comparison) -> List[str]:
    """The charts of scores and of differences."""
    metric, agents = name_metric(comparison), comparison["agents"]
    rows = [(agent["agent"], agent["score"], agent["low"], agent["high"]) for agent in agents]
    cards = [f"<h3>{metric} and 95 % interval</h3>{draw_intervals(f'{metric} with 95 % intervals', rows)}"]
    pairs = [
        (f"{_clip(pair['a'])} minus {_clip(pair['b'])}", pair["mean"], pair["low"], pair["high"])
        for pair in comparison["differences"]
    ]
    if pairs:
        cards.append(f"<h3>Paired differences in points</h3>{draw_differences('paired differences', pairs)}")
    return cards


def _write_costs(comparison: Comparison) -> str:
    rows = tabulate_costs(comparison["agents"])
    if not rows:
        return ""
    said = " ".join(explain_costs(comparison["agents"], comparison["batch_sizes"]))
    return f'{write_rows(rows, dots=True)}\n<p class="soft">{escape(said)}</p>'


def _draw_sub_scores(comparison: Comparison) -> List[str]:
    cards = []
    for name in list_columns(comparison):
        title = f"{shorten_column(name)}: {name.replace('_', ' ')}"
        bars = draw_bars(title, [(agent["agent"], agent[name]) for agent in comparison["agents"]])
        cards.append(f"<h3>{title}</h3>{bars}")
    return cards


def _write_provenance(comparison: Comparison) -> str:
    items = (
        f"<dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd>"
        for name, value in list_provenance(comparison).items()
    )
    return f"<dl>{''.join(items)}</dl>"


def _clip(name: str) -> str:
    return name if len(name) <= CLIPPED_NAME else f"{name[: CLIPPED_NAME - 1]}…"
