"""Point clouds: on surfaces, never inside of anything, and on every object in view."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import numpy.typing as npt
import pytest

from latentvla_agent.data.sensor_files import LidarIndex
from latentvla_agent.world.meshes.mesh import join_meshes
from latentvla_agent.world.rendering.config import LidarConfig, RenderConfig
from latentvla_agent.world.rendering.embree import MeshScene
from latentvla_agent.world.rendering.lidar_probes import spread_places
from latentvla_agent.world.rendering.renderer import Renderer
from tests.world.rendering.small_street import build_boxes, make_frame, make_street

pytest.importorskip("embreex")

BOXES = [
    [12.0, 2.0, 0.8, 4.6, 1.9, 1.6, 0.1],
    [25.0, -2.0, 0.9, 4.6, 1.9, 1.8, -0.2],
    [8.0, -4.8, 0.85, 0.6, 0.6, 1.7, 0.7],
    [-14.0, 2.5, 1.6, 9.0, 2.5, 3.2, 3.1],
    [38.0, 3.0, 0.35, 0.3, 0.3, 0.7, 0.0],
    [34.0, -5.0, 0.85, 0.5, 0.5, 1.7, 0.0],
    [33.0, 2.0, 0.5, 1.0, 0.5, 1.0, 0.0],
]
HIDDEN = [20.0, 2.6, 0.5, 0.5, 0.5, 1.0, 0.0]  # behind the first box
HOUSE = ((20.0, 14.0), (12.0, 8.0))
TOUCH_M = 2e-3  # float32 in a street of hundreds of metres


@pytest.fixture(scope="module")
def scanned() -> Tuple[Renderer, Any, npt.NDArray[np.float32]]:
    """Renderer, frame and cloud."""
    renderer, frame = Renderer(make_street(), build_actors=build_boxes), make_frame(BOXES)
    return renderer, frame, renderer.scan_lidar(frame)


def _in_box(points: npt.NDArray[Any], box: Any, margin: float) -> npt.NDArray[np.bool_]:
    offset = points - box[:3]
    cos, sin = np.cos(box[6]), np.sin(box[6])
    local = np.column_stack([cos * offset[:, 0] + sin * offset[:, 1], cos * offset[:, 1] - sin * offset[:, 0]])
    flat = np.all(np.abs(local) <= np.array(box[3:5]) / 2 + margin, axis=1)
    inside: npt.NDArray[np.bool_] = flat & (np.abs(offset[:, 2]) <= box[5] / 2 + margin)
    return inside


def test_shape_and_values(scanned: Tuple[Renderer, Any, npt.NDArray[np.float32]]) -> None:
    _, _, cloud = scanned
    assert cloud.dtype == np.float32 and cloud.shape[0] == len(LidarIndex) and 30_000 < cloud.shape[1] < 120_000
    assert np.isfinite(cloud).all()
    whole = cloud[LidarIndex.INTENSITY :]
    assert whole.min() >= 0 and whole.max() <= 255 and np.array_equal(whole, np.round(whole))
    assert np.linalg.norm(cloud[:2], axis=0).max() <= LidarConfig().max_range_m + 5.0
    assert set(np.unique(cloud[LidarIndex.LIDAR])) == {0, 1, 2, 3, 4}


def test_every_point_lies_on_a_surface(scanned: Tuple[Renderer, Any, npt.NDArray[np.float32]]) -> None:
    renderer, frame, cloud = scanned
    everything = MeshScene(join_meshes([renderer.street.mesh, build_boxes(frame, renderer.street)]))
    beams = renderer.beams
    which = {code: np.array(head.position) for code, head in enumerate(renderer.config.lidar.heads)}
    origins = np.array([which[int(code)] for code in cloud[LidarIndex.LIDAR]], np.float32)
    offsets = cloud[:3].T - origins
    ranges = np.linalg.norm(offsets, axis=1)
    hits = everything.cast(origins, (offsets / ranges[:, None]).astype(np.float32))
    behind = ranges - hits.distances
    config = renderer.config.lidar
    most = config.noise_clip * (config.range_noise_m + config.range_noise_per_m * config.max_range_m)
    met = np.isfinite(hits.distances)  # the others ended on open land beyond the mesh
    near_edge = np.abs(behind) > 0.5  # a hair beside an edge, the ray that was drawn anew passes by
    assert met.mean() > 0.9 and near_edge[met].mean() < 2e-3
    assert behind[met & ~near_edge].max() < TOUCH_M and behind[met & ~near_edge].min() > -most - TOUCH_M
    assert len(beams.rings) > cloud.shape[1]


def test_no_point_is_inside_of_anything(scanned: Tuple[Renderer, Any, npt.NDArray[np.float32]]) -> None:
    _, _, cloud = scanned
    points = cloud[:3].T.astype(np.float64)
    for box in BOXES:
        assert not _in_box(points, box, -TOUCH_M).any()
    (x, y), (length, width) = HOUSE
    assert not _in_box(points, [x, y, 4.0, length, width, 8.0, 0.0], -TOUCH_M).any()
    assert points[:, 2].min() > -TOUCH_M


def test_every_box_in_view_has_points(scanned: Tuple[Renderer, Any, npt.NDArray[np.float32]]) -> None:
    _, _, cloud = scanned
    points = cloud[:3].T.astype(np.float64)
    for box in BOXES:
        assert _in_box(points, box, 0.06).any(), box


@pytest.mark.parametrize("weather", ["fog", "rain", "night"])
def test_an_object_that_beams_meet_is_never_lost(weather: str) -> None:
    renderer = Renderer(make_street(), build_actors=build_boxes)
    frame = make_frame(BOXES, weather=weather, sun=[0.0, 0.5], seed=3)
    points = renderer.scan_lidar(frame)[:3].T.astype(np.float64)
    for box in BOXES:
        assert _in_box(points, box, 0.06).any(), box


def test_a_hidden_box_has_no_points() -> None:
    renderer = Renderer(make_street(), build_actors=build_boxes)
    boxes = [[12.0, 2.0, 2.0, 4.6, 6.0, 4.0, 0.0], HIDDEN]
    points = renderer.scan_lidar(make_frame(boxes))[:3].T.astype(np.float64)
    assert not _in_box(points, HIDDEN, 0.06).any()


def test_a_box_that_peeps_out_has_points() -> None:
    """A child 35 m ahead behind a van, a hand's breadth of it in view: hardly any beam of the pattern meets it."""
    renderer = Renderer(make_street(), build_actors=build_boxes)
    child = [35.0, -1.62, 0.5, 0.3, 0.3, 1.0, 0.0]
    van = [34.0, -3.0, 1.2, 1.0, 2.8, 2.4, 0.0]
    points = renderer.scan_lidar(make_frame([child, van]))[:3].T.astype(np.float64)
    assert _in_box(points, child, 0.06).any()


