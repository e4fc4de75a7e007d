"""Plans of several agents in one picture, each in its colour."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import numpy as np

from latentvla_agent.evaluation.drawing import MAX_BYTES
from latentvla_agent.evaluation.drawing_plans import AgentPlans, draw_plans
from tests.evaluation.test_drawing import find_path, read_points
from tests.scoring.scenes import Thing, make_cache


def make_poses(speed: float, left: float = 0.0, interval: float = 0.5) -> Any:
    """Ahead, and to the left, for 4 s."""
    times = interval * np.arange(1, round(4.0 / interval) + 1)
    return np.stack([speed * times, left * times / 4.0, np.zeros(len(times))], axis=1)


def test_every_seed_of_every_agent_is_a_line_with_dots() -> None:
    agents = [
        AgentPlans("var(--agent-0)", [make_poses(5.0), make_poses(5.0, 4.0)]),
        AgentPlans("var(--agent-3)", [make_poses(2.0, interval=0.1)], 0.1),
    ]
    svg = draw_plans(make_cache(Thing(25.0, 0.0)), agents, make_poses(4.0), "a & b")
    groups = ElementTree.fromstring(svg).findall("g")
    assert [group.get("style") for group in groups] == ["--agent:var(--agent-0)", "--agent:var(--agent-3)"]
    lines, dots = zip(*[[path.get("d") or "" for path in group] for group in groups])
    assert [line.count("M") for line in lines] == [2, 1] and [dot.count("h0") for dot in dots] == [16, 8]
    assert read_points(lines[1]) == [[0.0, 0.0], [0.0, -8.0]]
    human = find_path(svg, "human")
    assert human is not None and read_points(human)[-1] == [0.0, -16.0]
    assert svg.startswith('<svg class="bev" role="img" aria-label="a &amp; b"') and len(svg.encode()) <= MAX_BYTES
    assert find_path(svg, "vehicle") and find_path(svg, "road") and find_path(svg, "ego")


def test_the_window_holds_the_longest_plan() -> None:
    short, long = (
        draw_plans(make_cache(), [AgentPlans("red", [make_poses(speed)])], None, "a") for speed in (2.0, 12.0)
    )
    sizes = [float(ElementTree.fromstring(svg).attrib["viewBox"].split()[2]) for svg in (short, long)]
    assert sizes == [40.0, 80.0] and find_path(long, "human") is None
