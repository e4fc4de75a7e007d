"""Routes of egos as NAVSIM has them: roadblock ids in travel order, and the driving command."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.errors import DataError
from latentvla_agent.world.traffic.recording import FloatArray, Recording
from latentvla_agent.world.traffic.smoothing import measure_arc

if TYPE_CHECKING:
    from latentvla_agent.world.roads.lanes import RoadConnector, Roads
    from latentvla_agent.world.roads.layers import RoadIds

IntArray = npt.NDArray[np.int64]


class Command(IntEnum):
    """Entries of the one-hot driving command."""

    LEFT = 0
    STRAIGHT = 1
    RIGHT = 2
    UNKNOWN = 3


@dataclass(frozen=True)
class RouteConfig:
    """Metres and radians. `reach_m`: how far a frame's route goes, 5 s of driving and 150 m more."""

    reach_m: float = 240.0
    command_distance_m: float = 25.0
    command_turn_rad: float = 0.35
    heading_step_m: float = 1.0


@dataclass(frozen=True, eq=False)
class Block:
    """A piece of a route: an edge's lane group, or the connectors between two edges. `line`: one of its lanes."""

    edges: Tuple[str, ...]  # one of a lane group, two of a connector
    line: FloatArray
    length: float


@dataclass(frozen=True, eq=False)
class Route:
    """What an ego drives: blocks in travel order, and for each step of its track the block under its rear axle.

    `arcs` (B,) are arc lengths of the blocks' starts; `headings` unwrapped, at arc lengths of `heading_step_m` apart.
    """

    blocks: List[Block]
    block_of_step: List[int]
    arcs: FloatArray
    headings: FloatArray
    config: RouteConfig

    def roadblock_ids(self, row: int, road_ids: RoadIds) -> List[str]:
        """Ids of the route from the block under the ego on, at the row of its track.

        Lane groups and connectors alternate; the last is a lane group.
        """
        first = self.block_of_step[row]
        end = first + 1
        while end < len(self.blocks) and self.arcs[end] - self.arcs[first] < self._reach(first):
            end += 1
        if end < len(self.blocks) and len(self.blocks[end - 1].edges) == 2:
            end += 1
        return [str(_find_id(block, road_ids)) for block in self.blocks[first:end]]

    def command(self, row: int, place: FloatArray) -> Command:
        """Where the route turns, seen from the ego at `place` (2,), at the row of its track."""
        here = self._locate(row, place)
        ahead = here + self.config.command_distance_m
        at = self.config.heading_step_m * np.arange(len(self.headings))
        if ahead > at[-1]:
            return Command.UNKNOWN
        turn = float(np.interp(ahead, at, self.headings) - np.interp(here, at, self.headings))
        if abs(turn) < self.config.command_turn_rad:
            return Command.STRAIGHT
        return Command.LEFT if turn > 0.0 else Command.RIGHT

    def _reach(self, first: int) -> float:
        return self.config.reach_m + self.blocks[first].length

    def _locate(self, row: int, place: FloatArray) -> float:
        """Arc length of the point of the current block's line that is nearest to a place."""
        block = self.blocks[self.block_of_step[row]]
        nearest = int(np.argmin(np.hypot(*(block.line - place).T)))
        return float(self.arcs[self.block_of_step[row]] + measure_arc(block.line)[nearest])


def follow_route(recording: Recording, ego: str, roads: Roads, config: RouteConfig = RouteConfig()) -> Route:
    """The route of an ego: what it drove, then what it meant to drive, then straight on if that is too short.

    Raises `DataError` for a lane that the roads don't hold.
    """
    if ego not in recording.lane_of:
        raise DataError(f"recording: expected one of the egos {recording.egos}, got {ego!r}")
    connectors = {(roads.lanes[c.from_lane].edge, roads.lanes[c.to_lane].edge): c for c in roads.connectors.values()}
    used = dict.fromkeys(recording.lane_of[ego])
    driven, block_of_step = _trace_blocks(recording.lane_of[ego], roads)
    edges = _plan_edges(driven, recording.routes.get(ego, ()), connectors, roads, config)
    onward = [key for pair in zip(edges, edges[1:]) for key in (pair, (pair[1],))]
    keys = driven + [(edges[0],)] * (len(driven[-1]) == 2) + onward
    lines = _choose_lines(roads, connectors, used)
    blocks = [_make_block(key, lines) for key in keys]
    arcs = np.concatenate([[0.0], np.cumsum([block.length for block in blocks])])[:-1]
    return Route(blocks, block_of_step, arcs, _sample_headings(blocks, config), config)


