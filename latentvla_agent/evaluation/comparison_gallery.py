"""The scenes in which agents differ most, as part of a page."""

from __future__ import annotations

from html import escape
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from latentvla_agent.evaluation.comparison_examples import MAX_PAIRS, Example
from latentvla_agent.evaluation.comparison_pictures import ExamplePicture, ExamplePictures, find_key
from latentvla_agent.evaluation.report_charts import format_percent, pick_color
from latentvla_agent.evaluation.report_gallery import write_legend
from latentvla_agent.evaluation.report_sections import write_notes
from latentvla_agent.evaluation.results import SHORT_NAMES

INTRO = (
    "Per pair, the scenes with the largest difference of scores in both directions. The ego drives upwards; each "
    "agent's plan has its colour, with a dot every 0.5 s, and one line per training seed. Scores are means over seeds."
)
KEY = ("human", "ego", "vehicle", "pedestrian", "bicycle", "object", "future vehicle", "route", "center")
WHOLE = 1.0 - 1e-9  # a sub-score from which nothing was lost


def write_examples(comparison: Mapping[str, Any], pictures: ExamplePictures) -> str:
    """A heading per pair, a card per scene; empty where no agents differ."""
    pairs: Dict[Tuple[str, str], List[Example]] = {}
    for example in comparison["largest_differences"]:
        pairs.setdefault((example["a"], example["b"]), []).append(example)
    if not pairs:
        return ""
    colors = {agent["agent"]: pick_color(number) for number, agent in enumerate(comparison["agents"])}
    parts = [f"<p>{INTRO}</p>", write_legend(KEY) if pictures.pictures else "", write_notes(pictures.notes)]
    if len(comparison["differences"]) > MAX_PAIRS:
        parts.append(f"<p>Only the first {MAX_PAIRS} of {len(comparison['differences'])} pairs are shown.</p>")
    for (a, b), examples in pairs.items():
        for name, other, sign in ((a, b, 1.0), (b, a, -1.0)):
            own = [example for example in examples if sign * example["difference"] > 0.0]
            if own:
                cards = "".join(_write_card(one, pictures.pictures.get(find_key(one)), colors) for one in own)
                parts.append(f"<h3>{escape(name)} ahead of {escape(other)}</h3>")
                parts.append(f'<div class="grid">{cards}</div>')
    return "\n".join(part for part in parts if part)


def _write_card(example: Example, picture: Optional[ExamplePicture], colors: Mapping[str, str]) -> str:
    picture = picture or ExamplePicture()
    token = escape(example["token"])
    photo = f'<img src="{picture.photo}" alt="front camera in scene {token}">' if picture.photo else ""
    lines = "".join(_write_side(example, side, colors) for side in ("a", "b"))
    return (
        f'<figure class="card">{picture.svg}{photo}<figcaption>{lines}'
        f'<code>{token}</code> {escape(example["log"])}</figcaption></figure>'
    )


def _write_side(example: Example, side: str, colors: Mapping[str, str]) -> str:
    """The agent's score, and the sub-scores in which one of the two lost something."""
    name = example[side]
    dot = f'<span class="dot" style="background:{colors[name]}"></span>'
    sub_scores: Mapping[str, Any] = example[f"sub_scores_{side}"]
    shown = [
        f"{SHORT_NAMES[column]} {format_percent(sub_scores.get(column))}"
        for column in _find_lost(example)
        if sub_scores
    ]
    details = " · " + ", ".join(shown) if shown else "" if sub_scores else " · failed"
    return f"{dot}{escape(name)} <strong>{format_percent(example[f'score_{side}'])}</strong>{details}<br>"


def _find_lost(example: Example) -> Sequence[str]:
    sides = (example["sub_scores_a"], example["sub_scores_b"])
    names = dict.fromkeys(name for side in sides for name in side)
    return [name for name in names if any(side.get(name) is not None and side[name] < WHOLE for side in sides)]
