"""Who sets out where in a town: random routes over the roads, SUMO vehicle types, and the route file for SUMO."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Sequence, Set, Tuple

import numpy as np

from latentvla_agent.data.scene import wrap_angle
from latentvla_agent.errors import DataError
from latentvla_agent.world.recording import EGO_TYPE
from latentvla_agent.world.traffic_config import Temper, TrafficConfig, VehicleKind

if TYPE_CHECKING:
    from latentvla_agent.world.roads import Roads

STRAIGHT_RAD = math.radians(30.0)  # a smaller change of heading is no turn
U_TURN_RAD = math.radians(150.0)
LENGTH_MARGIN_M = 1.0
PEDESTRIAN = "pedestrian"


@dataclass(frozen=True)
class RoadGraph:
    """Edges that cars use: what follows each, with the change of heading [rad] on the way, and how long they are.

    `speed` are the limits. Edges from which the town can only be left, or turned in, are in no route.
    """

    following: Dict[str, List[Tuple[str, float]]]
    length: Dict[str, float]
    speed: Dict[str, float]


@dataclass(frozen=True)
class Trip:
    """One driver: key, SUMO type, the second to set out, the edges to drive and where on the first to begin [m]."""

    key: str
    type_key: str
    depart_s: float
    edges: Tuple[str, ...]
    position: float


def build_graph(roads: Roads) -> RoadGraph:
    """The graph of the town's edges; raises `DataError` for a town where nobody can drive on and on."""
    length: Dict[str, float] = {}
    speed: Dict[str, float] = {}
    for lane in roads.lanes.values():
        steps = np.hypot(*np.diff(lane.line, axis=0).T)
        length[lane.edge] = min(length.get(lane.edge, math.inf), float(steps.sum()))
        speed[lane.edge] = lane.speed_limit
    following: Dict[str, List[Tuple[str, float]]] = {edge: [] for edge in length}
    for connector in roads.connectors.values():
        start, end = roads.lanes[connector.from_lane].edge, roads.lanes[connector.to_lane].edge
        turn = _turn_between(roads.lanes[connector.from_lane].line, roads.lanes[connector.to_lane].line)
        if abs(turn) < U_TURN_RAD and end not in {edge for edge, _ in following[start]}:
            following[start].append((end, turn))
    return RoadGraph(_drop_dead_ends(following), length, speed)


def _turn_between(before: np.ndarray, after: np.ndarray) -> float:
    first, last = before[-1] - before[-2], after[1] - after[0]
    return float(wrap_angle(math.atan2(last[1], last[0]) - math.atan2(first[1], first[0])))


def _drop_dead_ends(following: Dict[str, List[Tuple[str, float]]]) -> Dict[str, List[Tuple[str, float]]]:
    while True:
        kept = {edge: [(end, turn) for end, turn in ends if end in following] for edge, ends in following.items()}
        kept = {edge: ends for edge, ends in kept.items() if ends}
        if not kept:
            raise DataError(f"town: expected roads to drive on and on, got {len(following)} edges with dead ends only")
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


RECENT_EDGES = 6
REPEAT_WEIGHT = 0.05  # hardly anybody drives round in circles


def draw_trips(graph: RoadGraph, config: TrafficConfig, rng: np.random.Generator) -> List[Trip]:
    """All drivers of a town, egos first, each with room on the road when they set out."""
    free = _list_places(graph, config)
    rng.shuffle(free)
    if len(free) < config.num_egos:
        raise DataError(f"town: expected room for {config.num_egos} egos, got {len(free)} places on the road")
    length = config.route_speed * (config.warm_up_s + config.duration_s)
    trips = []
    for number in range(config.num_egos):
        edge, position = free.pop()
        edges = draw_route(graph, edge, length * EGO_ROUTE_MARGIN, config.ego_turn_weight, rng, config.ego_speed_weight)
        trips.append(Trip(f"{EGO_TYPE}_{number}", EGO_TYPE, number * config.ego_start_gap_s, edges, position))
    for number in range(min(config.num_vehicles, len(free))):
        edge, position = free.pop()
        kind = _draw(config.kinds, rng)
        temper = _draw(config.tempers, rng)
        edges = draw_route(graph, edge, length, config.vehicle_turn_weight, rng)
        trips.append(Trip(f"{kind.model}_{number}", type_key(kind, temper), 0.0, edges, position))
    for number in range(min(config.num_bicycles, len(free))):
        edge, position = free.pop()
        edges = draw_route(graph, edge, length * config.bicycle.max_speed / config.route_speed, 1.0, rng)
        trips.append(Trip(f"bicycle_{number}", config.bicycle.model, 0.0, edges, position))
    return trips


EGO_ROUTE_MARGIN = 1.5  # the route goes on beyond the recording


def _list_places(graph: RoadGraph, config: TrafficConfig) -> List[Tuple[str, float]]:
    """Starting places (edge, front bumper's metres along it) that are far enough from each other."""
    longest = max(kind.length for kind in (*config.kinds, config.ego))
    places = []
    for edge in graph.following:
        position = longest + LENGTH_MARGIN_M
        while position < graph.length[edge] - LENGTH_MARGIN_M:
            places.append((edge, position))
            position += 2.0 * longest
    return places


def _draw(choices: Sequence, rng: np.random.Generator):  # type: ignore[no-untyped-def, type-arg]
    shares = np.array([choice.share for choice in choices])
    return choices[int(rng.choice(len(choices), p=shares / shares.sum()))]


