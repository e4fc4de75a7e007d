"""The crop of the map as flat arrays, and what is asked of invalid intersections."""

from __future__ import annotations

from typing import Dict

import numpy as np
import pytest
import shapely

from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.area_index import index_areas, is_inside
from latentvla_agent.scoring.areas import (
    AreaKind,
    AreaPolygons,
    crop_areas,
    flatten_areas,
    split_intersections,
)
from latentvla_agent.scoring.kernels import Areas
from latentvla_agent.scoring.metrics.area_cells import no_cells
from latentvla_agent.scoring.metrics.ego_area import NUM_FLAGS, OFF_ROAD, flag_areas, is_at_intersection


def flatten(*polygons: shapely.Geometry) -> Areas:
    ids = [str(i) for i in range(len(polygons))]
    kinds = [AreaKind.LANE] * len(ids)
    return flatten_areas(AreaPolygons(ids, kinds, np.array(polygons, dtype=np.object_)), set())


def test_layout_of_the_flat_arrays() -> None:
    triangle = shapely.Polygon([(0, 0), (4, 0), (0, 4)])
    frame = shapely.Polygon([(10, 0), (20, 0), (20, 10), (10, 10)], [[(12, 2), (18, 2), (18, 8)]])
    areas = flatten(triangle, shapely.MultiPolygon([frame, shapely.box(30, 0, 31, 1)]))
    assert areas.polygon_starts.tolist() == [0, 1, 4]
    assert areas.ring_starts.tolist() == [0, 4, 9, 13, 18]
    assert areas.bounds.tolist() == [[0, 0, 4, 4], [10, 0, 31, 10]]
    assert areas.vertices.shape == (18, 2)


def test_no_areas_at_all() -> None:
    areas = flatten()
    assert (len(areas.kinds), areas.bounds.shape, areas.polygon_starts.tolist()) == (0, (0, 4), [0])


def test_only_lanes_of_the_route_are_on_it() -> None:
    """A lane group may have the id of a lane of the route."""
    box = shapely.box(0, 0, 1, 1)
    kinds = [AreaKind.LANE_GROUP, AreaKind.LANE, AreaKind.LANE_CONNECTOR, AreaKind.LANE, AreaKind.INTERSECTION]
    polygons = AreaPolygons(["1", "1", "2", "3", "2"], kinds, np.array([box] * 5, dtype=np.object_))
    assert flatten_areas(polygons, {"1", "2"}).on_route.tolist() == [False, True, True, False, False]


def test_crop_of_an_embedded_map(embedded_scenes: Dict[str, Scene]) -> None:
    """Lane groups but not their connectors, all lanes of both, and nothing that lies further away."""
    scene = next(iter(embedded_scenes.values()))
    x, y, _ = scene.current_frame.ego_status.ego_pose
    near, wide = (crop_areas(scene.map_api, x, y, radius) for radius in (30.0, 100.0))
    assert {AreaKind.LANE_GROUP, AreaKind.LANE, AreaKind.LANE_CONNECTOR, AreaKind.INTERSECTION} <= set(wide.kinds)
    groups = {id_ for id_, kind in zip(wide.ids, wide.kinds) if kind == AreaKind.LANE_GROUP}
    assert groups <= set(map(str, scene.map_api.layer("lane_groups_polygons").ids))
    square = shapely.box(x - 30.0, y - 30.0, x + 30.0, y + 30.0)
    kept = [p for p, kind in zip(near.polygons, near.kinds) if kind == AreaKind.LANE_GROUP]
    assert kept and all(polygon.intersects(square) for polygon in kept)
    assert 0 < len(near.ids) < len(wide.ids)


BOX = shapely.box(0.0, 0.0, 10.0, 10.0)
INVALID = {
    "overlapping parts": shapely.MultiPolygon([BOX, shapely.box(5.0, 0.0, 15.0, 10.0)]),
    "touching parts": shapely.MultiPolygon([shapely.box(0.0, 0.0, 5.0, 10.0), shapely.box(5.0, 0.0, 10.0, 10.0)]),
    "overlapping holes": shapely.Polygon(
        BOX.exterior, [shapely.box(2, 2, 6, 6).exterior, shapely.box(4, 4, 8, 8).exterior]
    ),
    "hole that leaves": shapely.Polygon(BOX.exterior, [shapely.box(8.0, 8.0, 14.0, 14.0).exterior]),
    "hole over the other part": shapely.MultiPolygon(
        [shapely.Polygon(BOX.exterior, [shapely.box(4.0, 4.0, 9.0, 9.0).exterior]), shapely.box(6.0, 6.0, 12.0, 12.0)]
    ),
    "bow tie": shapely.Polygon([(0, 0), (10, 0), (0, 10), (10, 10)]),
    "wound twice": shapely.Polygon([*BOX.exterior.coords[:-1], *BOX.exterior.coords[:-1]]),
    "spiral": shapely.Polygon([(0, 0), (10, 0), (10, 10), (2, 10), (2, 2), (8, 2), (8, 8), (0, 8)]),
}


@pytest.mark.parametrize("name", INVALID)
def test_invalid_intersections_count_as_in_the_devkit(name: str) -> None:
    """It looks for intersections with a spatial index and `within`; what is road does not change."""
    polygon = INVALID[name]
    assert not polygon.is_valid
    areas = index_areas(flatten_areas(AreaPolygons(["1"], [AreaKind.INTERSECTION], np.array([polygon])), set()))
    points, near = np.random.default_rng(0).uniform(-1.0, 16.0, (1000, 2)), np.arange(len(areas.kinds))
    tree = shapely.STRtree([polygon], node_capacity=10)
    expected = [len(tree.query(shapely.Point(x, y), predicate="within")) > 0 for x, y in points]
    assert [is_at_intersection(x, y, areas, near) for x, y in points] == expected
    flags = np.empty((NUM_FLAGS, len(points)), dtype=np.bool_)
    flag_areas(np.repeat(points[:, None], 4, axis=1), points, areas, near, no_cells(), flags)
    assert [not off for off in flags[OFF_ROAD]] == [is_inside(areas, 0, x, y) for x, y in points], "parity, as ever"


def test_valid_intersections_are_left_alone() -> None:
    areas = AreaPolygons(["1", "2"], [AreaKind.INTERSECTION, AreaKind.LANE_GROUP], np.array([BOX, INVALID["bow tie"]]))
    assert split_intersections(areas) is areas
    assert flatten_areas(AreaPolygons([], [], np.array([], dtype=np.object_)), set()).kinds.shape == (0,)
