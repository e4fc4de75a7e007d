"""A bird's-eye picture of what several agents plan in one scene, each in a colour of its own."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import List, Optional, Sequence

import numpy as np

from latentvla_agent.evaluation.drawing import DOT_S, FloatArray, write_picture
from latentvla_agent.evaluation.drawing_canvas import (
    Window,
    fit_size,
    place_local,
    write_clipped_line,
    write_line,
    write_ring,
)
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.metric_cache import MetricCache
from latentvla_agent.scoring.state import ego_corners


@dataclass(frozen=True)
class AgentPlans:
    """Plans (T, 3) of an agent in the ego frame, one per training seed, with a pose every `interval` seconds; `color`
    is a CSS value."""

    color: str
    plans: Sequence[FloatArray]
    interval: float = 0.5


def draw_plans(cache: MetricCache, agents: Sequence[AgentPlans], human: Optional[FloatArray], title: str) -> str:
    """One `<svg>` of the scene with the plans of all `agents` and the human's path (H, 3)."""
    paths = [place_local(plan) for agent in agents for plan in agent.plans]
    size = fit_size([*paths, place_local(human)] if human is not None else paths)
    return write_picture(
        cache, title, Window(cache.start[:3], size), lambda _, window: _draw(cache, agents, human, window)
    )


def _draw(cache: MetricCache, agents: Sequence[AgentPlans], human: Optional[FloatArray], window: Window) -> List[str]:
    ego = write_ring(window.place(ego_corners(cache.start[:3], DEFAULT_CONFIG.vehicle)))
    elements = [f'<path class="ego" d="{ego}"/>']
    if human is not None:
        elements.append(f'<path class="human" d="{_write_path(human, window)}"/>')
    return elements + [_draw_agent(agent, window) for agent in agents]


def _draw_agent(agent: AgentPlans, window: Window) -> str:
    """A line per plan, and a dot every half second."""
    lines = "".join(_write_path(plan, window) for plan in agent.plans)
    stride = max(1, int(round(DOT_S / agent.interval)))
    points = [point for plan in agent.plans for point in place_local(plan)[stride - 1 :: stride] if window.sees(point)]
    dots = "".join(f"{write_line(point[None])}h0" for point in points)
    shapes = f'<path class="side" d="{lines}"/><path class="side-poses" d="{dots}"/>'
    return f'<g style="--agent:{escape(agent.color)}">{shapes}</g>'


def _write_path(poses: FloatArray, window: Window) -> str:
    return write_clipped_line(np.vstack([np.zeros((1, 2)), place_local(poses)]), window)
