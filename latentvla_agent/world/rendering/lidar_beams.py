"""The pattern of the lidars: where each beam starts and which way it goes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from latentvla_agent.world.rendering.config import LidarConfig, LidarHead
from latentvla_agent.world.rendering.embree import Float32Array


class Beams(NamedTuple):
    """N beams in the ego frame: `origins`, unit `directions` (N, 3), `rings` (N,) and `codes` (N,) of their lidar."""

    origins: Float32Array
    directions: Float32Array
    rings: Float32Array
    codes: Float32Array


def aim_beams(config: LidarConfig) -> Beams:
    """Beams of all lidars, head by head, ring by ring; rings are counted through."""
    parts = []
    first_ring = 0
    for head in config.heads:
        parts.append(_aim_head(head, first_ring))
        first_ring += len(head.elevations)
    return Beams(*(np.concatenate(columns) for columns in zip(*parts)))


def _aim_head(head: LidarHead, first_ring: int) -> Beams:
    low, high = head.azimuths
    azimuths = low + (high - low) * (np.arange(head.columns) + 0.5) / head.columns
    elevation, azimuth = (array.ravel() for array in np.meshgrid(head.elevations, azimuths, indexing="ij"))
    flat = np.cos(elevation)
    directions = np.column_stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    origins = np.broadcast_to(np.array(head.position), directions.shape)
    rings = np.repeat(np.arange(len(head.elevations)) + first_ring, head.columns)
    codes = np.full(len(rings), head.code, np.float32)
    columns = (origins.astype(np.float32), directions.astype(np.float32), rings.astype(np.float32), codes)
    return Beams(*columns)
