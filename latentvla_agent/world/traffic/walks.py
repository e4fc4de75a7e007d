"""Pedestrians of a town: random strolls along sidewalks and over crossings, as elements of SUMO's route file."""

from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Optional, Set
from xml.etree import ElementTree

import numpy as np

from latentvla_agent.world.traffic.config import TrafficConfig
from latentvla_agent.world.traffic.road_graph import admits, parse_network

PEDESTRIAN = "pedestrian"


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
            start = rng.uniform(0.0, config.walk_start_m)
            walks.append(_walker_line(f"{PEDESTRIAN}_{number}", model, depart, start, legs))
    return sorted(walks, key=lambda line: float(line.split('depart="')[1].split('"')[0]))


def _walker_line(key: str, model: str, depart: float, start: float, legs: List[str]) -> str:
    place = f'depart="{depart:.1f}" departPos="{start:.1f}"'
    return f'<person id="{key}" type="{model}" {place}>{"".join(legs)}</person>'


def _read_sidewalks(net_file: Path) -> Dict[str, List[str]]:
    """Edges with sidewalks, each with those that can be reached from it over one junction's walking areas."""
    root = parse_network(net_file)
    lanes = {lane.get("id", ""): lane for lane in root.iterfind("edge/lane")}
    sidewalks = {lane.rsplit("_", 1)[0] for lane, element in lanes.items() if _is_sidewalk(lane, element)}
    links: Dict[str, List[str]] = {}
    for link in root.iterfind("connection"):
        ends = [(link.get(end, ""), f"{link.get(end)}_{link.get(lane)}") for end, lane in _LINK_ENDS]
        if all(_is_walkable(lanes.get(lane)) for _, lane in ends):
            for (here, _), (there, _) in (ends, ends[::-1]):  # pedestrians walk in both directions
                links.setdefault(here, []).append(there)
    found = {edge: _reach(edge, links, sidewalks) for edge in links if edge in sidewalks}
    return {edge: others for edge, others in found.items() if others}


_LINK_ENDS = (("from", "fromLane"), ("to", "toLane"))


def _reach(edge: str, links: Dict[str, List[str]], sidewalks: Set[str]) -> List[str]:
    """Sidewalks next to an edge, without using another one to get there."""
    seen, waiting = {edge}, [edge]
    found: List[str] = []
    while waiting:
        for other in links.get(waiting.pop(), []):
            if other in seen:
                continue
            seen.add(other)
            (found if other in sidewalks else waiting).append(other)
    return sorted(found)


def _is_walkable(lane: Optional[ElementTree.Element]) -> bool:
    return lane is not None and "allow" in lane.attrib and admits(lane, PEDESTRIAN)


def _is_sidewalk(key: str, lane: ElementTree.Element) -> bool:
    return not key.startswith(":") and _is_walkable(lane)
