"""A street from a city map: the ground and all that stands still on it, around a drive."""

from __future__ import annotations

from typing import Collection

import numpy as np

from latentvla_agent.data.maps import CityMap
from latentvla_agent.world.meshes.buildings import build_buildings
from latentvla_agent.world.meshes.furniture import build_furniture
from latentvla_agent.world.meshes.ground import build_pavement, draw_ground
from latentvla_agent.world.meshes.mesh import FloatArray, Street, join_meshes
from latentvla_agent.world.meshes.placement import FreeGround
from latentvla_agent.world.meshes.plants import build_hedges, build_trees
from latentvla_agent.world.meshes.signals import place_signals
from latentvla_agent.world.meshes.street_area import read_area
from latentvla_agent.world.meshes.street_config import StreetConfig


def build_street(
    city_map: CityMap,
    path: FloatArray,
    radius: float,
    seed: int,
    signalised: Collection[str] = (),
    config: StreetConfig = StreetConfig(),
) -> Street:
    """The street within `radius` metres of a drive's `path` (K, 2) in the map frame; one seed gives the same bytes.

    `signalised`: ids of the lane connectors that have a traffic light, as the log's frames name them.
    Raises `DataError` where the path is not finite points or mapbox_earcut is missing.
    """
    area = read_area(city_map, path, radius, signalised)
    ground = FreeGround(area)
    # Traffic lights and lamps first: they have one right place, buildings and trees have many.
    poles, heads = place_signals(area, ground, config.furniture)
    streams = [np.random.Generator(np.random.PCG64(child)) for child in np.random.SeedSequence(seed).spawn(4)]
    meshes = [
        build_pavement(area, config.ground),
        *poles,
        *build_furniture(area, ground, streams[0], config.furniture),
        *build_buildings(area, ground, streams[1], config.building),
        *build_trees(area, ground, streams[2], config.plant),
        *build_hedges(area, ground, streams[3], config.plant),
    ]
    return Street(join_meshes(meshes), draw_ground(area, config), area.origin, tuple(heads))
