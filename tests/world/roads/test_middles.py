"""The two directions of a road have one middle: no gap lies between them."""

from __future__ import annotations

from typing import List

import numpy as np
import pytest
import shapely

from latentvla_agent.world.roads.areas import AreaConfig, enclose
from latentvla_agent.world.roads.curves import Line, cut, measure_arc, offset_line
from latentvla_agent.world.roads.lanes import RoadLane
from latentvla_agent.world.roads.middles import draw_edge_borders, find_common, share_middle
from tests.world.roads.sample_roads import TOWNS, sample_map

CONFIG = AreaConfig()
WIDTH = 3.2


def bend(step: float, start: float = 0.0, stop: float = 60.0) -> Line:
    """A part of a curved middle with vertices `step` apart."""
    arc = np.linspace(start, stop, int(round((stop - start) / step)) + 1)
    return np.column_stack([40.0 * np.sin(arc / 40.0), 40.0 - 40.0 * np.cos(arc / 40.0)])


def as_sumo_writes(line: Line, left: float) -> Line:
    """A lane beside the middle, on whole centimetres."""
    return np.round(offset_line(line, left), 2)


def lane(edge: str, line: Line) -> List[RoadLane]:
    return [RoadLane(f"{edge}_0", edge, 0, line, WIDTH, 13.9)]


@pytest.mark.parametrize("start, stop", [(0.0, 60.0), (1.5, 57.0), (-4.5, 60.0), (3.0, 66.0)])
def test_both_directions_have_the_same_vertices(start: float, stop: float) -> None:
    forth = as_sumo_writes(bend(1.5), -WIDTH / 2)
    back = as_sumo_writes(bend(1.5, start, stop), WIDTH / 2)[::-1]
    borders = draw_edge_borders({"a": lane("a", forth), "b": lane("b", back)}, CONFIG)
    middle = {tuple(point) for point in borders["a"][0]}
    others = {tuple(point) for point in borders["b"][0]}
    assert len(middle & others) >= 5
    areas = [enclose(own[0], own[1]) for own in borders.values()]
    road = shapely.union_all(areas)
    assert road.geom_type == "Polygon" and not road.interiors
    assert measure_arc(borders["b"][0])[-1] == pytest.approx(stop - start, abs=0.1), "its own ends stay"
    for own, drawn in zip((forth, back), (borders["a"][0], borders["b"][0])):
        far = shapely.hausdorff_distance(shapely.LineString(offset_line(own, WIDTH / 2)), shapely.LineString(drawn))
        assert far < 0.05, "and nothing is moved by more than the lines were apart"


def test_lanes_of_one_direction_share_no_middle() -> None:
    line = bend(1.5)
    assert share_middle(line, line, CONFIG) is None


def test_roads_that_only_meet_or_cross_share_no_middle() -> None:
    line = bend(1.5)
    onward = bend(1.5, 60.0, 120.0)
    across = np.column_stack([np.full(41, line[20, 0]), np.linspace(-30.0, 30.0, 41)])
    assert find_common(line, onward, CONFIG.middle_m) is None
    assert find_common(line, across, CONFIG.middle_m) is None
    beside = offset_line(line, 2.0 * CONFIG.middle_m)
    assert find_common(line, beside, CONFIG.middle_m) is None
    half = cut(line, 0.0, 30.0)
    assert find_common(line, half, CONFIG.middle_m) == (0, 20)


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_roads_and_junctions_of_a_town_have_no_slits(kind: str, seed: int) -> None:
    layers, _ = sample_map(kind, seed)
    road = shapely.union_all(
        np.concatenate([layers[name].geometry for name in ("lane_groups_polygons", "intersections")])
    )
    closed = road.buffer(0.05, join_style="mitre").buffer(-0.05, join_style="mitre")
    slits = closed.difference(road)
    assert slits.area < 1e-6 * road.area, f"{slits.area:.4f} m2, {0.5 * slits.length:.0f} m long"
