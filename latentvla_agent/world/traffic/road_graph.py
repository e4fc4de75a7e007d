"""The graph of a town's roads, and random routes over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, AbstractSet, Dict, List, Optional, Tuple
from xml.etree import ElementTree

import numpy as np

from latentvla_agent.data.scene import wrap_angle
from latentvla_agent.errors import DataError
from latentvla_agent.world.traffic.recording import FloatArray

if TYPE_CHECKING:
    from latentvla_agent.world.roads.lanes import Roads

STRAIGHT_RAD = math.radians(30.0)  # a smaller change of heading is no turn
U_TURN_RAD = math.radians(150.0)
RECENT_EDGES = 6
REPEAT_WEIGHT = 0.05  # hardly anybody drives round in circles

EdgePair = Tuple[str, str]
Following = Dict[str, List[Tuple[str, float]]]


@dataclass(frozen=True)
class RoadGraph:
    """Edges that cars use: what follows each, with the change of heading [rad] on the way, and how long they are.

    `speed` are the limits. Edges from which the town can only be left, or turned in, are in no route.
    """

    following: Dict[str, List[Tuple[str, float]]]
    length: Dict[str, float]
    speed: Dict[str, float]


def build_graph(roads: Roads, links: Optional[AbstractSet[EdgePair]] = None) -> RoadGraph:
    """The graph of the town's edges, or of the `links` among them; empty where nobody can drive on and on."""
    length: Dict[str, float] = {}
    speed: Dict[str, float] = {}
    for lane in roads.lanes.values():
        steps = np.hypot(*np.diff(lane.line, axis=0).T)
        length[lane.edge] = min(length.get(lane.edge, math.inf), float(steps.sum()))
        speed[lane.edge] = lane.speed_limit
    following: Dict[str, List[Tuple[str, float]]] = {edge: [] for edge in length}
    for connector in roads.connectors.values():
        start, end = roads.lanes[connector.from_lane].edge, roads.lanes[connector.to_lane].edge
        if links is not None and (start, end) not in links:
            continue
        turn = _turn_between(roads.lanes[connector.from_lane].line, roads.lanes[connector.to_lane].line)
        if abs(turn) < U_TURN_RAD and end not in {edge for edge, _ in following[start]}:
            following[start].append((end, turn))
    return RoadGraph(_drop_dead_ends(following), length, speed)


def _turn_between(before: FloatArray, after: FloatArray) -> float:
    first, last = before[-1] - before[-2], after[1] - after[0]
    return float(wrap_angle(math.atan2(last[1], last[0]) - math.atan2(first[1], first[0])))


def _drop_dead_ends(following: Following) -> Following:
    while True:
        kept = {edge: [(end, turn) for end, turn in ends if end in following] for edge, ends in following.items()}
        kept = {edge: ends for edge, ends in kept.items() if ends}
        if len(kept) == len(following) and all(len(kept[edge]) == len(following[edge]) for edge in kept):
            return kept
        following = kept


def draw_route(
    graph: RoadGraph,
    start: str,
    length: float,
    turn_weight: float,
    rng: np.random.Generator,
    speed_weight: float = 0.0,
) -> Tuple[str, ...]:
    """Edges of a random walk from `start` of at least `length` metres; a turn is `turn_weight` times as likely.

    `speed_weight` is the power of the speed limit that makes a fast road more likely.
    """
    edges, covered = [start], 0.0
    while covered < length:
        ends = graph.following[edges[-1]]
        weights = np.array([turn_weight if abs(turn) > STRAIGHT_RAD else 1.0 for _, turn in ends])
        weights = weights * np.array([graph.speed[end] for end, _ in ends]) ** speed_weight
        recent = set(edges[-RECENT_EDGES:])
        weights = np.where([end in recent for end, _ in ends], weights * REPEAT_WEIGHT, weights)
        edges.append(ends[int(rng.choice(len(ends), p=weights / weights.sum()))][0])
        covered += graph.length[edges[-1]]
    return tuple(edges)


def read_links(net_file: Path, user: str) -> AbstractSet[EdgePair]:
    """Pairs of edges between which a SUMO network has a way for a class of users, such as bicycle."""
    root = parse_network(net_file)
    lanes = {lane.get("id", ""): lane for lane in root.iterfind("edge/lane")}
    links = set()
    for link in root.iterfind("connection"):
        start, end = link.get("from", ""), link.get("to", "")
        ends = (lanes.get(f"{start}_{link.get('fromLane')}"), lanes.get(f"{end}_{link.get('toLane')}"))
        if all(lane is not None and admits(lane, user) for lane in ends) and _link_admits(link, user):
            links.add((start, end))
    return links


def _link_admits(link: ElementTree.Element, user: str) -> bool:
    return admits(link, user) if "allow" in link.attrib or "disallow" in link.attrib else True


def admits(element: ElementTree.Element, user: str) -> bool:
    """Whether a lane of a SUMO network is for a class of users."""
    if "allow" in element.attrib:
        return element.attrib["allow"] == "all" or user in element.attrib["allow"].split()
    disallowed = element.get("disallow", "")
    return disallowed != "all" and user not in disallowed.split()


def parse_network(net_file: Path) -> ElementTree.Element:
    """The root of a SUMO network; raises `DataError` for a file that is none."""
    try:
        return ElementTree.parse(net_file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise DataError(f"{net_file}: expected a SUMO network, not readable ({error})") from error
