"""Which rare events there are, and a set of directors for the egos of a town."""

from __future__ import annotations

from typing import Dict, List, Sequence, Tuple, Type

import numpy as np

from latentvla_agent.errors import ConfigError, suggest
from latentvla_agent.world.events.base import EgoEvent, Turns
from latentvla_agent.world.events.config import EventConfig
from latentvla_agent.world.events.crossing_kinds import BlockedIntersection, RedLightRunner
from latentvla_agent.world.events.cut_in import CutIn
from latentvla_agent.world.events.detour import Cones, StalledVehicle
from latentvla_agent.world.events.lead_brakes import LeadBrakesHard
from latentvla_agent.world.events.pedestrian import PedestrianStepsOut
from latentvla_agent.world.events.roundabout import RoundaboutEntry
from latentvla_agent.world.events.wrong_way import WrongWayVehicle

EVENTS: Tuple[Type[EgoEvent], ...] = (
    LeadBrakesHard,
    CutIn,
    PedestrianStepsOut,
    StalledVehicle,
    Cones,
    RedLightRunner,
    WrongWayVehicle,
    BlockedIntersection,
    RoundaboutEntry,
)
KINDS: Dict[str, Type[EgoEvent]] = {event.kind: event for event in EVENTS}


def make_directors(config: EventConfig, egos: Sequence[str], rng: np.random.Generator) -> List[EgoEvent]:
    """Directors for the egos: for each, `kinds_per_ego` kinds drawn by their shares, or none.

    Which events came about can be read from the directors after the recording (`count_events`).

    Raises:
        ConfigError: a share names an unknown kind or is negative.
    """
    kinds, weights = _check_shares(config)
    directors: List[EgoEvent] = []
    for ego in egos:
        turns = Turns()
        for kind in _draw_kinds(kinds, weights, config, rng):
            own = np.random.Generator(np.random.PCG64(int(rng.integers(2**63))))
            directors.append(KINDS[kind](ego, config, own, turns))
    return directors


def count_events(directors: Sequence[EgoEvent]) -> Dict[str, Tuple[int, int]]:
    """Per kind: how often it was tried and how often it happened."""
    counts: Dict[str, Tuple[int, int]] = {}
    for director in directors:
        tried, happened = counts.get(director.kind, (0, 0))
        counts[director.kind] = (tried + 1, happened + int(director.happened))
    return counts


def _check_shares(config: EventConfig) -> Tuple[List[str], np.ndarray]:
    for kind, share in config.shares:
        if kind not in KINDS:
            raise ConfigError(f"event kind: expected one of {', '.join(KINDS)}, got {kind!r}{suggest(kind, KINDS)}")
        if share < 0.0:
            raise ConfigError(f"share of {kind}: expected at least 0, got {share}")
    kinds = [kind for kind, share in config.shares if share > 0.0]
    return kinds, np.array([share for _, share in config.shares if share > 0.0])


def _draw_kinds(kinds: List[str], weights: np.ndarray, config: EventConfig, rng: np.random.Generator) -> List[str]:
    """Different kinds for one ego, the first one drawn first; empty if "none" comes out."""
    total = float(weights.sum()) + config.none_share
    if not kinds or rng.random() * total < config.none_share:
        return []
    number = min(config.kinds_per_ego, len(kinds))
    return [kinds[i] for i in rng.choice(len(kinds), number, replace=False, p=weights / weights.sum()).tolist()]
