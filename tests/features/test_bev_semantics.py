"""The scene from above: which class lies where."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Dict, Sequence

import numpy as np
import pytest
import shapely

from latentvla_agent.data.map_layers import MapLayer
from latentvla_agent.features.bev_semantics import BevClass, BevConfig, draw_bev

FAR = shapely.box(900, 900, 910, 910)
POSE = np.array([100.0, 50.0, np.pi / 2])  # looks along the map's y


def make_layer(shapes: Sequence[shapely.Geometry], **columns: Sequence[int]) -> MapLayer:
    """Ids 1, 2, …"""
    geometry = np.empty(len(shapes), dtype=object)
    geometry[:] = shapes
    table = {name: np.array(values, dtype=np.int64) for name, values in columns.items()}
    return MapLayer(np.arange(1, len(shapes) + 1), geometry, table)


def make_scene(layers: Dict[str, MapLayer], names: Sequence[str] = (), boxes: Any = ()) -> Any:
    """A scene at `POSE`."""
    empty: Dict[str, MapLayer] = {
        name: make_layer([]) for name in ("lanes_polygons", "intersections", "walkways", "lane_connectors")
    }
    empty["baseline_paths"] = make_layer([], lane_fid=[], lane_connector_fid=[])
    found = {**empty, **layers}
    annotations = SimpleNamespace(names=list(names), boxes=np.array(boxes, np.float32).reshape(-1, 7))
    frame = SimpleNamespace(annotations=annotations, ego_status=SimpleNamespace(ego_pose=POSE))
    metadata = SimpleNamespace(num_history_frames=1)
    return SimpleNamespace(scene_metadata=metadata, frames=[frame], map_api=SimpleNamespace(layer=found.__getitem__))


def find(picture: Any, label: BevClass) -> Any:
    """First and last row and column of a class, and how many cells."""
    rows, columns = np.nonzero(picture == label)
    return rows.min(), rows.max(), columns.min(), columns.max(), len(rows)


def test_places_turn_with_the_ego() -> None:
    # about 4 to 8 m ahead, 2 to 6 m to the left; the map's x goes to the right
    lane = shapely.box(94.1, 54.1, 97.9, 57.9)
    picture = draw_bev(make_scene({"lanes_polygons": make_layer([lane, FAR])}), BevConfig())
    assert picture.shape == (128, 256) and picture.dtype == np.uint8
    assert find(picture, BevClass.ROAD) == (16, 31, 136, 151, 16 * 16)
    assert picture.astype(bool).sum() == 16 * 16


def test_later_classes_lie_over_earlier_ones() -> None:
    road, walkway = shapely.box(90, 40, 110, 70), shapely.box(96, 50, 104, 60)
    line = shapely.LineString([(100, 45), (100, 65)])
    layers = {
        "intersections": make_layer([road]),
        "walkways": make_layer([walkway]),
        "lanes_polygons": make_layer([walkway]),
        "baseline_paths": make_layer([line], lane_fid=[1], lane_connector_fid=[-1]),
    }
    boxes = [[x, 0.0, 0.0, 2.0, 1.0, 1.0, 0.0] for x in (2.0, 4.0, 6.0, 8.0)]
    names = ["vehicle", "pedestrian", "barrier", "bicycle"]
    picture = draw_bev(make_scene(layers, names, boxes), BevConfig())
    middle = picture[:, 128]
    # A box ends in the cell in which the next begins; the picture's last word is the pedestrian's.
    assert [BevClass(middle[row]).name for row in (2, 8, 16, 24, 32, 50, 70)] == [
        "CENTERLINE",
        "VEHICLE",
        "PEDESTRIAN",
        "STATIC_OBJECT",
        "CENTERLINE",
        "CENTERLINE",
        "ROAD",
    ]
    assert picture[20, 120] == BevClass.WALKWAY and picture[70, 120] == BevClass.ROAD
    assert find(picture, BevClass.PEDESTRIAN)[:2] == (12, 20)
    assert find(picture, BevClass.CENTERLINE)[2:4] == (127, 129)


def test_connectors_have_centre_lines_too_and_only_what_is_near_counts() -> None:
    near, far = shapely.LineString([(95, 60), (105, 60)]), shapely.LineString([(100, 90), (100, 95)])
    layers = {
        "lane_connectors": make_layer([near, far]),
        "baseline_paths": make_layer([near, far, near], lane_fid=[-1, -1, 7], lane_connector_fid=[1, 2, -1]),
    }
    picture = draw_bev(make_scene(layers), BevConfig())
    assert find(picture, BevClass.CENTERLINE)[:4] == (39, 41, 107, 149)
    assert not (picture[60:] > 0).any()


@pytest.mark.parametrize("heading", [0.0, 0.4, -2.0])
def test_a_box_has_its_area(heading: float) -> None:
    boxes = [[12.0, 3.0, 0.0, 4.5, 2.0, 1.6, heading]]
    picture = draw_bev(make_scene({}, ["vehicle"], boxes), BevConfig())
    first, last, left, right, cells = find(picture, BevClass.VEHICLE)
    assert abs(cells - 4.5 * 2.0 * 16) < 50
    assert abs((first + last) / 2 - 48) <= 1 and abs((left + right) / 2 - 140) <= 1


def test_holes_are_filled_and_parts_are_drawn() -> None:
    ring = shapely.Polygon([(90, 50), (110, 50), (110, 70), (90, 70)], [[(95, 55), (105, 55), (105, 65), (95, 65)]])
    both = shapely.MultiPolygon([ring, shapely.box(120, 50, 125, 70)])
    picture = draw_bev(make_scene({"walkways": make_layer([both])}), BevConfig())
    assert picture[40, 128] == BevClass.WALKWAY and picture[40, 128 - 90] == BevClass.WALKWAY
