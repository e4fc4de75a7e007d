"""A town's streets: courses, cross-sections, speeds, one-way roads, kinds of junctions and roundabouts."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Dict, List, Tuple

import numpy as np

from latentvla_agent.world.roads.bends import bend_roads
from latentvla_agent.world.roads.config import NetworkConfig, StreetConfig
from latentvla_agent.world.roads.curves import Line, smallest_radius
from latentvla_agent.world.roads.topology import Pair, Point, Topology, find_through_roads, measure_gap, reach

RING_PRIORITY = 12  # above every arm of a roundabout
LIMIT_ROUNDS = 3
FORK = 3  # roads from which on a junction is more than a bend


@dataclass(frozen=True, eq=False)
class Street:
    """A road between two junctions; `line` is its middle from `start` to `end`. No `backward` lanes: one-way."""

    key: str
    start: str
    end: str
    line: Line
    forward: int
    backward: int
    width: float  # of a lane
    speed: float
    sidewalk: bool
    bicycle_lane: bool
    priority: int


@dataclass(frozen=True, eq=False)
class Junction:
    """A place where streets meet; `kind` is one of SUMO's node types."""

    key: str
    place: Point
    kind: str


@dataclass(frozen=True, eq=False)
class StreetPlan:
    """A town before netconvert; `rings` lists the streets of each roundabout in driving order."""

    junctions: Dict[str, Junction]
    streets: Tuple[Street, ...]
    rings: Tuple[Tuple[str, ...], ...]


def plan_streets(topology: Topology, config: NetworkConfig, rng: np.random.Generator) -> StreetPlan:
    """Draw everything about the streets of `topology`."""
    sections = _draw_sections(topology, config.streets, rng)
    sections = _limit_lanes(_draw_one_ways(sections, topology, config.streets, rng))
    rings = _draw_roundabouts(sections, topology, config, rng)
    halves = {pair: _half_width(section, config.streets) for pair, section in sections.items()}
    radii = {
        pair: max(section.speed**2 / config.streets.side_acceleration, config.bends.radius_m)
        for pair, section in sections.items()
    }
    courses = bend_roads(topology, halves, radii, rings, config.bends, rng)
    streets = [_finish(sections[pair], courses[pair], config.streets) for pair in topology.pairs]
    kinds = _draw_kinds(streets, topology, config, rng)
    return _build_rings(streets, kinds, rings, topology, config)


def narrow_streets(plan: StreetPlan, blocked: Dict[str, int]) -> StreetPlan:
    """Take lanes away; `blocked` says how many from each edge, by its SUMO id (`-` before the key: backward)."""
    streets = [
        replace(
            street,
            forward=max(street.forward - blocked.get(street.key, 0), 1),
            backward=max(street.backward - blocked.get(f"-{street.key}", 0), min(street.backward, 1)),
        )
        for street in plan.streets
    ]
    return replace(plan, streets=tuple(streets))


def _draw_sections(topology: Topology, config: StreetConfig, rng: np.random.Generator) -> Dict[Pair, Street]:
    """Cross-sections: all streets of a through road have the same."""
    through = find_through_roads(topology, math.radians(config.through_deg))
    shares = np.array(config.lane_shares) / np.sum(config.lane_shares)
    lanes = [1 + int(rng.choice(len(shares), p=shares)) for _ in through]
    for row in rng.permutation(len(through)).tolist():
        narrow = sum(len(pairs) for pairs, count in zip(through, lanes) if count == 1)
        if narrow < config.narrow_share * len(topology.pairs):
            lanes[row] = 1
    sections: Dict[Pair, Street] = {}
    for pairs, count in zip(through, lanes):
        width, (walk, cycle) = float(rng.choice(config.widths_m)), rng.random(2)
        sides = (bool(walk < config.sidewalk_share), bool(cycle < config.bicycle_lane_share))
        for pair in pairs:
            key, line = f"{pair[0]}_{pair[1]}", np.empty((0, 2))
            speed = float(rng.choice(config.slow_speeds_mps if count == 1 else config.fast_speeds_mps))
            sections[pair] = Street(key, pair[0], pair[1], line, count, count, width, speed, *sides, count)
    return {pair: sections[pair] for pair in topology.pairs}


