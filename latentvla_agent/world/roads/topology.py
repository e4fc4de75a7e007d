"""Which junctions a town has, where they lie and which of them a road joins: netgenerate's grids and others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Tuple
from xml.etree import ElementTree

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.world.roads.config import NetworkConfig, TopologyConfig
from latentvla_agent.world.sumo import run_program

Point = npt.NDArray[np.float64]
Pair = Tuple[str, str]

PREFIX = "topology"


@dataclass(frozen=True, eq=False)
class Topology:
    """Junction places (town frame, metres) and the pairs that a road joins, each once."""

    places: Dict[str, Point]
    pairs: Tuple[Pair, ...]

    def neighbours(self) -> Dict[str, List[str]]:
        """Junctions at the other ends of each junction's roads, in the order of `pairs`."""
        found: Dict[str, List[str]] = {key: [] for key in self.places}
        for first, second in self.pairs:
            found[first].append(second)
            found[second].append(first)
        return found


def draw_topology(config: NetworkConfig, rng: np.random.Generator, folder: Path) -> Topology:
    """Let netgenerate draw a network into `folder`, move its junctions a little and drop some of its roads."""
    arguments = [*_shape(config.kind, config.topology, rng), "--plain-output-prefix", PREFIX]
    run_program("netgenerate", [*arguments, "--seed", str(int(rng.integers(2**31 - 1)))], folder)
    topology = _read(folder)
    if config.kind == "random":
        topology = _join_roads(topology, config.topology)
    else:
        topology = _drop_roads(_jitter(topology, config.topology, rng), config.topology, rng)
    return _place(_part_roads(topology, config.topology), config)


def _shape(kind: str, config: TopologyConfig, rng: np.random.Generator) -> List[str]:
    def count(span: Tuple[int, int]) -> str:
        return str(int(rng.integers(span[0], span[1] + 1)))

    def length(span: Tuple[float, float]) -> str:
        return f"{rng.uniform(*span):.1f}"

    arm = str(config.arm_length_m)
    if kind == "grid":
        sides = ["--grid.x-number", count(config.grid_junctions), "--grid.y-number", count(config.grid_junctions)]
        return ["--grid", *sides, "--grid.length", length(config.grid_spacing_m), "--grid.attach-length", arm]
    if kind == "spider":
        size = ["--spider.arm-number", count(config.spider_arms), "--spider.circle-number", count(config.spider_rings)]
        space = ["--spider.space-radius", length(config.spider_spacing_m)]
        return ["--spider", "--spider.omit-center", *size, *space]
    near, far = config.random_distance_m
    angle = ["--rand.min-angle", str(config.random_angle_deg), "--rand.iterations", count(config.random_roads)]
    return ["--rand", *angle, "--rand.min-distance", str(near), "--rand.max-distance", str(far)]


def _read(folder: Path) -> Topology:
    nodes = ElementTree.parse(folder / f"{PREFIX}.nod.xml").getroot().iter("node")
    places = {node.attrib["id"]: np.array([float(node.attrib["x"]), float(node.attrib["y"])]) for node in nodes}
    pairs: Dict[Pair, None] = {}
    for edge in ElementTree.parse(folder / f"{PREFIX}.edg.xml").getroot().iter("edge"):
        first, second = sorted((edge.attrib["from"], edge.attrib["to"]))
        pairs[(first, second)] = None
    # Sorted, so that nothing depends on the order of netgenerate's output.
    return Topology({key: places[key] for key in sorted(places)}, tuple(sorted(pairs)))


def _jitter(topology: Topology, config: TopologyConfig, rng: np.random.Generator) -> Topology:
    moved = {key: xy + rng.uniform(-config.jitter_m, config.jitter_m, 2) for key, xy in topology.places.items()}
    return Topology(moved, topology.pairs)


def _drop_roads(topology: Topology, config: TopologyConfig, rng: np.random.Generator) -> Topology:
    """Drop some roads between junctions of four and more: none falls below three, and the town stays whole."""
    kept = list(topology.pairs)
    degree = {key: len(others) for key, others in topology.neighbours().items()}
    wanted = int(round(config.dropped_share * len(kept)))
    for row in rng.permutation(len(kept)).tolist():
        first, second = topology.pairs[row]
        if wanted == 0:
            break
        rest = [pair for pair in kept if pair != topology.pairs[row]]
        if min(degree[first], degree[second]) > 3 and is_connected(topology.places, rest):
            kept = rest
            degree[first] -= 1
            degree[second] -= 1
            wanted -= 1
    return Topology(topology.places, tuple(kept))


