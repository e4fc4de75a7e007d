"""Where a road ends to the left and right of one of its lanes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Optional

from latentvla_agent.world.events.path import Path

if TYPE_CHECKING:
    from latentvla_agent.world.traffic.simulation import LiveTraffic

CAR, CYCLE = "passenger", "bicycle"


@dataclass(frozen=True)
class Kerb:
    """Metres from a lane's middle to the right edge of the roadway, and to the left one (None: not known)."""

    right: float
    left: Optional[float]


def find_kerb(live: LiveTraffic, path: Path, along: float) -> Optional[Kerb]:
    """The kerb beside the path, if the path is on the rightmost lane for cars and no bicycle lane runs beside it."""
    lane = path.part_at(along).lane
    edge, index = lane.rsplit("_", 1)
    half = live.sumo.lane.getWidth(lane) / 2.0
    for right in range(int(index)):
        if _is_for(live.sumo, f"{edge}_{right}", CAR) or _is_for(live.sumo, f"{edge}_{right}", CYCLE):
            return None
    return Kerb(half, _left_edge(live, edge, int(index), half))


def _left_edge(live: LiveTraffic, edge: str, index: int, half: float) -> float:
    """The far kerb: the lanes to the left and those of the opposite direction."""
    sumo, width = live.sumo, half
    for left in range(index + 1, sumo.edge.getLaneNumber(edge)):
        width += sumo.lane.getWidth(f"{edge}_{left}")
    opposite = edge[1:] if edge.startswith("-") else f"-{edge}"
    if opposite in {lane.edge for lane in live.roads.lanes.values()}:
        for lane in range(sumo.edge.getLaneNumber(opposite)):
            if not _is_walkway(sumo, f"{opposite}_{lane}"):
                width += sumo.lane.getWidth(f"{opposite}_{lane}")
    return float(width)


def has_opposite(live: LiveTraffic, edge: str) -> bool:
    """Whether the road is driven in the other direction, too."""
    opposite = edge[1:] if edge.startswith("-") else f"-{edge}"
    return any(lane.edge == opposite for lane in live.roads.lanes.values())


def _is_for(sumo: Any, lane: str, user: str) -> bool:
    allowed = sumo.lane.getAllowed(lane)
    return not allowed or user in allowed


def _is_walkway(sumo: Any, lane: str) -> bool:
    return not _is_for(sumo, lane, CAR) and not _is_for(sumo, lane, CYCLE)
