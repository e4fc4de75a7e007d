"""Courses of roads: smooth curves between junctions that keep clear of each other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Dict, List, Tuple

import numpy as np
import numpy.typing as npt
import shapely

from latentvla_agent.world.roads.config import BendConfig
from latentvla_agent.world.roads.curves import Line, draw_spline, drop_repeats, resample_smoothly, smallest_radius
from latentvla_agent.world.roads.topology import Pair, Point, Topology

Ends = Dict[Tuple[str, str], float]  # by (junction, other end): heading at which the road leaves the junction

POINTS_PER_LEG = 24
LEAD_SHARE = 0.2  # of the length, at most
HANDLE_SHARE = 0.25  # of the length: how far a road holds its first direction
MOUTH_M = 30.0  # so near to a common junction two roads may come close


def bend_roads(
    topology: Topology,
    halves: Dict[Pair, float],
    radii: Dict[Pair, float],
    rings: Dict[str, float],
    config: BendConfig,
    rng: np.random.Generator,
) -> Dict[Pair, Line]:
    """A course (M, 2) for each road, from its first junction, or from the rim of a roundabout, to its second.

    Args:
        halves: half the width of each road, metres.
        radii: the tightest bend of each road's inner border, metres.
        rings: radius of each junction that is a roundabout.
    """
    leaving = _draw_headings(topology, rings, config, rng)
    courses: Dict[Pair, Line] = {}
    grounds: Dict[Pair, shapely.Geometry] = {
        pair: shapely.LineString([topology.places[key] for key in pair]).buffer(halves[pair]) for pair in topology.pairs
    }
    for pair in topology.pairs:
        bend = _draw_bend(pair, topology, leaving, rings, config, rng)
        courses[pair] = _find_course(bend, halves[pair], radii[pair], _obstacles(pair, topology, grounds), config)
        grounds[pair] = shapely.LineString(courses[pair]).buffer(halves[pair])
    return courses


@dataclass(frozen=True, eq=False)
class _Bend:
    """A road's ends (2, 2), how far each turns from the chord, bulges in metres; radii of the ends' roundabouts."""

    ends: Line
    turns: Tuple[float, float]
    sways: npt.NDArray[np.float64]
    rims: Tuple[float, float]


def _draw_bend(
    pair: Pair, topology: Topology, leaving: Ends, rings: Dict[str, float], config: BendConfig, rng: np.random.Generator
) -> _Bend:
    ends = np.array([topology.places[key] for key in pair])
    chord = _heading(ends[0], ends[1])
    turns = (leaving[pair] - chord, leaving[(pair[1], pair[0])] - chord - math.pi)
    count = max(int(round(np.hypot(*(ends[1] - ends[0])) / config.sway_every_m)), 1)
    first, second = (math.remainder(turn, 2.0 * math.pi) for turn in turns)
    sides = rng.choice([-1.0, 1.0], count)
    sides[0] = math.copysign(1.0, first - second)  # the side to which the ends turn: an arc rather than a wriggle
    sways = rng.uniform(*config.sway_m, count) * sides
    if rng.random() < config.straight_share:
        sways = np.zeros(count)
    rims = (rings.get(pair[0], 0.0), rings.get(pair[1], 0.0))
    return _Bend(ends, (first, second), sways, rims)


def _draw_headings(topology: Topology, rings: Dict[str, float], config: BendConfig, rng: np.random.Generator) -> Ends:
    """Turn each road's end away from its chord, then push neighbouring roads of a junction apart.

    Roads that end alone, and the arms of roundabouts, which need room between them, follow their chords.
    """
    leaving: Ends = {}
    most = math.radians(config.turn_deg)
    for key, others in topology.neighbours().items():
        chords = np.array([_heading(topology.places[key], topology.places[other]) for other in others])
        order = np.argsort(chords, kind="stable")
        turns = most * rng.uniform(config.least_turn, 1.0, len(others)) * rng.choice([-1.0, 1.0], len(others))
        turned = chords + (turns if len(others) > 1 and key not in rings else 0.0)
        if key not in rings:
            turned[order] = _push_apart(chords[order], turned[order], most, config)
        leaving.update({(key, other): float(turned[row]) for row, other in enumerate(others)})
    return leaving


def _push_apart(chords: Line, headings: Line, most: float, config: BendConfig) -> Line:
    """Headings, in order around the junction, moved until neighbours are `gap_deg` apart, as far as it goes."""
    if len(chords) < 2:
        return headings
    gap = min(math.radians(config.gap_deg), 0.9 * 2.0 * math.pi / len(chords))
    moved = headings.copy()
    for _ in range(config.settle_rounds):
        onward = np.roll(moved, -1)
        onward[-1] += 2.0 * math.pi
        lacking = np.maximum(gap - (onward - moved), 0.0)
        moved += 0.5 * (np.roll(lacking, 1) - lacking)
        moved = np.clip(moved, chords - most, chords + most)
    return moved


def _heading(start: Point, end: Point) -> float:
    return math.atan2(end[1] - start[1], end[0] - start[0])


def _find_course(
    bend: _Bend, half: float, radius: float, obstacles: List[shapely.Geometry], config: BendConfig
) -> Line:
    """The most bent course whose bends are wide enough and that keeps clear of the other roads."""
    strength = config.strongest
    course = _draw_course(bend, strength, config)
    for _ in range(config.tries):
        if smallest_radius(course) >= radius + half and _is_clear(course, half, obstacles, config):
            break
        strength *= config.calmer
        course = _draw_course(bend, strength, config)
    return course


def _draw_course(bend: _Bend, strength: float, config: BendConfig) -> Line:
    """B-spline with straight leads at both ends and bulges in between; strength 0 is the chord.

    The ends turn no farther than was drawn, however strong: neighbouring roads count on that.
    """
    chord = bend.ends[1] - bend.ends[0]
    heading = math.atan2(chord[1], chord[0])
    turn = min(strength, 1.0)
    out, back = _unit(heading + turn * bend.turns[0]), _unit(heading + math.pi + turn * bend.turns[1])
    start, end = bend.ends[0] + bend.rims[0] * out, bend.ends[1] + bend.rims[1] * back
    length = float(np.hypot(*(end - start)))
    lead, handle = min(config.lead_m, LEAD_SHARE * length), HANDLE_SHARE * length / (1 + len(bend.sways))
    aside = np.array([-chord[1], chord[0]]) / np.hypot(*chord)
    near = [start + f * out for f in (0.0, 0.5 * lead, lead, lead + handle)]
    far = [end + f * back for f in (lead + handle, lead, 0.5 * lead, 0.0)]
    at = np.linspace(0.0, 1.0, len(bend.sways) + 2)[1:-1, None]
    middle = near[-1] + at * (far[0] - near[-1]) + strength * bend.sways[:, None] * aside
    return resample_smoothly(drop_repeats(draw_spline(np.array([*near, *middle, *far]), POINTS_PER_LEG)), config.step_m)


def _unit(heading: float) -> Point:
    return np.array([math.cos(heading), math.sin(heading)])


def _obstacles(pair: Pair, topology: Topology, grounds: Dict[Pair, shapely.Geometry]) -> List[shapely.Geometry]:
    """The grounds of the other roads; those that share a junction lose what lies near it."""
    found = []
    for other, ground in grounds.items():
        if other == pair:
            continue
        for key in other:
            if key in pair:
                ground = ground.difference(shapely.Point(topology.places[key]).buffer(MOUTH_M))
        found.append(ground)
    return found


def _is_clear(course: Line, half: float, obstacles: List[shapely.Geometry], config: BendConfig) -> bool:
    line = shapely.LineString(course)
    shapely.prepare(line)
    return not bool(np.any(shapely.dwithin(line, np.array(obstacles, dtype=object), half + config.clearance_m)))
