"""`report.html`: one self-contained page that shows what an evaluation found and where it went wrong.

Nothing is kept per scene but sums and the pictures of the worst ones, so its size does not grow with the split.
"""

from __future__ import annotations

from html import escape
from typing import Any, Dict, Iterable, List, Mapping, Sequence

import numpy as np

from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.evaluation.cost_tables import explain_costs, tabulate_costs
from latentvla_agent.evaluation.html_tables import write_rows
from latentvla_agent.evaluation.report_charts import (
    draw_bars,
    draw_histogram,
    draw_intervals,
    draw_timeline,
    round_up,
)
from latentvla_agent.evaluation.report_gallery import write_pictures
from latentvla_agent.evaluation.report_pictures import (
    Picture,
    Predictions,
    ScenePainter,
    paint_worst,
)
from latentvla_agent.evaluation.report_sections import (
    name_metric,
    name_split,
    write_failures,
    write_heading,
    write_losses,
    write_notes,
    write_provenance,
    write_table,
)
from latentvla_agent.evaluation.report_template import fill_page
from latentvla_agent.evaluation.results import SHORT_NAMES, ResultRow
from latentvla_agent.evaluation.stages import StageSetup
from latentvla_agent.scoring.config import NUM_STEPS, STEP_S
from latentvla_agent.scoring.versions import METRICS

NUM_BINS = 20  # of the score histogram
BIN_S = 0.5  # of the timeline
KINDS = {"collision": "at-fault collision", "ttc": "time to collision", "off_road": "off the road"}


def make_report(
    summary: Mapping[str, Any],
    rows: Iterable[ResultRow],
    predictions: Predictions,
    setup: StageSetup,
    refs: Sequence[SceneRef],
) -> bytes:
    """The report of a finished run; a scene that can't be drawn becomes a note in it."""
    rows_by_agent: Dict[str, List[ResultRow]] = {agent["agent"]: [] for agent in summary["agents"]}
    for row in rows:
        rows_by_agent[row.agent].append(row)
    painter = ScenePainter(setup, refs, predictions)
    pictures = paint_worst(painter, rows_by_agent)
    return render_report(summary, rows_by_agent, pictures).encode("utf-8", "backslashreplace")


def render_report(
    summary: Mapping[str, Any],
    rows_by_agent: Mapping[str, Sequence[ResultRow]],
    pictures: Mapping[str, Sequence[Picture]],
) -> str:
    """The page. Equal input gives equal text."""
    num_logs = len({row.log for rows in rows_by_agent.values() for row in rows})
    sections = (
        ("Failed scenes", write_failures(rows_by_agent)),
        ("Scenes that are not here", write_losses(summary)),
        ("Sub-scores", write_sub_scores(summary)),
        ("Scores", write_histograms(rows_by_agent)),
        ("First infractions over time", write_timelines(rows_by_agent)),
        ("Latency and parameters", write_costs(summary)),
        ("Worst scenes", write_pictures(pictures)),
        ("Not shown", write_notes(collect_notes(pictures))),
        ("Provenance", write_provenance(summary)),
    )
    body = [write_heading(summary), write_table(summary, num_logs), write_intervals(summary)]
    body += [f"<section>\n<h2>{title}</h2>\n{content}\n</section>" for title, content in sections if content]
    title = f"{name_metric(summary)} on {name_split(summary)}"
    return fill_page(escape(title), "\n".join(body))


def write_intervals(summary: Mapping[str, Any]) -> str:
    """Scores and intervals on one axis."""
    rows = [
        (agent["agent"], agent["score"], agent.get("score_low"), agent.get("score_high")) for agent in summary["agents"]
    ]
    chart = draw_intervals("scores with 95 % intervals", rows)
    return _cards([f"<h3>{name_metric(summary)} and 95 % interval</h3>{chart}"])


