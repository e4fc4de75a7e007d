"""Tables and cards of a page. Every cell is escaped."""

from __future__ import annotations

from html import escape
from typing import List, Mapping, Sequence

from latentvla_agent.evaluation.report_charts import pick_color

Rows = Sequence[Sequence[str]]  # a header, then the rows; the first cell of each is its name

LONG_NAME = 26  # characters that fit beside other columns on a phone


def write_rows(rows: Rows, titles: Mapping[str, str] = {}, dots: bool = False) -> str:
    """A table. `titles`: what abbreviations of the header stand for; `dots`: one in the colour of each agent."""
    heads = (
        f'<abbr title="{escape(titles[cell])}">{cell}</abbr>' if cell in titles else escape(cell) for cell in rows[0]
    )
    lines: List[str] = []
    for number, row in enumerate(rows[1:]):
        dot = f'<span class="dot" style="background:{pick_color(number)}"></span>' if dots else ""
        name = f"<td{' class=long' if len(row[0]) > LONG_NAME else ''}>{dot}{escape(row[0])}</td>"
        lines.append(f"<tr>{name}{''.join(f'<td>{escape(cell)}</td>' for cell in row[1:])}</tr>")
    head = "".join(f'<th scope="col">{cell}</th>' for cell in heads)
    body = "\n".join(lines)
    return f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def write_cards(contents: Sequence[str]) -> str:
    """HTML of several figures, beside each other where there is room."""
    return f'<div class="grid">{"".join(f"<figure class=card>{content}</figure>" for content in contents)}</div>'
