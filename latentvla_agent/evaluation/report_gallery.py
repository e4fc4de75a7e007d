"""The pictures of a report with their captions, and the key to their lines and colours."""

from __future__ import annotations

from html import escape
from typing import Mapping, Optional, Sequence, Tuple

from latentvla_agent.evaluation.report_charts import format_percent, pick_color
from latentvla_agent.evaluation.report_pictures import Picture
from latentvla_agent.evaluation.results import SHORT_NAMES
from latentvla_agent.scoring.config import STEP_S

# Path data and class of a sample, and what it stands for.
LEGEND = (
    ("M2,9 32,9", "simulated", "simulated path"),
    ("M2,9 32,9", "plan", "planned trajectory, a dot every 0.5 s"),
    ("M2,9 32,9", "human", "human"),
    ("M2,9 32,9", "reference", "reference plan (PDM-Closed)"),
    ("M8,3h18v12h-18z", "ego", "ego now"),
    ("M8,3h18v12h-18z", "moment", "ego at its first infraction"),
    ("M8,3h18v12h-18z", "others", "others at that moment"),
    ("M8,3h18v12h-18z", "vehicle", "vehicle"),
    ("M8,3h18v12h-18z", "pedestrian", "pedestrian"),
    ("M8,3h18v12h-18z", "bicycle", "bicycle"),
    ("M8,3h18v12h-18z", "object", "other object"),
    ("M2,9 32,9", "future vehicle", "path of a road user, 4 s"),
    ("M0,0h34v18h-34z", "road", "lane group"),
    ("M0,0h34v18h-34z", "lane", "lane"),
    ("M0,0h34v18h-34z", "connector", "lane connector"),
    ("M0,0h34v18h-34z", "crossing", "intersection"),
    ("M0,0h34v18h-34z", "carpark", "car park"),
    ("M0,0h34v18h-34z", "route", "lanes of the route"),
    ("M2,9 32,9", "center", "centreline"),
)


def write_pictures(pictures: Mapping[str, Sequence[Picture]]) -> str:
    """The worst scenes of every agent from above, and what the lines mean."""
    if not any(picture.svg for own in pictures.values() for picture in own):
        return ""
    parts = [
        "<p>The ego drives upwards. Paths are those of its rear axle; failed scenes have no picture.</p>",
        write_legend(),
    ]
    for index, (agent, own) in enumerate(pictures.items()):
        figures = "".join(_write_figure(picture) for picture in own if picture.svg)
        if figures:
            dot = f'<span class="dot" style="background:{pick_color(index)}"></span>'
            parts.append(f"<h3>{dot}{escape(agent)}</h3>")
            parts.append(f'<div class="grid" style="--agent:{pick_color(index)}">{figures}</div>')
    return "\n".join(parts)


def write_legend(styles: Optional[Sequence[str]] = None) -> str:
    """What lines and colours mean; of all `LEGEND`, or of these classes."""
    key = "".join(
        f'<li><svg class="bev key" viewBox="0 0 34 18" style="--agent:var(--agent-0)" aria-hidden="true">'
        f'<path class="{style}" d="{data}"/></svg>{text}</li>'
        for data, style, text in LEGEND
        if styles is None or style in styles
    )
    return f'<ul class="legend">{key}</ul>'


def _write_figure(picture: Picture) -> str:
    row = picture.row
    lost = [
        f"{SHORT_NAMES[name]} {format_percent(value)}"
        for name, value in row.sub_scores.items()
        if value is not None and value < 1.0
    ]
    steps: Tuple[Tuple[str, Optional[int]], ...] = (
        ("collision", row.collision_idx),
        ("TTC", row.ttc_idx),
        ("off road", row.off_road_idx),
    )
    infractions = [f"{kind} at {step * STEP_S:.1f} s" for kind, step in steps if step is not None]
    details = " · ".join([", ".join(part) for part in (lost, infractions) if part])
    return (
        f'<figure class="card">{picture.svg}<figcaption><strong>{format_percent(row.score)}</strong> '
        f"<code>{escape(row.token)}</code> {escape(row.log)}<br>{details}</figcaption></figure>"
    )
