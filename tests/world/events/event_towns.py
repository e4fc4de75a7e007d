"""A small town of straight roads for the tests of rare events, and recordings with one ego in it."""

from __future__ import annotations

from pathlib import Path
from typing import List, Tuple

import numpy as np
import shapely

from latentvla_agent.world.events import EgoEvent, EventConfig, make_directors
from latentvla_agent.world.roads.config import (
    BendConfig,
    JunctionConfig,
    NetworkConfig,
    StreetConfig,
    TopologyConfig,
)
from latentvla_agent.world.roads.lanes import Roads, read_roads
from latentvla_agent.world.roads.networks import make_network
from latentvla_agent.world.traffic.config import TrafficConfig
from latentvla_agent.world.traffic.recording import FloatArray, Recording, Track
from latentvla_agent.world.traffic.simulation import record_traffic

EGO = "ego_0"
NETWORK = NetworkConfig(
    "grid",
    1,
    topology=TopologyConfig(grid_junctions=(3, 3), grid_spacing_m=(230.0, 230.0), jitter_m=0.0, dropped_share=0.0),
    bends=BendConfig(straight_share=1.0),
    streets=StreetConfig(lane_shares=(0.4, 0.6, 0.0, 0.0), one_way_share=0.0, bicycle_lane_share=0.0),
    junctions=JunctionConfig(signal_share=0.5, roundabout_share=0.25),
)


def make_event_town(folder: Path) -> Tuple[Path, Roads]:
    """The town's network file and its roads."""
    net_file = make_network(NETWORK, folder)
    return net_file, read_roads(net_file)


def record_event(town: Tuple[Path, Roads], kind: str, seed: int, duration_s: float) -> Tuple[Recording, List[EgoEvent]]:
    """A drive of one ego to which the event may happen."""
    traffic = TrafficConfig(
        seed=seed,
        duration_s=duration_s,
        warm_up_s=5.0,
        num_egos=1,
        num_vehicles=8,
        num_bicycles=0,
        num_pedestrians=0,
    )
    rng = np.random.Generator(np.random.PCG64(seed))
    directors = make_directors(EventConfig(shares=((kind, 1.0),)), [EGO], rng)
    return record_traffic(town[0], town[1], traffic, directors), directors


def outline(track: Track, state: FloatArray) -> shapely.Polygon:
    """The box of a track at a state."""
    x, y, heading = state[:3]
    turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    corners = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [track.length / 2.0, track.width / 2.0]
    return shapely.Polygon(corners @ turn.T + [x, y])


def distances(recording: Recording, ego: str, others: Tuple[str, ...], first: int, last: int) -> FloatArray:
    """Metres from the ego's box to the nearest of the others' boxes, at each step."""
    track = recording.tracks[ego]
    found = []
    for step in range(first, last + 1):
        box = outline(track, track.state_at(step))
        there = [recording.tracks[key] for key in others if recording.tracks[key].exists_at(step)]
        found.append(min((box.distance(outline(other, other.state_at(step))) for other in there), default=np.inf))
    return np.array(found)


def hits_going_on(recording: Recording, ego: str, others: Tuple[str, ...], step: int, horizon: int) -> bool:
    """Whether the ego would hit one of the others if it went straight on at its speed from that step."""
    track = recording.tracks[ego]
    start = track.state_at(step)
    for ahead in range(min(horizon, recording.num_steps - 1 - step)):
        moved = start.copy()
        moved[:2] += 0.1 * ahead * start[3] * np.array([np.cos(start[2]), np.sin(start[2])])
        box = outline(track, moved)
        for key in others:
            other = recording.tracks[key]
            if other.exists_at(step + ahead) and box.intersects(outline(other, other.state_at(step + ahead))):
                return True
    return False
