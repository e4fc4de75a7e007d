"""The ego's way ahead as one line, and where others are with respect to it."""

from __future__ import annotations

import math
from dataclasses import dataclass
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

    def point_at(self, along: float, left: float = 0.0) -> Tuple[float, float, float]:
        """Position and heading (x, y, heading) at `along` metres, `left` metres to the left of the line."""
        index = int(np.clip(np.searchsorted(self.along, along, side="right") - 1, 0, len(self.along) - 2))
        start, step = self.line[index], self.line[index + 1] - self.line[index]
        share = (along - self.along[index]) / (self.along[index + 1] - self.along[index])
        heading = math.atan2(step[1], step[0])
        x, y = start + share * step
        return float(x - left * math.sin(heading)), float(y + left * math.cos(heading)), heading

    def locate(self, x: float, y: float) -> Tuple[float, float]:
        """(metres along the path, metres to the left of it) of the nearest point of the path."""
        steps = np.diff(self.line, axis=0)
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        apart = np.array([x, y]) - self.line[:-1]
        shares = np.clip((apart * steps).sum(axis=1) / lengths**2, 0.0, 1.0)
        away = apart - shares[:, None] * steps
        index = int(np.argmin((away**2).sum(axis=1)))
        left = float(steps[index, 0] * apart[index, 1] - steps[index, 1] * apart[index, 0]) / lengths[index]
        return float(self.along[index] + shares[index] * lengths[index]), left

    def until(self, along: float) -> Path:
        """The path up to a place: roads that lead back past the ego are not taken for what lies beside it."""
        keep = max(int(np.searchsorted(self.along, along, side="right")) + 1, 2)
        parts = tuple(part for part in self.parts if part.first < along)
        return Path(self.line[:keep], self.along[:keep], parts)

    def distance_to(self, x: float, y: float) -> float:
        """Metres from a point to the path's line."""
        near_x, near_y, _ = self.point_at(self.locate(x, y)[0])
        return math.hypot(x - near_x, y - near_y)

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

    def next_junction(self) -> Optional[PathPart]:
        """The first lane inside a junction that still lies ahead."""
        return next((part for part in self.parts if part.inside_junction and part.first > 0.0), None)

    def open_road(self, after: float, before: float) -> List[Tuple[PathPart, float, float]]:
        """Stretches (lane, first, last) ahead that stay clear of junctions by these distances."""
        found = []
        for part in self.parts:
            first, last = max(part.first + after, 0.0), part.last - before
            if not part.inside_junction and last > first:
                found.append((part, first, last))
        return found


def look_ahead(sumo: Any, key: str, distance: float, shapes: Dict[str, FloatArray]) -> Optional[Path]:
    """The way ahead of a vehicle; None if it is not on a lane. `shapes` keeps the lanes' centre lines between calls."""
    lane = sumo.vehicle.getLaneID(key)
    if not lane:
        return None
    position = sumo.vehicle.getLanePosition(key)
    pieces, parts, covered = [], [], -position
    for name in _list_lanes(sumo, key, lane, distance + position):
        if name not in shapes:
            shapes[name] = np.array(sumo.lane.getShape(name), dtype=np.float64)
        length = sumo.lane.getLength(name)
        parts.append(PathPart(name, covered, covered + length))
        pieces.append((shapes[name], covered, length))
        covered += length
    line, along = _join(pieces)
    keep = np.concatenate([[True], np.diff(along) > 1e-6])
    return Path(line[keep], along[keep], tuple(parts))


def _list_lanes(sumo: Any, key: str, lane: str, distance: float) -> List[str]:
    """Lanes that the vehicle drives on, those inside junctions too, from its own lane on."""
    links = list(sumo.vehicle.getNextLinks(key))
    lanes, length, here = [lane], sumo.lane.getLength(lane), lane
    while length < distance:
        following = _follow(sumo, here, links)
        if following is None:
            break
        here = following
        lanes.append(here)
        length += sumo.lane.getLength(here)
    return lanes


def _follow(sumo: Any, lane: str, links: List[Any]) -> Optional[str]:
    """The lane after this one: the only one inside a junction, else the one that the vehicle's next links name."""
    ways = sumo.lane.getLinks(lane)
    if lane.startswith(INTERNAL):
        return str(ways[0][4] or ways[0][0]) if ways else None
    wanted = {(link[0], link[4]) for link in links}
    for way in ways:
        if (way[0], way[4]) in wanted:
            return str(way[4] or way[0])
    return None


def _join(pieces: List[Tuple[FloatArray, float, float]]) -> Tuple[FloatArray, FloatArray]:
    """One line out of lanes (shape, metres where it begins, SUMO's length), with metres along it."""
    lines, alongs = [], []
    for shape, first, length in pieces:
        steps = np.hypot(*np.diff(shape, axis=0).T)
        along = np.concatenate([[0.0], np.cumsum(steps)])
        lines.append(shape)
        alongs.append(first + along * (length / max(along[-1], 1e-9)))
    return np.concatenate(lines), np.concatenate(alongs)
