"""Cost against batch size and against number of objects, as one SVG file with logarithmic axes."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from math import ceil, floor, log10
from typing import Any, Dict, List, Sequence, Tuple

Point = Tuple[float, float]

PANEL_WIDTH, PANEL_HEIGHT = 420, 300
LEFT, TOP, BOTTOM, GAP, KEY_WIDTH = 56, 40, 40, 40, 160
COLORS = {"pdms-v1.1": "#0b6e99", "epdms-v2.2": "#c4501b"}
STYLE = (
    "text{font:12px sans-serif;fill:#333}.title{font-weight:bold;font-size:13px}.grid{stroke:#ddd}"
    ".axis{stroke:#888}.line{fill:none;stroke-width:2}.devkit{stroke-dasharray:5 4}"
)


@dataclass(frozen=True)
class Series:
    """One line of a panel."""

    name: str
    color: str
    points: Sequence[Point]
    is_devkit: bool = False


@dataclass(frozen=True)
class Panel:
    """One pair of axes; the series are milliseconds over `x_label`."""

    title: str
    x_label: str
    series: List[Series] = field(default_factory=list)


def plot_benchmark(result: Dict[str, Any]) -> str:
    """The SVG of what `bench.json` holds."""
    scores = [row for row in result["rows"] if row["work"] == "score"]
    panels = [Panel("Scoring one scene", "proposals"), Panel("Scoring 64 proposals", "objects in the scene")]
    for metric, color in COLORS.items():
        rows = [row for row in scores if row["metric"] == metric]
        panels[0].series.append(Series(metric, color, [(row["n"], row["ms_median"]) for row in rows]))
        official = [(row["n"], row["devkit_ms_median"]) for row in rows if "devkit_ms_median" in row]
        panels[0].series.append(Series(f"{metric}, devkit", color, official, is_devkit=True))
        rows = [row for row in result["objects"] if row["metric"] == metric]
        panels[1].series.append(Series(metric, color, [(row["objects"], row["ms_median"]) for row in rows]))
    width = len(panels) * (LEFT + PANEL_WIDTH + GAP)
    height = TOP + PANEL_HEIGHT + BOTTOM
    parts = [_draw_panel(panel, i * (LEFT + PANEL_WIDTH + GAP)) for i, panel in enumerate(panels)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">'
        f'<style>{STYLE}</style><rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n'
    )


def _draw_panel(panel: Panel, offset: float) -> str:
    points = [point for series in panel.series for point in series.points]
    parts = [f'<text class="title" x="{LEFT}" y="20">{escape(panel.title)}: milliseconds</text>']
    if points:
        x_range, y_range = (_decades([point[axis] for point in points]) for axis in (0, 1))
        parts += _draw_axes(x_range, y_range)
        drawn = [series for series in panel.series if series.points]
        for row, series in enumerate(drawn):
            parts += [_draw_series(series, x_range, y_range), _draw_key(series, row)]
    middle = LEFT + PANEL_WIDTH / 2
    parts.append(
        f'<text x="{middle}" y="{TOP + PANEL_HEIGHT + 34}" text-anchor="middle">{escape(panel.x_label)}</text>'
    )
    return f'<g transform="translate({offset},0)">{"".join(parts)}</g>'


def _decades(values: Sequence[float]) -> Tuple[int, int]:
    """Powers of ten around positive values; at least two decades, the lower one for the key."""
    low, high = floor(log10(min(values))), ceil(log10(max(values)))
    return min(low, high - 2), high


def _place_x(value: float, decades: Tuple[int, int]) -> float:
    return LEFT + PANEL_WIDTH * (log10(value) - decades[0]) / (decades[1] - decades[0])


def _place_y(value: float, decades: Tuple[int, int]) -> float:
    return TOP + PANEL_HEIGHT * (1.0 - (log10(value) - decades[0]) / (decades[1] - decades[0]))


def _draw_axes(x_range: Tuple[int, int], y_range: Tuple[int, int]) -> List[str]:
    right, bottom = LEFT + PANEL_WIDTH, TOP + PANEL_HEIGHT
    parts = []
    for power in range(x_range[0], x_range[1] + 1):
        x = _place_x(10.0**power, x_range)
        parts.append(f'<path class="grid" d="M{x:.1f},{TOP}V{bottom}"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{10.0**power:g}</text>')
    for power in range(y_range[0], y_range[1] + 1):
        y = _place_y(10.0**power, y_range)
        parts.append(f'<path class="grid" d="M{LEFT},{y:.1f}H{right}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{10.0**power:g}</text>')
    return parts + [f'<path class="axis" fill="none" d="M{LEFT},{TOP}V{bottom}H{right}"/>']


def _draw_series(series: Series, x_range: Tuple[int, int], y_range: Tuple[int, int]) -> str:
    places = [(_place_x(x, x_range), _place_y(y, y_range)) for x, y in series.points]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    dots = "".join(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{series.color}"/>' for x, y in places)
    return f'<polyline class="{_style(series)}" stroke="{series.color}" points="{path}"/>{dots}'


def _draw_key(series: Series, row: int) -> str:
    x, y = LEFT + PANEL_WIDTH - KEY_WIDTH, TOP + PANEL_HEIGHT - 14 - 18 * row
    line = f'<path class="{_style(series)}" stroke="{series.color}" d="M{x},{y}h28"/>'
    return f'{line}<text x="{x + 34}" y="{y + 4}">{escape(series.name)}</text>'


def _style(series: Series) -> str:
    return "line devkit" if series.is_devkit else "line"