def _limit_lanes(sections: Dict[Pair, Street]) -> Dict[Pair, Street]:
    """Take lanes away that would end at a junction without a way on: they need lanes that they can turn into."""
    limited = dict(sections)
    for _ in range(LIMIT_ROUNDS):
        for pair, street in limited.items():
            onward = _lanes_onward(street, street.end, limited)
            backward = _lanes_onward(street, street.start, limited)
            limited[pair] = replace(
                street,
                forward=min(street.forward, onward or street.forward),
                backward=min(street.backward, backward or street.backward),
            )
    return limited


def _lanes_onward(street: Street, junction: str, sections: Dict[Pair, Street]) -> int:
    """How many lanes of `street` lead on at `junction`: the widest road's lanes, one for each other; 0: its end."""
    lanes = [
        other.forward if other.start == junction else other.backward
        for other in sections.values()
        if other.key != street.key and junction in (other.start, other.end)
    ]
    ways = [count for count in lanes if count]
    return max(ways) + len(ways) - 1 if ways else 0


def _draw_one_ways(
    sections: Dict[Pair, Street], topology: Topology, config: StreetConfig, rng: np.random.Generator
) -> Dict[Pair, Street]:
    """Make some streets one-way, as long as the town stays open (see `_is_open`)."""
    degree = {key: len(others) for key, others in topology.neighbours().items()}
    chosen = dict(sections)
    wanted = int(round(config.one_way_share * len(sections)))
    for row in rng.permutation(len(topology.pairs)).tolist():
        pair = topology.pairs[row]
        if wanted == 0:
            break
        if min(degree[pair[0]], degree[pair[1]]) < FORK:
            continue
        street = chosen[pair]
        if rng.random() < 0.5:
            street = replace(street, start=street.end, end=street.start)
        trial = {**chosen, pair: replace(street, backward=0)}
        if _is_open(trial):
            chosen, wanted = trial, wanted - 1
    return chosen


def _is_open(sections: Dict[Pair, Street]) -> bool:
    """Whether every junction can be reached from every other, and no road leads where only a U-turn leads on."""
    ways = [(street.start, street.end) for street in sections.values()]
    ways += [(street.end, street.start) for street in sections.values() if street.backward]
    keys = [key for pair in sections for key in pair]
    for start, end in ways:
        if keys.count(end) > 1 and not any(first == end and last != start for first, last in ways):
            return False
    start, count = ways[0][0], len(set(keys))
    return len(reach(start, ways)) == count == len(reach(start, [(second, first) for first, second in ways]))


def _half_width(street: Street, config: StreetConfig) -> float:
    side = (config.sidewalk_m if street.sidewalk else 0.0) + (config.bicycle_lane_m if street.bicycle_lane else 0.0)
    lanes = max(street.forward, street.backward) if street.backward else 0.5 * street.forward
    return lanes * street.width + side


def _draw_roundabouts(
    sections: Dict[Pair, Street], topology: Topology, config: NetworkConfig, rng: np.random.Generator
) -> Dict[str, float]:
    """Radius of each junction that becomes a roundabout: three arms or more, none one-way or wide, well spread."""
    plain = [
        key
        for key, others in topology.neighbours().items()
        if len(others) >= FORK
        and all(s.backward == s.forward <= 2 for pair, s in sections.items() if key in pair)
        and measure_gap(topology, key) >= math.radians(config.junctions.roundabout_gap_deg)
    ]
    count = int(round(config.junctions.roundabout_share * len(topology.places)))
    chosen = sorted(rng.permutation(len(plain))[:count].tolist())
    return {plain[row]: float(rng.uniform(*config.junctions.roundabout_radius_m)) for row in chosen}


