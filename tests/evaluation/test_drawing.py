"""Pictures: right places, everything that belongs in them, small, well-formed."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import List, Optional
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely

from latentvla_agent.evaluation.drawing import MAX_BYTES, DrawnPlan, Moment, draw_scene
from latentvla_agent.evaluation.drawing_canvas import (
    Window,
    fit_size,
    format_number,
    place_local,
    write_line,
    write_polygons,
)
from latentvla_agent.scoring.areas import AreaKind
from latentvla_agent.scoring.kernels import Areas
from latentvla_agent.scoring.observation import ObjectType
from tests.scoring.scenes import Thing, drive_straight, make_areas, make_cache


def read_points(data: str) -> List[List[float]]:
    """Absolute points of path data `Mx,yl…` of one line."""
    first, _, steps = data.replace("Z", "").replace("h0", "").partition("l")
    points = [[float(value) for value in first[1:].split(",")]]
    numbers = [float(value) for value in re.findall(r"-?\d*\.?\d+", steps)]
    for dx, dy in zip(numbers[::2], numbers[1::2]):
        points.append([round(points[-1][0] + dx, 1), round(points[-1][1] + dy, 1)])
    return points


def find_path(svg: str, style: str) -> Optional[str]:
    """Path data of the element of a class."""
    found = [e.get("d") for e in ElementTree.fromstring(svg).iter("path") if e.get("class") == style]
    return found[0] if found else None


def make_plan(speed: float, moment: Optional[Moment] = None) -> DrawnPlan:
    """Straight ahead."""
    poses = np.zeros((8, 3))
    poses[:, 0] = speed * 0.5 * np.arange(1, 9)
    return DrawnPlan(poses, drive_straight(speed), poses, moment)


def test_ten_metres_ahead_are_ten_metres_up_whatever_the_heading() -> None:
    origin = np.array([664000.0, 3998000.0, 2.1])
    window = Window(origin)
    ahead = origin[:2] + 10.0 * np.array([np.cos(2.1), np.sin(2.1)])
    left = origin[:2] + 10.0 * np.array([-np.sin(2.1), np.cos(2.1)])
    np.testing.assert_allclose(window.place(ahead), [0.0, -10.0], atol=1e-9)
    np.testing.assert_allclose(window.place(left), [-10.0, 0.0], atol=1e-9)
    np.testing.assert_allclose(place_local(np.array([[10.0, 3.0, 0.0]])), [[-3.0, -10.0]])


def test_planned_path_is_drawn_where_it_leads() -> None:
    svg = draw_scene(make_cache(), make_plan(5.0), "a plan")
    plan, simulated = find_path(svg, "plan"), find_path(svg, "simulated")
    assert plan and read_points(plan) == [[0.0, 0.0], [0.0, -20.0]]
    assert simulated and read_points(simulated) == [[0.0, 0.0], [0.0, -20.0]]
    dots = find_path(svg, "poses")
    assert dots and [read_points(dot) for dot in dots.split("h0")[:-1]][3] == [[0.0, -10.0]]


def test_picture_holds_everything() -> None:
    things = (
        Thing(20.0, 0.0),
        Thing(15.0, 8.0, speed=1.0, type=ObjectType.PEDESTRIAN),
        Thing(15.0, -8.0, type=ObjectType.BICYCLE),
        Thing(8.0, -5.0, type=ObjectType.TRAFFIC_CONE),
        Thing(500.0, 0.0),
    )
    svg = draw_scene(make_cache(*things), make_plan(5.0, Moment("collision", 29)), "a plan")
    root = ElementTree.fromstring(svg)
    styles = {element.get("class") for element in root.iter("path")}
    assert styles >= {"road", "lane", "route", "center", "vehicle", "pedestrian", "bicycle", "object"}
    assert styles >= {"future pedestrian", "ego", "plan", "poses", "simulated", "human", "reference"}
    assert styles >= {"moment", "others", "scale"}
    assert [element.text for element in root.iter("text")] == ["collision 2.9 s", "10 m"]
    vehicles = find_path(svg, "vehicle")
    assert vehicles and vehicles.count("M") == 1  # the far one is left out


def test_box_of_the_moment_is_the_ego_of_that_step() -> None:
    svg = draw_scene(make_cache(), make_plan(5.0, Moment("TTC", 20)), "a plan")
    moment = find_path(svg, "moment")
    assert moment
    x, y = np.array(read_points(moment)).T
    assert (x.min(), x.max()) == pytest.approx((-1.1, 1.1), abs=0.11)
    assert (y.min(), y.max()) == pytest.approx((-10.0 - 4.049, -10.0 + 1.127), abs=0.11)


def test_no_infraction_no_mark() -> None:
    svg = draw_scene(make_cache(), make_plan(5.0), "a plan")
    assert find_path(svg, "moment") is None and find_path(svg, "others") is None


def test_title_is_escaped() -> None:
    root = ElementTree.fromstring(draw_scene(make_cache(), make_plan(5.0), '"<script>&'))
    assert root.get("aria-label") == '"<script>&'


def test_window_grows_with_the_plan_and_stops() -> None:
    assert fit_size([np.zeros((1, 2))]) == 40.0
    assert fit_size([np.array([[0.0, -45.0]])]) == 80.0
    assert fit_size([np.array([[0.0, -4500.0]])]) == 100.0
    far = draw_scene(make_cache(), make_plan(1e7), "out of sight")
    assert len(far.encode()) <= MAX_BYTES
    ElementTree.fromstring(far)


def test_standing_plan_is_drawn() -> None:
    svg = draw_scene(make_cache(), make_plan(0.0), "stands")
    assert find_path(svg, "ego") and find_path(svg, "poses")


def crowded_areas() -> Areas:
    """Many winding lanes with holes: far more than fits."""
    angles = np.linspace(0.0, 2.0 * np.pi, 400)
    areas = []
    for i in range(60):
        radius = 8.0 + np.sin(angles * (7 + i % 5)) * 2.0
        center = np.array([-20.0 + 10.0 * (i % 8), -30.0 + 9.0 * (i // 8)])
        ring = center + radius[:, None] * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        polygon = shapely.Polygon(ring, [center + 0.2 * (ring - center)])
        areas.append((str(i), list(AreaKind)[i % len(AreaKind)], polygon))
    return make_areas(*areas)


def test_size_is_limited_in_crowded_places() -> None:
    things = [Thing(-20.0 + i % 20 * 3.0, -30.0 + i // 20 * 3.0, speed=2.0) for i in range(300)]
    crowded = replace(make_cache(*things), areas=crowded_areas())
    svg = draw_scene(crowded, make_plan(12.0, Moment("collision", 30)), "crowd")
    assert len(svg.encode()) <= MAX_BYTES
    ElementTree.fromstring(svg)


def test_polygons_keep_their_holes() -> None:
    ring = shapely.box(0, 0, 10, 10).difference(shapely.box(2, 2, 4, 4))
    assert write_polygons([ring]).count("Z") == 2
    assert write_polygons([shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1)])]).count("Z") == 2
    assert write_polygons([shapely.Point(0, 0), shapely.Polygon()]) == ""


def test_numbers_are_short_and_do_not_drift() -> None:
    assert [format_number(value) for value in (-0.01, 12.34, 30.0)] == ["0", "12.3", "30"]
    points = np.stack([np.arange(200) * 0.137, -np.arange(200) * 0.0731], axis=-1)
    read = read_points(write_line(points))
    assert read[-1] == pytest.approx(points[-1], abs=0.0501)
    assert write_line(np.array([[1.26, -0.5], [1.26, -0.5], [0.0, 3.0]])) == "M1.3,-.5l-1.3 3.5"
