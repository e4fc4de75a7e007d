"""Route correction: make the route start where the ego is, close its gaps, cut its loops.

The order of candidates and of searches decides ties, so it follows the devkit's; see pdm-behaviour, "Route correction".
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence, Set, Tuple

import numpy as np

from latentvla_agent.data.maps import CityMap, Roadblock
from latentvla_agent.data.scene import wrap_angle
from latentvla_agent.errors import DataError
from latentvla_agent.scoring.config import RouteConfig
from latentvla_agent.scoring.state import FloatArray


def find_roadblocks(city_map: CityMap, route_ids: Sequence[str]) -> List[Roadblock]:
    """Roadblocks of a route, repeated ids dropped; raises `DataError` for an id that the map does not hold."""
    return [city_map.find_roadblock(id_) for id_ in dict.fromkeys(route_ids)]


def correct_route(
    city_map: CityMap, route_ids: Sequence[str], pose: FloatArray, config: RouteConfig
) -> List[Roadblock]:
    """The route that is driven from the rear-axle pose (3,)."""
    route = find_roadblocks(city_map, route_ids)
    if not route:
        raise DataError(f"{city_map.path}: a route without roadblocks cannot be followed")
    start, candidates = locate_start(city_map, {block.id for block in route}, pose, config)
    if start.id not in {block.id for block in route}:
        route = _join_start(route, start, candidates, config)
    route = _close_gaps(route, config)
    route = _cut_loop(route, config)
    return find_roadblocks(city_map, [block.id for block in route])


def locate_start(
    city_map: CityMap, route_ids: Set[str], pose: FloatArray, config: RouteConfig
) -> Tuple[Roadblock, List[Roadblock]]:
    """The roadblock under the ego and the candidates it was chosen from (a roadblock counts once per fitting lane)."""
    x, y = pose[0], pose[1]
    nearby = city_map.roadblocks_near(x, y, config.candidate_radius) or city_map.nearest_roadblocks(x, y)
    if not nearby:
        raise DataError(f"{city_map.path}: the map holds no lane group")
    on_route: List[Tuple[float, Roadblock]] = []
    off_route: List[Tuple[float, Roadblock]] = []
    nearest: List[Tuple[float, Roadblock]] = []
    for block in nearby:
        closest = np.inf
        for lane in block.lanes:
            distances = np.hypot(lane.states[:, 0] - x, lane.states[:, 1] - y)
            vertex = int(np.argmin(distances))
            heading_error = abs(wrap_angle(lane.states[vertex, 2] - pose[2]))
            closest = min(closest, distances[vertex])
            if heading_error < config.max_heading_error and distances[vertex] < config.max_displacement:
                (on_route if block.id in route_ids else off_route).append((distances[vertex], block))
        nearest.append((closest, block))
    candidates = on_route or off_route or nearest
    return candidates[int(np.argmin([d for d, _ in candidates]))][1], [block for _, block in candidates]


def search_roadblocks(start: Roadblock, targets: Set[str], max_depth: int, forward: bool) -> Optional[List[Roadblock]]:
    """Breadth-first path from `start` to the first roadblock among `targets`, in driving direction; None if too far.

    The devkit keeps no visited set: at one depth a roadblock can queue many times, its *first* place decides which
    target is found, its *last* place which parent it keeps. Both orders are carried along, so the work stays small.
    """
    parents: List[Dict[str, Roadblock]] = [{}]
    first, last = [start], [start]
    for depth in range(max_depth):
        for block in first:
            if block.id in targets:
                return _trace_back(block, parents, depth, forward)
        found: Dict[str, Roadblock] = {}
        for block in first:
            for child in block.neighbours(forward):
                found.setdefault(child.id, child)
        parent: Dict[str, Roadblock] = {}
        latest: Dict[str, Roadblock] = {}
        for block in last:
            for child in block.neighbours(forward):
                parent[child.id] = block
                latest.pop(child.id, None)
                latest[child.id] = child
        parents.append(parent)
        first, last = list(found.values()), list(latest.values())
    return None


def _trace_back(block: Roadblock, parents: List[Dict[str, Roadblock]], depth: int, forward: bool) -> List[Roadblock]:
    path = [block]
    for level in range(depth, 0, -1):
        path.append(parents[level][path[-1].id])
    return path[::-1] if forward else path


def _join_start(
    route: List[Roadblock], start: Roadblock, candidates: List[Roadblock], config: RouteConfig
) -> List[Roadblock]:
    """Prepend what lies between the ego and the route, or drop the part of the route that lies behind."""
    path = search_roadblocks(route[0], {block.id for block in candidates}, config.backward_depth, forward=False)
    if path is not None:
        return path[:-1] + route
    targets = {block.id for block in route[: config.num_forward_targets]}
    path = search_roadblocks(start, targets, config.forward_depth, forward=True)
    if path is None:
        return route
    reached = [block.id for block in route].index(path[-1].id)
    return path + route[reached + 1 :]


def _close_gaps(route: List[Roadblock], config: RouteConfig) -> List[Roadblock]:
    """Insert what is missing between neighbours of the route that are not linked."""
    closed = [route[0]]
    for block, following in zip(route, route[1:]):
        if block.id not in {before.id for before in following.neighbours(forward=False)}:
            path = search_roadblocks(block, {following.id}, config.forward_depth, forward=True)
            if path is not None and len(path) >= 3:
                closed.extend(path[1:-1])
        closed.append(following)
    return closed


def _cut_loop(route: List[Roadblock], config: RouteConfig) -> List[Roadblock]:
    """Cut before the first connector that overlaps an earlier one."""
    earlier: List[Roadblock] = []
    for index, block in enumerate(route):
        if not block.is_connector:
            continue
        if any(block.polygon.intersection(other.polygon).area > config.loop_overlap_m2 for other in earlier):
            return route[:index]
        earlier.append(block)
    return route
