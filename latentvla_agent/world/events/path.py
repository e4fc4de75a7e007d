"""The ego's way ahead as one line, and where others are with respect to it."""

from __future__ import annotations

import bisect
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]
INTERNAL = ":"  # SUMO's lanes inside junctions begin with it


@dataclass(frozen=True)
class PathPart:
    """One SUMO lane of the path: metres along the path at which it begins (maybe negative) and ends."""

    lane: str
    first: float
    last: float

    @property
    def inside_junction(self) -> bool:
        """Whether the lane crosses a junction."""
        return self.lane.startswith(INTERNAL)


@dataclass(frozen=True, eq=False)
class Path:
    """Centre line (N, 2) of the lanes ahead in the town frame, `along` (N,) metres from the ego's front bumper."""

    line: FloatArray
    along: FloatArray
    parts: Tuple[PathPart, ...]

    @property
    def length(self) -> float:
        """Metres ahead that are known."""
        return float(self.along[-1])

    @cached_property
    def _steps(self) -> Tuple[FloatArray, FloatArray, FloatArray]:
        """Steps (N - 1, 2) from vertex to vertex, their lengths and headings (N - 1,)."""
        steps = np.diff(self.line, axis=0)
        return steps, np.hypot(steps[:, 0], steps[:, 1]), np.arctan2(steps[:, 1], steps[:, 0])

    def point_at(self, along: float, left: float = 0.0) -> Tuple[float, float, float]:
        """Position and heading (x, y, heading) at `along` metres, `left` metres to the left of the line."""
        steps, _, headings = self._steps
        index = min(max(bisect.bisect_right(self._places, along) - 1, 0), len(steps) - 1)
        (start_x, start_y), (step_x, step_y) = self.line[index].tolist(), steps[index].tolist()
        share = (along - self._places[index]) / (self._places[index + 1] - self._places[index])
        heading = float(headings[index])
        x = start_x + share * step_x - left * math.sin(heading)
        return x, start_y + share * step_y + left * math.cos(heading), heading

    @cached_property
    def _places(self) -> List[float]:
        places: List[float] = self.along.tolist()
        return places

    def locate(self, x: float, y: float) -> Tuple[float, float]:
        """(metres along the path, metres to the left of it) of the nearest point of the path."""
        along, left = self.locate_all(np.array([[x, y]]))[0].tolist()
        return along, left

    def locate_all(self, points: FloatArray) -> FloatArray:
        """Metres along the path and to the left of it (K, 2) of the points of the path nearest to `points` (K, 2)."""
        steps, lengths, _ = self._steps
        apart = points[:, None] - self.line[:-1]
        shares = np.clip((apart * steps).sum(axis=2) / lengths**2, 0.0, 1.0)
        away = ((apart - shares[..., None] * steps) ** 2).sum(axis=2)
        nearest = away.argmin(axis=1)
        rows = np.arange(len(points))
        step, gap = steps[nearest], apart[rows, nearest]
        left = (step[:, 0] * gap[:, 1] - step[:, 1] * gap[:, 0]) / lengths[nearest]
        return np.column_stack([self.along[nearest] + shares[rows, nearest] * lengths[nearest], left])

    def until(self, along: float) -> Path:
        """The path up to a place: roads that lead back past the ego are not taken for what lies beside it."""
        keep = max(int(np.searchsorted(self.along, along, side="right")) + 1, 2)
        parts = tuple(part for part in self.parts if part.first < along)
        return Path(self.line[:keep], self.along[:keep], parts)

    def turning(self, first: float, last: float, samples: int = 12) -> float:
        """Largest change of heading [rad] between two places of the path."""
        headings = np.unwrap([self.point_at(along)[2] for along in np.linspace(first, last, samples)])
        return float(headings.max() - headings.min())

    def part_at(self, along: float) -> PathPart:
        """The lane at that place."""
        for part in self.parts:
            if along < part.last:
                return part
        return self.parts[-1]

    def next_crossing(self) -> Optional[Tuple[float, float]]:
        """Metres from where to where the next junction that lies wholly ahead is crossed."""
        for first, last in self.crossings():
            if first > 0.0:
                return first, last
        return None

    def crossings(self) -> List[Tuple[float, float]]:
        """Metres from where to where junctions are crossed, the lanes inside one taken together."""
        found: List[Tuple[float, float]] = []
        for part in self.parts:
            if part.inside_junction:
                joined = bool(found) and found[-1][1] >= part.first
                found[-1:] = [(found[-1][0], part.last)] if joined else [*found[-1:], (part.first, part.last)]
        return found

    def open_road(self, after: float, before: float) -> List[Tuple[PathPart, float, float]]:
        """Stretches (lane, first, last) ahead that stay clear of junctions by these distances."""
        found = []
        for part in self.parts:
            first, last = max(part.first + after, 0.0), part.last - before
            if not part.inside_junction and last > first:
                found.append((part, first, last))
        return found


