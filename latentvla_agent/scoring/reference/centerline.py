"""The centreline that progress is measured on: from the ego's lane along the cheapest lanes of the route."""

from __future__ import annotations

from typing import Dict, List, Sequence

import numpy as np
import shapely

from latentvla_agent.data.maps import Lane, Roadblock
from latentvla_agent.data.scene import wrap_angle
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.areas import TREE_CAPACITY, AreaPolygons
from latentvla_agent.scoring.config import RouteConfig, VehicleConfig
from latentvla_agent.scoring.polyline import Polyline
from latentvla_agent.scoring.state import FloatArray, ego_centers, ego_corners


def collect_route_lanes(route: Sequence[Roadblock]) -> Dict[str, Lane]:
    """Lanes and lane connectors of the route by id, in route order."""
    return {lane.id: lane for block in route for lane in block.lanes}


def choose_starting_lane(lanes: Dict[str, Lane], areas: AreaPolygons, pose: FloatArray, vehicle: VehicleConfig) -> Lane:
    """The lane of the route that the ego is in: least heading error under the rear axle, else around the box centre,
    else the lane nearest to the box. Raises `DataError` for a route without lanes."""
    point = shapely.Point(pose[0], pose[1])
    tree = shapely.STRtree(areas.polygons, node_capacity=TREE_CAPACITY)
    under_ego = [lanes[areas.ids[i]] for i in tree.query(point, predicate="intersects") if areas.ids[i] in lanes]
    if under_ego:
        errors = [_heading_error(lane, pose) for lane in under_ego]
        return under_ego[int(np.argmin(errors))]
    if not lanes:
        raise DataError("the route holds no lanes")
    center = shapely.Point(*ego_centers(pose, vehicle))
    box = shapely.Polygon(ego_corners(pose, vehicle))
    candidates = list(lanes.values())
    for lane in candidates:
        if lane.polygon.contains(center):
            return lane
    return candidates[int(np.argmin([lane.polygon.distance(box) for lane in candidates]))]


def _heading_error(lane: Lane, pose: FloatArray) -> float:
    distances = np.hypot(lane.states[:, 0] - pose[0], lane.states[:, 1] - pose[1])
    return float(abs(wrap_angle(lane.states[int(np.argmin(distances)), 2] - pose[2])))


def trace_centerline(start: Lane, route: Sequence[Roadblock], lanes: Dict[str, Lane], config: RouteConfig) -> Polyline:
    """Baselines of the lanes from `start` to the end of the route, at most 30 roadblocks ahead."""
    ids = [block.id for block in route]
    first = ids.index(start.roadblock_id) if start.roadblock_id in ids else 0
    target = ids[first : first + config.centerline_depth][-1]
    return Polyline(np.concatenate([lane.states for lane in search_lanes(start, target, lanes)]))


def search_lanes(start: Lane, target_roadblock: str, lanes: Dict[str, Lane]) -> List[Lane]:
    """Shortest lane sequence (Dijkstra over baseline lengths) from `start` into `target_roadblock`.

    Where it can't be reached: the cheapest of the sequences with the most lanes. Of equals, the first queued wins.
    """
    open_lanes: Dict[str, float] = {start.id: 1.0}
    depth, parent, lane_of = {start.id: 1}, {start.id: ""}, {start.id: start}
    closed: Dict[str, float] = {}
    while open_lanes:
        id_ = min(open_lanes, key=lambda key: open_lanes[key])
        cost = open_lanes.pop(id_)
        if lane_of[id_].roadblock_id == target_roadblock:
            return _follow_parents(id_, parent, lane_of)
        closed[id_] = cost
        for next_id in lane_of[id_].outgoing_ids:
            if next_id not in lanes or next_id in closed:
                continue
            next_cost = cost + lanes[next_id].length
            if next_id not in open_lanes or next_cost < open_lanes[next_id]:
                open_lanes[next_id] = next_cost
                depth[next_id], parent[next_id], lane_of[next_id] = depth[id_] + 1, id_, lanes[next_id]
    deepest = max(depth[id_] for id_ in closed)
    return _follow_parents(
        min((id_ for id_ in closed if depth[id_] == deepest), key=lambda key: closed[key]), parent, lane_of
    )


def _follow_parents(id_: str, parent: Dict[str, str], lane_of: Dict[str, Lane]) -> List[Lane]:
    path = []
    while id_:
        path.append(lane_of[id_])
        id_ = parent[id_]
    return path[::-1]
