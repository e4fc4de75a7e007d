"""Maps of roads: links that lead somewhere, valid areas without gaps, room for the car on every baseline."""

from __future__ import annotations

from typing import Dict, List

import numpy as np
import pytest
import shapely

from latentvla_agent.data.map_layers import LAYER_COLUMNS, NO_ID, MapLayer
from latentvla_agent.world.roads.areas import CarConfig, place_boxes
from latentvla_agent.world.roads.curves import measure_arc
from latentvla_agent.world.roads.lanes import RoadLane
from tests.world.roads.sample_roads import FIRST_ID, OFFSET, TOWNS, sample_map, sample_roads

CAR = CarConfig()
DRIVABLE = ("lane_groups_polygons", "intersections", "carpark_areas")


def drivable_area(layers: Dict[str, MapLayer]) -> shapely.Geometry:
    return shapely.union_all(np.concatenate([layers[name].geometry for name in DRIVABLE]))


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_shapes_are_valid_and_on_whole_millimetres(kind: str, seed: int) -> None:
    layers, _ = sample_map(kind, seed)
    for name, layer in layers.items():
        assert np.all(shapely.is_valid(layer.geometry)) and not np.any(shapely.is_empty(layer.geometry)), name
        points = shapely.get_coordinates(layer.geometry)
        assert np.allclose(points, np.round(points, 3), atol=1e-6)
        kinds = {shape.geom_type for shape in layer.geometry.tolist()}
        assert kinds <= {"LineString" if name in ("lane_connectors", "baseline_paths", "boundaries") else "Polygon"}


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_ids_are_unique_over_all_layers_and_rise_in_each(kind: str, seed: int) -> None:
    layers, _ = sample_map(kind, seed)
    ids = np.concatenate([layer.ids for layer in layers.values()])
    assert len(np.unique(ids)) == len(ids) and ids.min() == FIRST_ID and ids.max() < FIRST_ID + 100000
    assert all(np.all(np.diff(layer.ids) > 0) for layer in layers.values())
    assert all(set(columns) <= set(layers[name].columns) for name, columns in LAYER_COLUMNS.items())


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_foreign_keys_lead_to_rows(kind: str, seed: int) -> None:
    layers, _ = sample_map(kind, seed)
    homes = {
        "lane_fid": "lanes_polygons",
        "exit_lane_fid": "lanes_polygons",
        "entry_lane_fid": "lanes_polygons",
        "lane_group_fid": "lane_groups_polygons",
        "from_lane_group_fid": "lane_groups_polygons",
        "to_lane_group_fid": "lane_groups_polygons",
        "lane_connector_fid": "lane_connectors",
        "lane_group_connector_fid": "lane_group_connectors",
        "intersection_fid": "intersections",
        "left_boundary_fid": "boundaries",
        "right_boundary_fid": "boundaries",
    }
    for layer in layers.values():
        for column, values in layer.columns.items():
            if column in homes:
                known = set(layers[homes[column]].ids.tolist()) | {NO_ID}
                assert set(values.tolist()) <= known, column
    connectors = layers["lane_connectors"]
    groups = dict(zip(layers["lanes_polygons"].ids, layers["lanes_polygons"].columns["lane_group_fid"]))
    pairs = layers["lane_group_connectors"]
    rows = [pairs.row_of_id[int(fid)] for fid in connectors.columns["lane_group_connector_fid"]]
    for side, end in (("exit_lane_fid", "from_lane_group_fid"), ("entry_lane_fid", "to_lane_group_fid")):
        assert [groups[fid] for fid in connectors.columns[side]] == pairs.columns[end][rows].tolist()


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_ids_of_roads_are_those_of_the_map(kind: str, seed: int) -> None:
    roads, (layers, ids) = sample_roads(kind, seed), sample_map(kind, seed)
    paths = layers["baseline_paths"]
    for key, fid in ids.connector.items():
        (row,) = paths.rows_where("lane_connector_fid", fid)
        line = shapely.get_coordinates(paths.geometry[row]) - np.array(OFFSET)
        assert np.allclose(line, roads.connectors[key].line, atol=1e-3)
    lanes = layers["lanes_polygons"]
    for key, fid in ids.lane.items():
        row, lane = lanes.row_of_id[fid], roads.lanes[key]
        assert lanes.columns["lane_group_fid"][row] == ids.group[lane.edge]
        assert lanes.columns["lane_index"][row] == lane.index


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_lanes_tile_their_group_and_meet_their_connectors(kind: str, seed: int) -> None:
    roads, (layers, ids) = sample_roads(kind, seed), sample_map(kind, seed)
    lanes, groups = layers["lanes_polygons"], layers["lane_groups_polygons"]
    for edge, members in roads.edges().items():
        shapes = [lanes.geometry[lanes.row_of_id[ids.lane[lane.key]]] for lane in members]
        group = groups.geometry[groups.row_of_id[ids.group[edge]]]
        assert shapely.union_all(shapes).symmetric_difference(group).area < 0.05
        assert sum(shape.area for shape in shapes) == pytest.approx(group.area, abs=0.05)
    connectors, areas = layers["lane_connectors"], layers["gen_lane_connectors_scaled_width_polygons"]
    for row, area in enumerate(areas.geometry):
        assert areas.columns["lane_connector_fid"][row] == connectors.ids[row]
        for side in ("exit_lane_fid", "entry_lane_fid"):
            lane = lanes.geometry[lanes.row_of_id[int(connectors.columns[side][row])]]
            assert lane.distance(area) < 0.05


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_the_car_stays_on_the_drivable_area_along_every_baseline(kind: str, seed: int) -> None:
    roads, (layers, _) = sample_roads(kind, seed), sample_map(kind, seed)
    area = drivable_area(layers)
    shapely.prepare(area)
    left = {connector.from_lane for connector in roads.connectors.values()}
    reached = {connector.to_lane for connector in roads.connectors.values()}
    inside: List[bool] = []
    for road in [*roads.lanes.values(), *roads.connectors.values()]:
        arc, keep = measure_arc(road.line), np.ones(len(road.line), dtype=bool)
        if isinstance(road, RoadLane):  # roads that end: the car's front stays on them
            keep &= (arc < arc[-1] - CAR.ahead_m - 0.1) | (road.key in left)
            keep &= (arc > CAR.behind_m + 0.1) | (road.key in reached)
        corners = place_boxes(road.line, CAR)[keep] + np.array(OFFSET)
        inside += shapely.contains_properly(area, shapely.points(corners)).all(axis=1).tolist()
    assert np.mean(inside) >= 0.995


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_a_car_that_goes_straight_on_leaves_the_drivable_area_soon(kind: str, seed: int) -> None:
    """From the middle third of lanes, straight on at the speed limit for 4 s: most of them end off the road."""
    roads, (layers, _) = sample_roads(kind, seed), sample_map(kind, seed)
    area = drivable_area(layers)
    shapely.prepare(area)
    left: List[bool] = []
    for lane in roads.lanes.values():
        at = len(lane.line) // 3
        if measure_arc(lane.line)[-1] > 40.0:
            heading = lane.line[at + 1] - lane.line[at]
            away = np.linspace(0.0, 4.0 * lane.speed_limit, 20)[:, None] * heading / np.hypot(*heading)
            left.append(not area.contains(shapely.LineString(lane.line[at] + away + np.array(OFFSET))))
    assert np.mean(left) > 0.5


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_roads_without_a_common_junction_do_not_overlap(kind: str, seed: int) -> None:
    groups = sample_map(kind, seed)[0]["lane_groups_polygons"].geometry
    first, second = shapely.STRtree(groups).query(groups, predicate="intersects")
    pairs = first < second
    overlaps = shapely.area(shapely.intersection(groups[first[pairs]], groups[second[pairs]]))
    assert overlaps.max(initial=0.0) < 2.0  # both directions of a road share a border, within rounding


@pytest.mark.parametrize("kind, seed", TOWNS)
def test_signalised_connectors_have_their_stop_polygon(kind: str, seed: int) -> None:
    roads, (layers, ids) = sample_roads(kind, seed), sample_map(kind, seed)
    connectors, stops = layers["lane_connectors"], layers["stop_polygons"]
    for key, connector in roads.connectors.items():
        row = connectors.row_of_id[ids.connector[key]]
        text = connectors.columns["traffic_light_stop_line_fids"][row]
        assert bool(text) == (connector.signal is not None)
        if text:
            start = shapely.Point(connector.line[0] + np.array(OFFSET))
            assert stops.geometry[stops.row_of_id[int(text)]].distance(start) < 0.01