def write_costs(summary: Mapping[str, Any]) -> str:
    """What a plan takes, and how many scenes were planned with a blank sensor; empty where nobody knows."""
    agents = summary["agents"]
    rows = tabulate_costs(agents)
    said = " ".join(explain_costs(agents, [summary.get("batch_size", 1)]))
    return f'{write_rows(rows, dots=True)}\n<p class="soft">{said}</p>' if rows else ""


def write_sub_scores(summary: Mapping[str, Any]) -> str:
    """One card per sub-score, one bar per agent."""
    cards = []
    for name in METRICS[summary["metric"]].columns:
        title = f"{SHORT_NAMES[name]}: {name.replace('_', ' ')}"
        cards.append(
            f"<h3>{title}</h3>{draw_bars(title, [(agent['agent'], agent[name]) for agent in summary['agents']])}"
        )
    return _cards(cards)


def write_histograms(rows_by_agent: Mapping[str, Sequence[ResultRow]]) -> str:
    """How the scores of each agent are spread, all on one scale."""
    counts, failed = {}, {}
    for agent, rows in rows_by_agent.items():
        counts[agent] = np.histogram([row.score for row in rows if row.valid], NUM_BINS, (0.0, 1.0))[0].tolist()
        failed[agent] = sum(not row.valid for row in rows)
    top = round_up(max([1] + [max(own[0] + failed[agent], *own) for agent, own in counts.items()]))
    cards = [
        f"<h3>{escape(agent)}</h3>{draw_histogram(f'scores of {agent}', own, failed[agent], top, i)}"
        for i, (agent, own) in enumerate(counts.items())
    ]
    note = "Scenes per score, in steps of 5."
    note += ' <span class="soft">Grey: failed scenes, which count 0.</span>' if any(failed.values()) else ""
    return f"<p>{note}</p>\n{_cards(cards)}"


def write_timelines(rows_by_agent: Mapping[str, Sequence[ResultRow]]) -> str:
    """When plans first collide, violate the time to collision, or leave the road."""
    counts = {agent: count_infractions(rows) for agent, rows in rows_by_agent.items()}
    top = round_up(max([1.0] + [max(column) for own in counts.values() for column in own.values()]))
    cards = []
    for agent, own in counts.items():
        totals = ", ".join(f"{KINDS[kind]} {sum(column):,.0f}" for kind, column in own.items())
        chart = draw_timeline(f"first infractions of {agent}: {totals}", own, NUM_STEPS * STEP_S, top)
        cards.append(f"<h3>{escape(agent)}</h3>{chart}<figcaption>{totals}</figcaption>")
    key = "".join(f'<li><span class="swatch {kind}"></span>{text}</li>' for kind, text in KINDS.items())
    intro = "Scenes per half second of the simulated 4 s in which the first infraction of a kind falls."
    return f'<p>{intro}</p>\n<ul class="legend">{key}</ul>\n{_cards(cards)}'


def count_infractions(rows: Sequence[ResultRow]) -> Dict[str, List[float]]:
    """Scenes per `BIN_S` and kind."""
    edges = np.arange(0, NUM_STEPS + 1, int(round(BIN_S / STEP_S)))
    valid = [row for row in rows if row.valid]
    steps = {
        "collision": [row.collision_idx for row in valid if row.collision_idx is not None],
        "ttc": [row.ttc_idx for row in valid if row.ttc_idx is not None],
        "off_road": [row.off_road_idx for row in valid if row.off_road_idx is not None],
    }
    counts = {kind: np.histogram(values, edges)[0].astype(float) for kind, values in steps.items()}
    return {kind: column.tolist() for kind, column in counts.items()}


def collect_notes(pictures: Mapping[str, Sequence[Picture]]) -> List[str]:
    """What could not be drawn, with scene and reason."""
    return [
        f"no picture of {agent} in scene {picture.row.token}: {picture.problem}"
        for agent, own in pictures.items()
        for picture in own
        if picture.problem
    ]


def _cards(contents: Sequence[str]) -> str:
    cards = "".join(f'<figure class="card">{content}</figure>' for content in contents)
    return f'<div class="grid">{cards}</div>'