def _join_roads(topology: Topology, config: TopologyConfig) -> Topology:
    """Take out junctions of two roads, which become one, where it is short enough and no junction gets too sharp."""
    for key in topology.places:
        others = topology.neighbours()[key]
        if len(others) != 2 or tuple(sorted(others)) in topology.pairs:
            continue
        first, second = sorted(others)
        pairs = [pair for pair in topology.pairs if key not in pair] + [(first, second)]
        places = {name: place for name, place in topology.places.items() if name != key}
        joined = Topology(places, tuple(sorted(pairs)))
        short = float(np.hypot(*(places[first] - places[second]))) <= config.joined_m
        if short and min(measure_gap(joined, end) for end in others) >= math.radians(config.joined_angle_deg):
            topology = joined
    return topology


def _part_roads(topology: Topology, config: TopologyConfig) -> Topology:
    """Drop roads that come too near to a road of other junctions, then whatever no longer belongs to the town."""
    chords = {pair: shapely.LineString([topology.places[key] for key in pair]) for pair in topology.pairs}
    kept: List[Pair] = []
    for pair, chord in chords.items():
        strangers = [chords[other] for other in kept if not set(other) & set(pair)]
        if not any(shapely.distance(chord, other) < config.apart_m for other in strangers):
            kept.append(pair)
    return _keep_town(topology.places, kept)


def _keep_town(places: Dict[str, Point], pairs: List[Pair]) -> Topology:
    """The largest part that hangs together, without roads to junctions that are not among `places`."""
    known = [pair for pair in pairs if pair[0] in places and pair[1] in places]
    both = [*known, *((second, first) for first, second in known)]
    town = max((reach(key, both) for key in places), key=len)
    kept = {key: place for key, place in places.items() if key in town}
    return Topology(kept, tuple(pair for pair in known if pair[0] in town))


def is_connected(places: Dict[str, Point], pairs: List[Pair]) -> bool:
    """Whether every junction can be reached from every other, roads driven in both directions."""
    both = [*pairs, *((second, first) for first, second in pairs)]
    return len(reach(next(iter(places)), both)) == len(places)


def reach(start: str, pairs: List[Pair]) -> Dict[str, None]:
    """Junctions that can be reached from `start` along directed pairs (from, to), itself included."""
    onward: Dict[str, List[str]] = {}
    for first, second in pairs:
        onward.setdefault(first, []).append(second)
    seen, waiting = {start: None}, [start]
    while waiting:
        for other in onward.get(waiting.pop(), []):
            if other not in seen:
                seen[other] = None
                waiting.append(other)
    return seen


def _place(topology: Topology, config: NetworkConfig) -> Topology:
    """Move the town so that its junctions begin at the margin on both axes, and leave out those beyond the extent."""
    corner = np.min(list(topology.places.values()), axis=0) - config.margin_m
    moved = {key: xy - corner for key, xy in topology.places.items()}
    inside = {key: xy for key, xy in moved.items() if xy.max() <= config.extent_m - config.margin_m}
    return _keep_town(inside, list(topology.pairs))


def find_through_roads(topology: Topology, most: float) -> List[List[Pair]]:
    """Group the roads: at a junction, the straightest pairs that bend by less than `most` radians belong together."""
    root: Dict[Pair, Pair] = {pair: pair for pair in topology.pairs}

    def find(pair: Pair) -> Pair:
        while root[pair] != pair:
            pair = root[pair]
        return pair

    for key in topology.places:
        arms = [pair for pair in topology.pairs if key in pair]
        headings = [_leave(topology, key, pair) for pair in arms]
        bends = sorted(
            (abs(math.remainder(headings[i] - headings[j] - math.pi, 2.0 * math.pi)), i, j)
            for i in range(len(arms))
            for j in range(i)
        )
        taken: List[int] = []
        for bend, i, j in bends:
            if bend < most and i not in taken and j not in taken:
                taken += [i, j]
                root[find(arms[i])] = find(arms[j])
    groups: Dict[Pair, List[Pair]] = {}
    for pair in topology.pairs:
        groups.setdefault(find(pair), []).append(pair)
    return list(groups.values())


def measure_gap(topology: Topology, key: str) -> float:
    """The smallest angle between neighbouring roads of a junction, radians."""
    headings = sorted(_leave(topology, key, pair) for pair in topology.pairs if key in pair)
    onward = [*headings[1:], headings[0] + 2.0 * math.pi]
    return min(after - before for before, after in zip(headings, onward))


def _leave(topology: Topology, key: str, pair: Pair) -> float:
    other = pair[1] if pair[0] == key else pair[0]
    x, y = topology.places[other] - topology.places[key]
    return math.atan2(y, x)