class LaneBook:
    """What does not change about SUMO's lanes, asked for once: centre lines and what follows."""

    def __init__(self) -> None:
        self._lines: Dict[str, Tuple[FloatArray, FloatArray, float]] = {}
        self._ways: Dict[str, List[Tuple[str, str]]] = {}

    def line(self, sumo: Any, lane: str) -> Tuple[FloatArray, FloatArray, float]:
        """Centre line (N, 2), SUMO's metres along it (N,), length."""
        if lane not in self._lines:
            line, length = np.array(sumo.lane.getShape(lane), dtype=np.float64), float(sumo.lane.getLength(lane))
            along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
            keep = np.concatenate([[True], np.diff(along) > SHORTEST_STEP])
            along = along[keep] * (length / max(along[-1], SHORTEST_STEP))
            self._lines[lane] = (line[keep], along, length)
        return self._lines[lane]

    def ways(self, sumo: Any, lane: str) -> List[Tuple[str, str]]:
        """Where the lane leads: (lane beyond the junction, first lane inside it or "")."""
        if lane not in self._ways:
            self._ways[lane] = [(way[0], way[4]) for way in sumo.lane.getLinks(lane)]
        return self._ways[lane]


SHORTEST_STEP = 1e-3


def look_ahead(sumo: Any, key: str, distance: float, book: LaneBook) -> Optional[Path]:
    """The way ahead of a vehicle; None if it is not on a lane."""
    lane = sumo.vehicle.getLaneID(key)
    if not lane:
        return None
    position = sumo.vehicle.getLanePosition(key)
    lines, alongs, parts, covered = [], [], [], -position
    for name in _list_lanes(sumo, key, lane, distance + position, book):
        line, along, length = book.line(sumo, name)
        parts.append(PathPart(name, covered, covered + length))
        lines.append(line)
        alongs.append(covered + along)
        covered += length
    joined, places = np.concatenate(lines), np.concatenate(alongs)
    keep = np.concatenate([[True], np.diff(places) > SHORTEST_STEP / 2.0])
    return Path(joined[keep], places[keep], tuple(parts))


def _list_lanes(sumo: Any, key: str, lane: str, distance: float, book: LaneBook) -> List[str]:
    """Lanes that the vehicle drives on, those inside junctions too, from its own lane on."""
    wanted = {(link[0], link[4]) for link in sumo.vehicle.getNextLinks(key)}
    lanes, length, here = [lane], book.line(sumo, lane)[2], lane
    while length < distance:
        ways = book.ways(sumo, here)
        if here.startswith(INTERNAL):
            following = (ways[0][1] or ways[0][0]) if ways else ""
        else:
            following = next((way[1] or way[0] for way in ways if way in wanted), "")
        if not following:
            break
        here = following
        lanes.append(here)
        length += book.line(sumo, here)[2]
    return lanes
