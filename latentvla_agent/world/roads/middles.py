"""The middle of a road, drawn once for both directions.

SUMO gives each direction lines of its own, rounded to centimetres and cut at other places. Drawn apart, the two
directions leave gaps of millimetres between them, in which a corner of a car is off the road; real maps have none.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np
import shapely

from latentvla_agent.world.roads.areas import AreaConfig, draw_borders, thin_out
from latentvla_agent.world.roads.curves import Line, measure_arc
from latentvla_agent.world.roads.lanes import RoadLane

Stretch = Tuple[int, int]  # first and last vertex


def draw_edge_borders(edges: Mapping[str, Sequence[RoadLane]], config: AreaConfig) -> Dict[str, List[Line]]:
    """Thinned borders of each edge, the leftmost first; where two edges are the directions of one road, their leftmost
    ones have the same vertices as far as both go."""
    raw = {edge: draw_borders(lanes) for edge, lanes in edges.items()}
    borders = {edge: [thin_out(border, config) for border in own] for edge, own in raw.items()}
    names = list(raw)
    lines = [shapely.LineString(raw[edge][0]) for edge in names]
    tree = shapely.STRtree(lines)
    for number, edge in enumerate(names):
        near = tree.query(lines[number], predicate="dwithin", distance=config.middle_m)
        for other in (names[index] for index in near if index > number):
            shared = share_middle(raw[edge][0], raw[other][0], config)
            if shared is not None:
                borders[edge][0], borders[other][0] = shared
    return borders


def share_middle(line: Line, other: Line, config: AreaConfig) -> Optional[Tuple[Line, Line]]:
    """Both lines, thinned, with the vertices of `line` as far as `other` runs back along it; None where it doesn't."""
    back = other[::-1]
    stretch = find_common(line, back, config.middle_m)
    if stretch is None:
        return None
    first, last = stretch
    common, arc = line[first : last + 1], measure_arc(back)
    begin, end = shapely.line_locate_point(shapely.LineString(back), shapely.points(common[[0, -1]]))
    before, after = back[arc < begin - config.middle_m], back[arc > end + config.middle_m]
    middle = thin_out(common, config)
    own = _join(line[: first + 1], middle, line[last:], config)
    others = _join(np.vstack([before, common[:1]]), middle, np.vstack([common[-1:], after]), config)
    return own, others[::-1]


def find_common(line: Line, back: Line, tolerance: float) -> Optional[Stretch]:
    """Where `line` runs along `back` in its direction; None where that is less than half of the shorter one."""
    course = shapely.LineString(back)
    near = np.flatnonzero(shapely.distance(shapely.points(line), course) <= tolerance)
    if len(near) < max(2, min(len(line), len(back)) // 2):
        return None
    first, last = int(near[0]), int(near[-1])
    begin, end = shapely.line_locate_point(course, shapely.points(line[[first, last]]))
    return (first, last) if begin < end else None


def _join(before: Line, middle: Line, after: Line, config: AreaConfig) -> Line:
    """One line of three parts that meet; the ends are thinned each for itself: the middle keeps its vertices."""
    head, tail = (thin_out(part, config) if len(part) > 1 else part for part in (before, after))
    return np.vstack([head[:-1], middle, tail[1:]])