def type_key(kind: VehicleKind, temper: Temper) -> str:
    """Name of a SUMO type; its first part is the model."""
    return f"{kind.model}_{temper.key}"


def write_routes(trips: Sequence[Trip], walks: Sequence[str], config: TrafficConfig, path: Path) -> None:
    """Write SUMO's route file: types, drivers in the order in which they set out, pedestrians (`draw_walks`)."""
    lines = ["<routes>", *_type_lines(config)]
    for trip in sorted(trips, key=lambda trip: trip.depart_s):
        lines.append(
            f'<vehicle id="{trip.key}" type="{trip.type_key}" depart="{trip.depart_s:.1f}" departLane="free" '
            f'departPos="{trip.position:.2f}" departSpeed="0"><route edges="{" ".join(trip.edges)}"/></vehicle>'
        )
    path.write_text("\n".join([*lines, *walks, "</routes>\n"]))


def _type_lines(config: TrafficConfig) -> List[str]:
    lines = [_driver_line(EGO_TYPE, config.ego, config.ego_temper, config)]
    lines += [
        _driver_line(type_key(kind, temper), kind, temper, config) for kind in config.kinds for temper in config.tempers
    ]
    calm = config.tempers[0]
    lines.append(_driver_line(config.bicycle.model, config.bicycle, calm, config))
    for kind in (config.adult, config.child):
        lines.append(
            f'<vType id="{kind.model}" vClass="pedestrian" length="{kind.length}" width="{kind.width}" '
            f'height="{kind.height}" maxSpeed="{config.walk_speed}" '
            f'speedFactor="normc(1,{config.walk_speed_spread},0.6,1.5)"/>'
        )
    return lines


def _driver_line(key: str, kind: VehicleKind, temper: Temper, config: TrafficConfig) -> str:
    low, high = temper.speed_factor - 2.0 * temper.speed_spread, temper.speed_factor + 2.0 * temper.speed_spread
    return (
        f'<vType id="{key}" vClass="{kind.vehicle_class}" length="{kind.length}" width="{kind.width}" '
        f'height="{kind.height}" maxSpeed="{kind.max_speed}" carFollowModel="IDM" '
        f'accel="{temper.acceleration * kind.agility:.2f}" decel="{temper.deceleration:.2f}" emergencyDecel="8.0" '
        f'tau="{temper.headway_s}" minGap="{temper.min_gap}" '
        f'speedFactor="normc({temper.speed_factor},{temper.speed_spread},{low:.2f},{high:.2f})" '
        f'lcSpeedGain="{temper.overtaking}" lcAssertive="{temper.assertiveness}" impatience="{temper.impatience}" '
        f'maxSpeedLat="{config.max_slide_speed}" lcMaxSpeedLatStanding="0" '
        f'lcMaxSpeedLatFactor="{config.slide_per_metre}" jmTimegapMinor="{config.crossing_gap_s}" jmStoplineGap="1.0"/>'
    )


def draw_walks(net_file: Path, config: TrafficConfig, rng: np.random.Generator) -> List[str]:
    """Pedestrians as SUMO elements, each strolling from edge to edge; none in a town without sidewalks."""
    neighbours = _read_sidewalks(net_file)
    edges = list(neighbours)
    walks = []
    for number in range(config.num_pedestrians if edges else 0):
        child = rng.random() < config.child_share
        here = edges[int(rng.integers(len(edges)))]
        legs = []
        for _ in range(config.walk_legs):
            there = here
            for _ in range(config.walk_reach):
                there = neighbours[there][int(rng.integers(len(neighbours[there])))]
            if there != here:
                legs.append(f'<walk from="{here}" to="{there}"/>')
                here = there
        if legs:
            model = config.child.model if child else config.adult.model
            depart = rng.uniform(0.0, config.warm_up_s)
            start = rng.uniform(0.0, 1.0)
            walks.append(_walker_line(f"{PEDESTRIAN}_{number}", model, depart, start, legs))
    return sorted(walks, key=lambda line: float(line.split('depart="')[1].split('"')[0]))


def _walker_line(key: str, model: str, depart: float, start: float, legs: List[str]) -> str:
    return f'<person id="{key}" type="{model}" depart="{depart:.1f}" departPos="{start * 40.0:.1f}">{"".join(legs)}</person>'


def _read_sidewalks(net_file: Path) -> Dict[str, List[str]]:
    """Edges that pedestrians may use, each with those that share a junction with it."""
    at_junction: Dict[str, List[str]] = {}
    ends: Dict[str, Tuple[str, str]] = {}
    for element in ElementTree.parse(net_file).getroot().iterfind("edge"):
        if element.get("function") is None and any(_takes_walkers(lane) for lane in element.iterfind("lane")):
            key, ends[key] = element.get("id", ""), (element.get("from", ""), element.get("to", ""))
            for junction in ends[key]:
                at_junction.setdefault(junction, []).append(key)
    neighbours: Dict[str, List[str]] = {}
    for key, junctions in ends.items():
        found: Set[str] = set()
        for junction in junctions:
            found.update(other for other in at_junction[junction] if other != key)
        if found:
            neighbours[key] = sorted(found)
    return neighbours


def _takes_walkers(lane: ElementTree.Element) -> bool:
    return "pedestrian" in (lane.get("allow") or "").split()