def _trace_blocks(lanes: Sequence[str], roads: Roads) -> Tuple[List[Tuple[str, ...]], List[int]]:
    """Edges and pairs of edges that were driven, alternating, and which of them at each step."""
    driven: List[Tuple[str, ...]] = []
    block_of_step: List[int] = []
    for lane in lanes:
        key = _block_key(lane, roads)
        if not driven or driven[-1] != key:
            if driven and len(driven[-1]) == 1 and len(key) == 1:
                driven.append((driven[-1][0], key[0]))  # a connector that is shorter than a step
            if driven and len(driven[-1]) == 2 and len(key) == 2:
                driven.append((key[0],))  # so is an edge, between two connectors
            driven.append(key)
        block_of_step.append(len(driven) - 1)
    return driven, block_of_step


def _block_key(lane: str, roads: Roads) -> Tuple[str, ...]:
    if lane in roads.lanes:
        return (roads.lanes[lane].edge,)
    if lane not in roads.connector_of_part:
        raise DataError(f"roads: expected the lane {lane!r} under an ego, got no such lane or connector")
    connector = roads.connectors[roads.connector_of_part[lane]]
    return (roads.lanes[connector.from_lane].edge, roads.lanes[connector.to_lane].edge)


def _plan_edges(
    driven: Sequence[Tuple[str, ...]],
    planned: Sequence[str],
    connectors: Dict[Tuple[str, str], RoadConnector],
    roads: Roads,
    config: RouteConfig,
) -> List[str]:
    """The last edge that was driven (or is about to be), and those after it."""
    edges = [key[0] for key in driven if len(key) == 1]
    if len(driven[-1]) == 2:
        edges.append(driven[-1][1])
    rest = [edges[-1], *_find_rest(edges, planned)]
    length_of = {lane.edge: float(measure_arc(lane.line)[-1]) for lane in roads.lanes.values()}
    reach = sum(length_of[edge] for edge in rest)
    while reach < config.reach_m + length_of[rest[0]]:
        following = _straightest(rest[-1], connectors)
        if following is None:
            break
        rest.append(following)
        reach += length_of[following]
    return rest


def _find_rest(edges: Sequence[str], planned: Sequence[str]) -> List[str]:
    """What of a plan is left after the driven edges; nothing if the drive left the plan."""
    for start in range(len(planned) - len(edges) + 1):
        if list(planned[start : start + len(edges)]) == list(edges):
            return list(planned[start + len(edges) :])
    return []


def _straightest(edge: str, connectors: Dict[Tuple[str, str], RoadConnector]) -> Optional[str]:
    turns = {end: abs(_turn_of(connector.line)) for (start, end), connector in connectors.items() if start == edge}
    return min(turns, key=lambda end: turns[end]) if turns else None


def _turn_of(line: FloatArray) -> float:
    headings = _headings_of(line)
    return float(headings[-1] - headings[0])


def _headings_of(line: FloatArray) -> FloatArray:
    steps = np.diff(line, axis=0)
    return np.unwrap(np.arctan2(steps[:, 1], steps[:, 0]))


def _choose_lines(
    roads: Roads, connectors: Dict[Tuple[str, str], RoadConnector], used: Dict[str, None]
) -> Dict[Tuple[str, ...], FloatArray]:
    """One line for each block: of a lane that the ego was in, if it was in any."""
    lines: Dict[Tuple[str, ...], FloatArray] = {key: connector.line for key, connector in connectors.items()}
    for lane in roads.lanes.values():
        lines.setdefault((lane.edge,), lane.line)
    for key in used:
        found = roads.lanes.get(key) or roads.connectors[roads.connector_of_part[key]]
        lines[_block_key(key, roads)] = found.line
    return lines


def _make_block(key: Tuple[str, ...], lines: Dict[Tuple[str, ...], FloatArray]) -> Block:
    if key not in lines:
        raise DataError(f"roads: expected a connector from {key[0]} to {key[-1]}, which an ego drove, got none")
    return Block(key, lines[key], float(measure_arc(lines[key])[-1]))


def _sample_headings(blocks: Sequence[Block], config: RouteConfig) -> FloatArray:
    """Unwrapped headings along all blocks, at even arc length."""
    headings = np.unwrap(np.concatenate([_headings_of(block.line) for block in blocks]))
    steps = np.concatenate([np.hypot(*np.diff(block.line, axis=0).T) for block in blocks])
    middles = np.cumsum(steps) - 0.5 * steps
    at = np.arange(0.0, float(steps.sum()), config.heading_step_m)
    return np.interp(at, middles, headings)


def _find_id(block: Block, road_ids: RoadIds) -> int:
    if len(block.edges) == 1:
        return road_ids.group[block.edges[0]]
    return road_ids.group_connector[(block.edges[0], block.edges[1])]
