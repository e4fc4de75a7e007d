"""What cells say of a point is what the polygons say, and they say it of most points."""

from __future__ import annotations

from typing import Dict

import numpy as np
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.data.scene import Scene
from latentvla_agent.scoring.area_index import index_areas, is_inside, is_road
from latentvla_agent.scoring.areas import AreaKind, AreaPolygons, crop_areas, flatten_areas
from latentvla_agent.scoring.kernels import AreaIndex
from latentvla_agent.scoring.metrics.area_cells import (
    MAX_CELLS,
    ROAD_EDGE,
    ROAD_INSIDE,
    ROUTE_EDGE,
    ROUTE_INSIDE,
    UNKNOWN,
    AreaCells,
    look_up,
    make_cells,
    no_cells,
)
from latentvla_agent.scoring.metrics.ego_area import NUM_FLAGS, flag_areas

KINDS = [AreaKind.LANE_GROUP, AreaKind.LANE, AreaKind.INTERSECTION, AreaKind.INTERSECTION_INTERIOR, AreaKind.CARPARK]


def make_areas(seed: int, count: int = 6) -> AreaIndex:
    """Polygons with holes, some that cross themselves, in UTM coordinates; lanes are of the route."""
    rng, polygons = np.random.default_rng(seed), []
    for _ in range(count):
        corners = rng.uniform(0.0, 30.0, (rng.integers(3, 9), 2)) + [587_000.0, 4_480_000.0]
        if rng.random() < 0.5:  # edges along the cells' borders
            corners = np.round(corners)
        hole = shapely.box(*(corners.mean(axis=0) - 2.0), *(corners.mean(axis=0) + 2.0)).exterior
        polygons.append(shapely.Polygon(corners, [hole.coords] if rng.random() < 0.3 else []))
    kinds = [KINDS[i] for i in rng.integers(0, len(KINDS), count)]
    ids = [str(i) for i in range(count)]
    return index_areas(flatten_areas(AreaPolygons(ids, kinds, np.array(polygons, dtype=np.object_)), set(ids)))


def bits_of(areas: AreaIndex, x: float, y: float) -> int:
    """What the polygons say of a point, without any cell."""
    held = [p for p in range(len(areas.kinds)) if is_inside(areas, p, x, y)]
    road = any(is_road(areas.kinds[p]) for p in held)
    return (ROAD_INSIDE if road else 0) | (ROUTE_INSIDE if any(areas.on_route[p] for p in held) else 0)


def check_point(areas: AreaIndex, cells: AreaCells, x: float, y: float) -> int:
    """Assert that what is known of a point is true; returns the bits of its cell."""
    found, true = look_up(cells, x, y), bits_of(areas, x, y)
    for inside, edge in ((ROAD_INSIDE, ROAD_EDGE), (ROUTE_INSIDE, ROUTE_EDGE)):
        if found & inside or not found & edge:
            assert found & inside == true & inside, (x, y, found, true)
    return found


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_what_is_known_of_a_point_is_true(seed: int) -> None:
    areas, rng = make_areas(seed), np.random.default_rng(seed)
    low = np.array([587_000.0, 4_480_000.0]) + rng.uniform(-5.0, 20.0, 2)
    cells = make_cells(areas, (*low, *(low + rng.uniform(1.0, 30.0, 2))))
    points = np.concatenate(
        [rng.uniform(low - 1.0, low + 31.0, (200, 2)), areas.edges[:, :2], np.round(low) + [[0, 0]]]
    )
    for x, y in points:
        check_point(areas, cells, x, y)


def test_most_points_of_an_embedded_map_are_known(embedded_scenes: Dict[str, Scene]) -> None:
    scene = next(iter(embedded_scenes.values()))
    x, y, _ = scene.current_frame.ego_status.ego_pose
    crop = crop_areas(scene.map_api, x, y, 60.0)
    areas = index_areas(flatten_areas(crop, set(crop.ids[::2])))
    cells = make_cells(areas, (x - 60.0, y - 60.0, x + 60.0, y + 60.0))
    assert cells.bits.shape[0] <= MAX_CELLS + 1 and cells.bits.shape[1] <= MAX_CELLS + 1
    points = np.random.default_rng(0).uniform([x - 60.0, y - 60.0], [x + 60.0, y + 60.0], (2000, 2))
    bits = np.array([check_point(areas, cells, *point) for point in points])
    assert (bits & (ROAD_INSIDE | ROAD_EDGE) != ROAD_EDGE).mean() > 0.7
    assert 0.1 < (bits & ROAD_INSIDE > 0).mean() < 0.9, "both answers occur"


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_flags_are_the_same_with_and_without_cells(seed: int) -> None:
    areas, rng = make_areas(seed), np.random.default_rng(seed)
    corners = (
        np.array([587_000.0, 4_480_000.0]) + rng.uniform(0.0, 30.0, (41, 1, 2)) + rng.uniform(-2.0, 2.0, (41, 4, 2))
    )
    cells, near = make_cells(areas, (586_990.0, 4_479_990.0, 587_040.0, 4_480_040.0)), np.arange(len(areas.kinds))
    flags = np.empty((2, NUM_FLAGS, 41), dtype=np.bool_)
    for row, known in enumerate((no_cells(), cells)):
        flag_areas(corners, corners.mean(axis=1), areas, near, known, flags[row])
    np.testing.assert_array_equal(flags[0], flags[1])


def test_beyond_the_cells_nothing_is_known() -> None:
    areas = index_areas(
        flatten_areas(AreaPolygons(["1"], [AreaKind.LANE_GROUP], np.array([shapely.box(0, 0, 100, 100)])), set())
    )
    cells = make_cells(areas, (10.0, 10.0, 20.0, 20.0))
    assert look_up(cells, 15.0, 15.0) == ROAD_INSIDE
    for x, y in ((9.0, 15.0), (15.0, 25.0), (np.nan, 15.0), (15.0, np.inf), (-np.inf, 15.0)):
        assert look_up(cells, x, y) == UNKNOWN
    assert make_cells(areas, (200.0, 0.0, 210.0, 10.0)).bits.size == 0
    assert make_cells(areas, (-np.inf, -np.inf, np.inf, np.inf)).bits.shape == (201, 201), "no more than the areas"
    assert look_up(no_cells(), 0.0, 0.0) == UNKNOWN
    nothing = index_areas(flatten_areas(AreaPolygons([], [], np.array([], dtype=np.object_)), set()))
    assert make_cells(nothing, (0.0, 0.0, 9.0, 9.0)).bits.size == 0