def _finish(street: Street, course: Line, config: StreetConfig) -> Street:
    """Give a street its course and the speed that was wished for, or the greatest below it that the bends allow."""
    line = course if street.key == f"{street.start}_{street.end}" else course[::-1]
    inner = smallest_radius(line) - 0.5 * street.width
    limit = min(math.sqrt(config.side_acceleration * max(inner, 1.0)), street.speed)
    speeds = sorted({*config.slow_speeds_mps, *config.fast_speeds_mps})
    return replace(street, line=line, speed=max([speed for speed in speeds if speed <= limit] or speeds[:1]))


def _draw_kinds(
    streets: List[Street], topology: Topology, config: NetworkConfig, rng: np.random.Generator
) -> Dict[str, str]:
    kinds: Dict[str, str] = {}
    for key in topology.places:
        arms = [street for street in streets if key in (street.start, street.end)]
        signal, equal = rng.random(2)
        narrow = all(street.forward == 1 for street in arms)
        if len(arms) == 1:
            kinds[key] = "dead_end"
        elif len(arms) >= FORK and signal < config.junctions.signal_share:
            kinds[key] = "traffic_light"
        elif len(arms) >= FORK and narrow and equal < config.junctions.right_before_left_share:
            kinds[key] = "right_before_left"
        else:
            kinds[key] = "priority"
    return kinds


def _build_rings(
    streets: List[Street], kinds: Dict[str, str], radii: Dict[str, float], topology: Topology, config: NetworkConfig
) -> StreetPlan:
    """Replace each roundabout's junction by a ring of one-way streets between the ends of its arms."""
    junctions = {key: Junction(key, place, kinds[key]) for key, place in topology.places.items() if key not in radii}
    rings: List[Tuple[str, ...]] = []
    for key, radius in radii.items():
        streets, ends = _move_arms(streets, key)
        junctions.update({name: Junction(name, place, "priority") for name, place in ends})
        lanes = max(
            max(s.forward, s.backward) for s in streets if s.start.startswith(f"{key}.") or s.end.startswith(f"{key}.")
        )
        ring = _draw_ring(key, ends, topology.places[key], radius, lanes, config)
        rings.append(tuple(street.key for street in ring))
        streets = [*streets, *ring]
    return StreetPlan(junctions, tuple(streets), tuple(rings))


def _move_arms(streets: List[Street], key: str) -> Tuple[List[Street], List[Tuple[str, Point]]]:
    """Streets whose end `key` is now `key.N`, and those new ends with their places."""
    moved: List[Street] = []
    ends: List[Tuple[str, Point]] = []
    for street in streets:
        name = f"{key}.{len(ends)}"
        if street.start == key:
            ends.append((name, street.line[0]))
            street = replace(street, start=name)
        elif street.end == key:
            ends.append((name, street.line[-1]))
            street = replace(street, end=name)
        moved.append(street)
    return moved, ends


def _draw_ring(
    key: str, ends: List[Tuple[str, Point]], centre: Point, radius: float, lanes: int, config: NetworkConfig
) -> List[Street]:
    """One-way arcs, counter-clockwise, from each arm's end to the next one's."""
    angles = {name: math.atan2(*(place - centre)[::-1]) for name, place in ends}
    order = sorted(angles, key=lambda name: angles[name])
    ring = []
    for name, after in zip(order, [*order[1:], order[0]]):
        span = (angles[after] - angles[name]) % (2.0 * math.pi)
        count = max(int(math.ceil(span * radius / config.bends.step_m)), 2) + 1
        at = angles[name] + np.linspace(0.0, span, count)
        line = centre + radius * np.column_stack([np.cos(at), np.sin(at)])
        speed, width = config.junctions.roundabout_mps, max(config.streets.widths_m)
        ring.append(Street(f"{name}_ring", name, after, line, lanes, 0, width, speed, False, False, RING_PRIORITY))
    return ring
