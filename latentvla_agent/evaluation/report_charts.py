"""Charts of a report as inline SVG: pure functions of numbers. Colours come from the style sheet of the page.

Agents are told apart by a colour of their own everywhere, and always by their name as well. Lengths are pixels of a
chart 320 pixels wide.
"""

from __future__ import annotations

from html import escape
from typing import List, Mapping, Optional, Sequence, Tuple

import numpy as np

WIDTH = 320
ROW = 22  # height of a row of bars
LABEL = 118  # width of the names
NAME_LENGTH = 17
PLOT_HEIGHT = 110
PLOT_LEFT, PLOT_WIDTH = 40, 270  # of charts with counts
NUM_COLORS = 10
DIFFERENCE_AXES = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)  # points to either side of 0

Bar = Tuple[str, Optional[float]]  # agent and value in 0…1, None where there is no value


def pick_color(index: int) -> str:
    """CSS value of the colour of agent number `index`."""
    return f"var(--agent-{index % NUM_COLORS})"


def shorten(name: str, length: int = NAME_LENGTH) -> str:
    """A name that fits, escaped."""
    return escape(name if len(name) <= length else f"{name[: length - 1]}…")


def draw_bars(title: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars, one per agent, values times 100."""
    rows: List[str] = []
    for i, (name, value) in enumerate(bars):
        y = i * ROW
        rows.append(f'<text x="0" y="{y + 15}">{shorten(name)}<title>{escape(name)}</title></text>')
        rows.append(_box("track", LABEL, y + 4, WIDTH - LABEL - 48, ROW - 8))
        if value is not None:
            width = (WIDTH - LABEL - 48) * min(max(value, 0.0), 1.0)
            rows.append(_box("bar", LABEL, y + 4, width, ROW - 8, pick_color(i)))
        rows.append(f'<text class="number" x="{WIDTH}" y="{y + 15}">{format_percent(value)}</text>')
    return _chart(title, len(bars) * ROW, rows)


def draw_intervals(title: str, rows: Sequence[Tuple[str, Optional[float], Optional[float], Optional[float]]]) -> str:
    """Score and interval (name, score, low, high) of every agent on a common axis of 0 to 100."""
    left, span = LABEL, WIDTH - LABEL - 12
    bottom = len(rows) * ROW + 4
    parts = _draw_axis(left, span, bottom, [0, 25, 50, 75, 100], 100.0)
    for i, (name, score, low, high) in enumerate(rows):
        y = i * ROW + ROW / 2
        parts.append(f'<text x="0" y="{y + 4:g}">{shorten(name)}<title>{escape(name)}</title></text>')
        if low is not None and high is not None:
            x, end = left + span * low, left + span * high
            parts.append(f'<path class="whisker" style="stroke:{pick_color(i)}" d="M{x:.1f},{y:g}H{end:.1f}"/>')
        if score is not None:
            parts.append(f'<circle cx="{left + span * score:.1f}" cy="{y:g}" r="5" style="fill:{pick_color(i)}"/>')
    return _chart(title, bottom + 18, parts)


def draw_differences(title: str, rows: Sequence[Tuple[str, float, Optional[float], Optional[float]]]) -> str:
    """Differences (name, mean, low, high) on a common axis around 0, in points; a name has a line of its own.

    What can't be told from 0 is grey.
    """
    values = [abs(value) for _, *numbers in rows for value in numbers if value is not None]
    reach = next((step for step in DIFFERENCE_AXES if step >= 100.0 * max(values)), DIFFERENCE_AXES[-1])
    center, unit = WIDTH / 2.0, 100.0 * (WIDTH / 2.0 - 14) / reach
    bottom = len(rows) * 2 * ROW
    parts: List[str] = []
    for tick in (-reach, -reach / 2.0, 0.0, reach / 2.0, reach):
        x = center + unit * tick / 100.0
        sign = "+" if tick > 0.0 else "\N{MINUS SIGN}" if tick < 0.0 else ""
        parts.append(
            f'<text class="tick" x="{x:.1f}" y="{bottom + 12}" text-anchor="middle">{sign}{abs(tick):g}</text>'
        )
    for i, (name, mean, low, high) in enumerate(rows):
        y = i * 2 * ROW + 1.5 * ROW
        color = "var(--soft)"
        parts.append(f'<path class="gridline" d="M{center:g},{y - 10:g}v20"/>')
        parts.append(
            f'<text x="0" y="{y - 14:g}">{shorten(name, 2 * NAME_LENGTH + 12)}<title>{escape(name)}</title></text>'
        )
        if low is not None and high is not None:
            color = pick_color(0) if low > 0.0 or high < 0.0 else color
            x, end = center + unit * low, center + unit * high
            parts.append(f'<path class="whisker" style="stroke:{color}" d="M{x:.1f},{y:g}H{end:.1f}"/>')
        parts.append(f'<circle cx="{center + unit * mean:.1f}" cy="{y:g}" r="5" style="fill:{color}"/>')
    return _chart(title, bottom + 18, parts)


def draw_histogram(title: str, counts: Sequence[int], failed: int, top: float, index: int) -> str:
    """Scores 0 to 100 in equal bins; failed scenes stand on the first. `top` is the count at full height."""
    parts = _draw_grid(top) + _draw_axis(PLOT_LEFT, PLOT_WIDTH, PLOT_HEIGHT + 8, [0, 25, 50, 75, 100], 100.0)
    step = PLOT_WIDTH / len(counts)
    for i, count in enumerate(counts):
        parts.append(_column(PLOT_LEFT + i * step, step, 0, count, top, "bar", pick_color(index)))
    parts.append(_column(PLOT_LEFT, step, counts[0], failed, top, "failed"))
    return _chart(title, PLOT_HEIGHT + 26, parts)


def draw_timeline(title: str, counts: Mapping[str, Sequence[float]], seconds: float, top: float) -> str:
    """Counts per time bin, kinds of infraction side by side; the class of a column is its kind."""
    bins = len(next(iter(counts.values())))
    ticks = [int(second) for second in range(int(seconds) + 1)]
    parts = _draw_grid(top) + _draw_axis(PLOT_LEFT, PLOT_WIDTH, PLOT_HEIGHT + 8, ticks, seconds, " s")
    step = PLOT_WIDTH / bins
    width = (step - 4) / len(counts)
    for k, (kind, values) in enumerate(counts.items()):
        for i, count in enumerate(values):
            parts.append(_column(PLOT_LEFT + i * step + 2 + k * width, width, 0, count, top, kind))
    return _chart(title, PLOT_HEIGHT + 26, parts)


def round_up(value: float) -> float:
    """The top of a scale for counts: the next even number of two digits and zeros, so that its half is a count too."""
    unit = 2.0 * 10.0 ** max(0.0, np.floor(np.log10(max(value, 1.0))) - 1.0)
    return float(unit * np.ceil(max(value, 1.0) / unit))


def format_percent(value: Optional[float]) -> str:
    """A score times 100, or a dash."""
    return "–" if value is None else f"{100.0 * value:.1f}"


def format_count(value: float) -> str:
    """A count, with thousands apart."""
    return f"{value:,.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"


def _chart(title: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg class="chart" role="img" aria-label="{escape(title)}" viewBox="0 0 {WIDTH} {height:g}">'
        f'{"".join(parts)}</svg>'
    )


def _box(style: str, x: float, y: float, width: float, height: float, color: str = "") -> str:
    fill = f' style="fill:{color}"' if color else ""
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}"{fill}/>'


def _column(x: float, width: float, below: float, count: float, top: float, style: str, color: str = "") -> str:
    """A column of `count` that stands on `below`; at least one pixel, so that a single scene can be seen."""
    if not count:
        return ""
    unit = PLOT_HEIGHT / top if top else 0.0
    height = max(1.0, count * unit)
    return _box(style, x + 0.5, 4 + PLOT_HEIGHT - below * unit - height, width - 1, height, color)


def _draw_grid(top: float) -> List[str]:
    lines = []
    for share in (0.0, 0.5, 1.0):
        y = 4 + PLOT_HEIGHT * (1.0 - share)
        lines.append(f'<path class="gridline" d="M{PLOT_LEFT},{y:g}H{PLOT_LEFT + PLOT_WIDTH}"/>')
        lines.append(
            f'<text class="tick" x="{PLOT_LEFT - 4}" y="{y + 4:g}" text-anchor="end">{format_count(top * share)}</text>'
        )
    return lines


def _draw_axis(left: float, span: float, bottom: float, ticks: Sequence[int], last: float, unit: str = "") -> List[str]:
    return [
        f'<text class="tick" x="{left + span * tick / last:.1f}" y="{bottom + 12:g}" text-anchor="middle">'
        f"{tick}{unit if tick == ticks[-1] else ''}</text>"
        for tick in ticks
    ]