def test_own_car_is_left_out(scanned: Tuple[Renderer, Any, npt.NDArray[np.float32]]) -> None:
    _, _, cloud = scanned
    config = RenderConfig().lidar
    inside = (cloud[0] < config.ego_front_m) & (cloud[0] > -config.ego_rear_m)
    assert not (inside & (np.abs(cloud[1]) < config.ego_half_width_m)).any()


def test_noise_hangs_on_token_and_seed(scanned: Tuple[Renderer, Any, npt.NDArray[np.float32]]) -> None:
    renderer, frame, cloud = scanned
    assert np.array_equal(renderer.scan_lidar(frame), cloud)
    other = renderer.scan_lidar(make_frame(BOXES, token="fedcba9876543210"))
    assert other.shape != cloud.shape or not np.array_equal(other, cloud)


@pytest.mark.parametrize("count", [1, 50, 1024])
def test_probes_are_spread_over_all_of_a_surface(count: int) -> None:
    corners = np.array(
        [[[0, 0, 0], [9, 0, 0], [0, 2, 0]], [[9, 0, 1], [9, 0, 1], [9, 0, 1]], [[5, 5, 1], [6, 5, 1], [5, 7, 1]]]
    )
    places = spread_places(corners.astype(np.float64), count)
    first = places[places[:, 2] == 0.0]
    assert len(places) == count and abs(len(first) - 0.9 * count) <= 1.0  # as the areas are
    assert (first[:, :2] >= 0.0).all() and (first[:, 0] / 9.0 + first[:, 1] / 2.0 <= 1.0 + 1e-12).all()
    if count > 100:
        assert np.allclose(first.mean(axis=0), [3.0, 2.0 / 3.0, 0.0], atol=0.05)
    assert len(spread_places(corners[1:2].astype(np.float64), count)) == 0
