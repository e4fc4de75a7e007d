"""Towns that the tests of roads share: built once a process, small ones."""

from __future__ import annotations

import hashlib
import tempfile
from functools import lru_cache
from pathlib import Path
from typing import Dict, Tuple

import pytest
import shapely

from latentvla_agent.data.map_layers import MapLayer
from latentvla_agent.world.roads.config import NetworkConfig, TopologyConfig
from latentvla_agent.world.roads.lanes import Roads, read_roads
from latentvla_agent.world.roads.layers import RoadIds, lay_out_map
from latentvla_agent.world.roads.networks import make_network

OFFSET = (587000.0, 4475000.0)
FIRST_ID = 300000
SMALL = TopologyConfig(grid_junctions=(4, 4), spider_arms=(6, 6), spider_rings=(3, 3), random_roads=(24, 24))
FAST_TOWNS = [("grid", 1), ("spider", 1), ("random", 1)]
SLOW_TOWNS = [("grid", 2), ("spider", 2), ("random", 2)]
TOWNS = [*FAST_TOWNS, *(pytest.param(*town, marks=pytest.mark.slow) for town in SLOW_TOWNS)]


def small_network(kind: str, seed: int) -> NetworkConfig:
    """The configuration of a small town."""
    return NetworkConfig(kind=kind, seed=seed, topology=SMALL)


@lru_cache(maxsize=None)
def sample_roads(kind: str, seed: int) -> Roads:
    """Its roads."""
    pytest.importorskip("sumo", reason="the extra [world] is not installed")
    with tempfile.TemporaryDirectory() as folder:
        return read_roads(make_network(small_network(kind, seed), Path(folder)))


@lru_cache(maxsize=None)
def sample_map(kind: str, seed: int) -> Tuple[Dict[str, MapLayer], RoadIds]:
    """Its map."""
    return lay_out_map(sample_roads(kind, seed), OFFSET, FIRST_ID)


def digest_map(kind: str, seed: int) -> str:
    """Hash of all ids, columns and coordinates of its map."""
    digest = hashlib.sha256()
    for name, layer in sample_map(kind, seed)[0].items():
        digest.update(name.encode() + layer.ids.tobytes() + repr(shapely.to_wkb(layer.geometry).tolist()).encode())
        for column, values in layer.columns.items():
            digest.update(column.encode() + repr(values.tolist()).encode())
    return digest.hexdigest()
