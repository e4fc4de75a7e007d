"""Who is where with respect to the ego's way: neighbours in path coordinates, conflicts of two paths."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Tuple

import numpy as np

from latentvla_agent.world.events.driver import Obstacle
from latentvla_agent.world.events.path import FloatArray, Path

TRAVEL_SAMPLE_M = 0.5


@dataclass(frozen=True)
class Neighbour:
    """A vehicle or a person: its box spans `first`…`last` along the path and `right`…`left` across it (left positive).

    `speed` is its own, `turned` its heading minus the path's, in -pi…pi.
    """

    key: str
    first: float
    last: float
    right: float
    left: float
    speed: float
    turned: float

    @property
    def middle(self) -> float:
        """Metres of its middle to the left of the path."""
        return 0.5 * (self.left + self.right)

    @property
    def oncoming(self) -> bool:
        """Whether it comes towards the ego."""
        return math.cos(self.turned) < -0.8

    @property
    def going_along(self) -> bool:
        """Whether it drives in the ego's direction."""
        return math.cos(self.turned) > 0.8


@dataclass(frozen=True)
class Conflict:
    """Where two paths share the road: stretches of the ego's path and of the other one [m from the front bumpers]."""

    ego_first: float
    ego_last: float
    other_first: float
    other_last: float
    turned: float


def heading_of(sumo: Any, key: str) -> float:
    """Heading of a vehicle [rad, counter-clockwise from east]."""
    return math.radians(90.0 - sumo.vehicle.getAngle(key))


def box_of(sumo: Any, key: str) -> Tuple[float, float, float, float, float]:
    """(x, y, heading, length, width) of a vehicle's box."""
    x, y = sumo.vehicle.getPosition(key)
    heading, length = heading_of(sumo, key), sumo.vehicle.getLength(key)
    half = 0.5 * length
    return x - half * math.cos(heading), y - half * math.sin(heading), heading, length, sumo.vehicle.getWidth(key)


def corners_of(x: float, y: float, heading: float, length: float, width: float) -> FloatArray:
    """Corners (4, 2) of a box."""
    along, across = np.array([math.cos(heading), math.sin(heading)]), np.array([-math.sin(heading), math.cos(heading)])
    return np.array([[x, y] + i * length / 2 * along + j * width / 2 * across for i in (-1, 1) for j in (-1, 1)])


def list_neighbours(sumo: Any, path: Path, ego: str, reach: float) -> List[Neighbour]:
    """All vehicles within `reach` metres of the ego, in path coordinates, in SUMO's order."""
    ego_x, ego_y = sumo.vehicle.getPosition(ego)
    keys = []
    for key in sumo.vehicle.getIDList():
        x, y = sumo.vehicle.getPosition(key)
        if key != ego and math.hypot(x - ego_x, y - ego_y) < reach:
            keys.append(key)
    if not keys:
        return []
    path = path.until(reach)
    boxes = [box_of(sumo, key) for key in keys]
    points = np.array([[box[:2], *corners_of(*box)] for box in boxes])  # (K, 5, 2): middle, corners
    places = path.locate_all(points.reshape(-1, 2)).reshape(len(keys), -1, 2)
    return [_describe(sumo, path, *item) for item in zip(keys, boxes, places)]


def _describe(sumo: Any, path: Path, key: str, box: Tuple[float, ...], places: FloatArray) -> Neighbour:
    way = path.point_at(float(places[0, 0]))[2]
    turned = (box[2] - way + math.pi) % (2.0 * math.pi) - math.pi
    first, right = places[1:].min(axis=0).tolist()
    last, left = places[1:].max(axis=0).tolist()
    return Neighbour(key, first, last, right, left, float(sumo.vehicle.getSpeed(key)), turned)


def in_corridor(neighbour: Neighbour, half_width: float, left: float = 0.0) -> bool:
    """Whether the box reaches into the strip of that half width round the line `left` of the path."""
    return neighbour.right < left + half_width and neighbour.left > left - half_width


def list_obstacles(neighbours: Sequence[Neighbour], half_width: float, left: float = 0.0) -> List[Obstacle]:
    """Obstacles on the strip ahead of the ego."""
    ahead = [
        item for item in neighbours if item.last > 0.0 and item.first > -1.0 and in_corridor(item, half_width, left)
    ]
    return [Obstacle(item.first, max(0.0, item.speed * math.cos(item.turned))) for item in ahead]


def find_leader(neighbours: Sequence[Neighbour], half_width: float) -> Optional[Neighbour]:
    """The nearest vehicle ahead on the ego's way that drives in its direction."""
    ahead = [item for item in neighbours if item.first > 0.0 and in_corridor(item, half_width) and item.going_along]
    return min(ahead, key=lambda item: item.first, default=None)


def find_conflict(ego: Path, other: Path, apart: float) -> Optional[Conflict]:
    """The first stretch where the other path's line comes within `apart` metres of the ego's, ahead of both."""
    near: List[Tuple[float, float, float]] = []  # metres along the other path, along the ego's, the other's heading
    along = np.arange(0.0, other.length, TRAVEL_SAMPLE_M).tolist()
    if not along:
        return None  # its way ends where it is
    poses = [other.point_at(place) for place in along]
    for place, (x, y, heading), (ego_along, left) in zip(along, poses, ego.locate_all(np.array(poses)[:, :2]).tolist()):
        if abs(left) < apart and math.dist((x, y), ego.point_at(ego_along)[:2]) < apart:
            near.append((place, ego_along, heading))
        elif near:
            break
    if not near:
        return None
    ends = [item[1] for item in near]
    middle = near[len(near) // 2]
    turned = (middle[2] - ego.point_at(middle[1])[2] + math.pi) % (2.0 * math.pi) - math.pi
    return Conflict(min(ends), max(ends), near[0][0], near[-1][0], turned)
