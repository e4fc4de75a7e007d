"""Routes of nuScenes' drives, which have none: the roadblocks that the human drives through, and on from there.

The driven poses are matched to lanes and lane connectors as a whole: near to the centreline and along it at every pose,
each pose in the lane of the one before, in one that it leads to, or in one beside it, as far as that goes.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Deque, Dict, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.data.maps import CityMap, Lane
from latentvla_agent.data.scene import FloatArray, PoseIndex, wrap_angle

Key = Tuple[int, bool]  # row of a lane, or of a connector: True


@dataclass(frozen=True)
class RouteMatching:
    """How poses are matched: lengths in metres, angles in radians, costs in squared standard deviations."""

    reach: float = 2.5  # of a lane's area from the pose
    distance_scale: float = 1.5
    heading_scale: float = 0.3
    max_heading_error: float = 1.05
    cost_of_step: float = 0.2  # to the next lane
    cost_of_change: float = 4.0  # to a lane beside
    cost_of_jump: float = 40.0  # to a lane that no link leads to
    max_steps: int = 6
    extension: float = 120.0  # of the route beyond the end of the drive


class LaneGraph:
    """Lanes and connectors of a map by row, and what they go on into."""

    def __init__(self, city_map: CityMap) -> None:
        self._map = city_map
        layers = (("lanes_polygons", False), ("lane_connectors", True))
        self._key_of_id = {
            str(id_): (row, kind) for name, kind in layers for id_, row in city_map.layer(name).row_of_id.items()
        }
        self._ways: Dict[Key, Dict[Key, List[Key]]] = {}

    def lane(self, key: Key) -> Lane:
        """The lane or connector."""
        return self._map.lane(*key)

    def next_of(self, key: Key) -> List[Key]:
        """What it goes on into."""
        return [self._key_of_id[id_] for id_ in self.lane(key).outgoing_ids if id_ in self._key_of_id]

    def near(self, x: float, y: float, reach: float) -> List[Key]:
        """Those whose area is within reach [m] of a place."""
        area = shapely.Point(x, y).buffer(reach)
        lanes = self._map.layer("lanes_polygons").rows_in(area)
        areas = self._map.layer("gen_lane_connectors_scaled_width_polygons")
        owners = areas.columns["lane_connector_fid"][areas.rows_in(area)]
        return [*((int(row), False) for row in lanes), *(self._key_of_id[str(id_)] for id_ in owners)]

    def ways_from(self, start: Key, max_steps: int) -> Dict[Key, List[Key]]:
        """What can be reached in so many steps, with what lies on the shortest way there, the end included."""
        if start not in self._ways:
            ways: Dict[Key, List[Key]] = {start: []}
            queue: Deque[Key] = deque([start])
            while queue:
                key = queue.popleft()
                for following in self.next_of(key) if len(ways[key]) < max_steps else ():
                    if following not in ways:
                        ways[following] = [*ways[key], following]
                        queue.append(following)
            self._ways[start] = ways
        return self._ways[start]


def find_routes(city_map: CityMap, poses: FloatArray, matching: RouteMatching = RouteMatching()) -> List[List[str]]:
    """Ids of the roadblocks from each of the global poses (F, 3) of a drive on, in the order of travel.

    None for a pose after which the drive touches no lane.
    """
    graph = LaneGraph(city_map)
    matched = match_lanes(graph, poses, matching)
    blocks: List[str] = []
    starts: List[Optional[int]] = []
    last: Optional[Key] = None
    for key in matched:
        if key is None:
            starts.append(None)
            continue
        way = [key] if last is None else graph.ways_from(last, matching.max_steps).get(key, [key])
        for step in way:
            block = graph.lane(step).roadblock_id
            if not blocks or blocks[-1] != block:
                blocks.append(block)
        starts.append(len(blocks) - 1)
        last = key
    if last is not None:
        blocks += _extend(graph, last, matching.extension)
    return _cut_routes(blocks, starts)


def _cut_routes(blocks: Sequence[str], starts: Sequence[Optional[int]]) -> List[List[str]]:
    """The route from each pose on; from an unmatched pose on, that of the next matched one."""
    routes: List[List[str]] = []
    following: Optional[int] = None
    for start in reversed(starts):
        following = start if start is not None else following
        routes.append([] if following is None else list(blocks[following:]))
    return routes[::-1]


def match_lanes(graph: LaneGraph, poses: FloatArray, matching: RouteMatching) -> List[Optional[Key]]:
    """The lane of each pose: the cheapest sequence; None for a pose that no lane is near to."""
    columns = [_find_candidates(graph, pose, matching) for pose in poses]
    numbers = [number for number, column in enumerate(columns) if column]
    totals: Dict[Key, float] = dict(columns[numbers[0]]) if numbers else {}
    back: List[Dict[Key, Key]] = []
    for number in numbers[1:]:
        following: Dict[Key, float] = {}
        parents: Dict[Key, Key] = {}
        for key, cost in columns[number].items():
            best = min(totals, key=lambda before: totals[before] + _cost_of_move(graph, before, key, matching))
            following[key] = totals[best] + _cost_of_move(graph, best, key, matching) + cost
            parents[key] = best
        back.append(parents)
        totals = following
    matched: List[Optional[Key]] = [None] * len(poses)
    if totals:
        key = min(totals, key=lambda end: totals[end])
        for number, parents in zip(reversed(numbers), [*reversed(back), {}]):
            matched[number] = key
            key = parents.get(key, key)
    return matched


def _find_candidates(graph: LaneGraph, pose: FloatArray, matching: RouteMatching) -> Dict[Key, float]:
    x, y, heading = (float(value) for value in pose)
    found: Dict[Key, float] = {}
    for key in graph.near(x, y, matching.reach):
        states = graph.lane(key).states
        distances = np.hypot(states[:, PoseIndex.X] - x, states[:, PoseIndex.Y] - y)
        nearest = int(np.argmin(distances))
        error = abs(float(wrap_angle(states[nearest, PoseIndex.HEADING] - heading)))
        if error <= matching.max_heading_error:
            distance = _distance_to(states, x, y)
            found[key] = (distance / matching.distance_scale) ** 2 + (error / matching.heading_scale) ** 2
    return found


def _distance_to(states: npt.NDArray[np.float64], x: float, y: float) -> float:
    return float(shapely.LineString(states[:, : PoseIndex.HEADING]).distance(shapely.Point(x, y)))


def _cost_of_move(graph: LaneGraph, before: Key, after: Key, matching: RouteMatching) -> float:
    if before == after:
        return 0.0
    way = graph.ways_from(before, matching.max_steps).get(after)
    if way is not None:
        return matching.cost_of_step * len(way)
    beside = graph.lane(before).roadblock_id == graph.lane(after).roadblock_id
    return matching.cost_of_change if beside else matching.cost_of_jump


def _extend(graph: LaneGraph, start: Key, length: float) -> List[str]:
    """Roadblocks after a lane, always where it turns least, for so many metres or as far as the map goes."""
    blocks: List[str] = []
    key, passed, seen = start, 0.0, {start}
    while passed < length:
        lane = graph.lane(key)
        choices = [following for following in graph.next_of(key) if following not in seen]
        if not choices:
            break
        key = min(choices, key=lambda choice: _turn_of(graph.lane(choice)))
        seen.add(key)
        following = graph.lane(key)
        if following.roadblock_id != lane.roadblock_id:
            blocks.append(following.roadblock_id)
        passed += following.length
    return blocks


def _turn_of(lane: Lane) -> float:
    return abs(float(wrap_angle(lane.states[-1, PoseIndex.HEADING] - lane.states[0, PoseIndex.HEADING])))
