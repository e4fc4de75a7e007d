"""Tables of a page: escaped, with their abbreviations explained."""

from __future__ import annotations

from latentvla_agent.evaluation.html_tables import write_cards, write_rows
from tests.evaluation.test_report import HOSTILE, Reader


def test_cells_are_escaped_and_abbreviations_explained() -> None:
    html = write_rows([["agent", "NC"], [HOSTILE, HOSTILE]], {"NC": "no collision"}, dots=True)
    reader = Reader(html)
    assert reader.text.count(HOSTILE) == 2 and not {"script", "img"} & set(reader.tags)
    assert '<abbr title="no collision">NC</abbr>' in html and html.count('class="dot"') == 1
    assert "<td class=long>" in html and "class=long" not in write_rows([["agent"], ["short"]])


def test_cards_are_figures() -> None:
    assert Reader(write_cards(["<h3>a</h3>", ""])).tags == ["div", "figure", "h3", "figure"]
