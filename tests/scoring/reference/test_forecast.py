"""What PDM-Closed expects of the others: which objects, where they go, which are ignored."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest
import shapely

from latentvla_agent.data.maps import Lane
from latentvla_agent.data.scene import Frame
from latentvla_agent.scoring.config import DEFAULT_CONFIG
from latentvla_agent.scoring.observation import ObjectType
from latentvla_agent.scoring.reference.forecast import Forecast, forecast_objects
from tests.scoring.scenes import VEHICLE, Thing, make_frame

NUM_FRAMES = 26  # 5 s at 5 Hz, and the start


def make_connector(id_: str, *bounds: float) -> Lane:
    line = shapely.LineString([bounds[:2], bounds[2:]])
    return Lane(id_, "9", True, shapely.box(*bounds), lambda: line, None, ())


def forecast(frame: Frame, *connectors: Lane) -> Forecast:
    lanes: Dict[str, Any] = {lane.id: lane for lane in connectors}
    return forecast_objects(frame, lanes, DEFAULT_CONFIG.planner, DEFAULT_CONFIG.metrics, VEHICLE)


def crowd(kind: ObjectType, count: int, start: float = 10.0) -> List[Thing]:
    """Objects in a row, the nearest last."""
    return [Thing(start + 1.5 * (count - n), 20.0, type=kind, length=1.0, width=1.0) for n in range(count)]


def places(found: Forecast) -> List[float]:
    """Where the objects are along x at first, in their order."""
    values: List[float] = found.objects.centers[0, :, 0].tolist()
    return values


def test_agents_move_on_at_constant_velocity() -> None:
    found = forecast(make_frame(Thing(10.0, 3.0, speed=5.0), pose=(100.0, 200.0, np.pi / 2)))
    centers = found.objects.centers
    assert centers.shape == (NUM_FRAMES, 1, 2) and len(found.polygons_of(0)) == 1
    np.testing.assert_allclose(centers[:, 0, 0], 97.0, atol=1e-5)
    np.testing.assert_allclose(centers[:, 0, 1], 210.0 + 1.0 * np.arange(NUM_FRAMES), atol=1e-5)
    assert found.polygons_of(5)[0].centroid.y == pytest.approx(215.0, abs=1e-5)
    np.testing.assert_allclose(found.objects.corners[7, 0].mean(axis=0), [97.0, 217.0], atol=1e-5)
    assert found.objects.frame_of_step[[0, 1, 2, 3, 40, 49]].tolist() == [0, 0, 1, 1, 20, 24]


@pytest.mark.parametrize(("course", "sign"), [(0.0, 1.0), (1.5, 1.0), (1.64, -1.0), (np.pi, -1.0), (-2.0, -1.0)])
def test_a_vehicle_that_moves_backwards_goes_straight_back(course: float, sign: float) -> None:
    """The speed is that of the velocity, the direction that of the box or its opposite."""
    frame = make_frame(Thing(10.0, 3.0))
    frame.annotations.velocity_3d[0, :2] = 4.0 * np.cos(course), 4.0 * np.sin(course)
    found = forecast(frame)
    np.testing.assert_allclose(found.objects.centers[:, 0, 0], 10.0 + sign * 0.8 * np.arange(26), atol=1e-5)
    np.testing.assert_allclose(found.objects.centers[:, 0, 1], 3.0, atol=1e-5)
    assert found.rings.headings.tolist() == [0.0] and found.rings.speeds[0] == pytest.approx(4.0)
    np.testing.assert_allclose(found.objects.corners[0, 0], [[12, 4], [8, 4], [8, 2], [12, 2]], atol=1e-5)


def test_things_stand_whatever_their_velocity() -> None:
    found = forecast(make_frame(Thing(10.0, 3.0, speed=5.0, type=ObjectType.BARRIER)))
    assert np.ptp(found.objects.centers, axis=0).max() == 0.0
    assert found.rings.speeds.tolist() == [0.0] and found.objects.is_stopped.tolist() == [True]


@pytest.mark.parametrize(
    ("kind", "cap"),
    [(ObjectType.VEHICLE, 50), (ObjectType.PEDESTRIAN, 25), (ObjectType.BICYCLE, 10), (ObjectType.TRAFFIC_CONE, 50)],
)
def test_only_the_nearest_of_each_kind_are_kept(kind: ObjectType, cap: int) -> None:
    found = forecast(make_frame(*crowd(kind, cap + 5)))
    assert places(found) == [10.0 + 1.5 * n for n in range(1, cap + 1)]


def test_all_things_share_one_cap() -> None:
    things = crowd(ObjectType.GENERIC_OBJECT, 30) + crowd(ObjectType.BARRIER, 30, start=10.5)
    assert len(places(forecast(make_frame(*things)))) == 50


def test_things_come_first_then_vehicles_pedestrians_bicycles() -> None:
    kinds = [ObjectType.BICYCLE, ObjectType.PEDESTRIAN, ObjectType.VEHICLE, ObjectType.BARRIER, ObjectType.VEHICLE]
    found = forecast(make_frame(*[Thing(30.0 - n, 5.0, type=kind) for n, kind in enumerate(kinds)]))
    assert places(found) == [27.0, 26.0, 28.0, 29.0, 30.0]


def test_objects_further_than_100_m_from_the_box_centre_are_left_out() -> None:
    found = forecast(make_frame(Thing(101.4, 0.0), Thing(101.5, 0.0), Thing(-98.5, 0.0), Thing(-98.6, 0.0)))
    assert sorted(places(found)) == pytest.approx([-98.5, 101.4], abs=1e-5)


def test_objects_that_overlap_the_ego_are_ignored() -> None:
    found = forecast(make_frame(Thing(5.5, 0.0), Thing(6.5, 0.0)))
    assert found.is_ignored.tolist() == [True, False]
    assert found.objects.ignored.tolist() == [True, False]


def test_red_lights_of_the_route_are_obstacles_that_stand() -> None:
    lights = [("7", True), ("8", False), ("99", True)]
    connectors = make_connector("7", 20.0, -2.0, 30.0, 2.0), make_connector("8", 40.0, -2.0, 50.0, 2.0)
    found = forecast(make_frame(Thing(10.0, 5.0, speed=3.0), lights=lights), *connectors)
    assert found.rings.starts.shape == (NUM_FRAMES, 2)
    assert found.rings.is_red_light.tolist() == [False, True]
    assert all(found.polygons_of(frame)[1].equals(connectors[0].polygon) for frame in range(NUM_FRAMES))
    assert (found.rings.headings[1], found.rings.speeds[1]) == (0.0, 0.0)
    assert found.lights.is_red.all() and found.lights.is_red.shape == (41, 1)
    assert found.objects.centers.shape[1] == 1, "red lights are not among the scored objects"


def test_a_red_light_is_ignored_only_where_it_holds_the_whole_ego() -> None:
    held, touched = make_connector("7", -5.0, -2.0, 30.0, 2.0), make_connector("8", 0.0, -2.0, 30.0, 2.0)
    found = forecast(make_frame(lights=[("7", True), ("8", True)]), held, touched)
    assert found.is_ignored.tolist() == [True, False]


def test_nothing_around() -> None:
    found = forecast(make_frame())
    assert found.rings.starts.shape == (NUM_FRAMES, 0) and found.objects.centers.shape == (NUM_FRAMES, 0, 2)


def test_rings_are_the_closed_outlines_of_the_polygons() -> None:
    light = make_connector("7", 20.0, -2.0, 30.0, 2.0)
    found = forecast(make_frame(Thing(10.0, 5.0, speed=3.0), Thing(15.0, -5.0), lights=[("7", True)]), light)
    for frame in (0, 1, NUM_FRAMES - 1):
        for column, polygon in enumerate(found.polygons_of(frame)):
            start, size = found.rings.starts[frame, column], found.rings.sizes[column]
            ring = found.rings.vertices[start : start + size]
            assert np.array_equal(ring[0], ring[-1]) and shapely.Polygon(ring).equals(polygon)
