"""Who sets out where in a town: random routes over the roads, SUMO vehicle types, and the route file for SUMO."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import List, Sequence, Tuple, TypeVar

import numpy as np

from latentvla_agent.errors import DataError
from latentvla_agent.world.traffic.config import Temper, TrafficConfig, VehicleKind
from latentvla_agent.world.traffic.recording import EGO_TYPE
from latentvla_agent.world.traffic.road_graph import RoadGraph, draw_route

LENGTH_MARGIN_M = 1.0
EGO_ROUTE_MARGIN = 1.5  # the route goes on beyond the recording


Choice = TypeVar("Choice", VehicleKind, Temper)


@dataclass(frozen=True)
class Trip:
    """One driver: key, SUMO type, the second to set out, the edges to drive and where on the first to begin [m]."""

    key: str
    type_key: str
    depart_s: float
    edges: Tuple[str, ...]
    position: float


def draw_trips(graph: RoadGraph, cycle_graph: RoadGraph, config: TrafficConfig, rng: np.random.Generator) -> List[Trip]:
    """All drivers of a town, egos first, each with room on the road when they set out.

    Raises `DataError` for a town without room for the egos.
    """
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
    length *= config.bicycle.max_speed / config.route_speed
    for edge, position in [place for place in free if place[0] in cycle_graph.following][: config.num_bicycles]:
        edges = draw_route(cycle_graph, edge, length, 1.0, rng)
        trips.append(Trip(f"bicycle_{len(trips)}", config.bicycle.model, 0.0, edges, position))
    return trips


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


def _draw(choices: Sequence[Choice], rng: np.random.Generator) -> Choice:
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
