"""Trees along the roads and further off, hedges before gardens."""

from __future__ import annotations

from functools import lru_cache
from typing import List

import numpy as np

from latentvla_agent.world.meshes.lines import list_roadsides, measure_line, sample_line
from latentvla_agent.world.meshes.mesh import FloatArray, Material, Mesh, join_meshes
from latentvla_agent.world.meshes.placement import FreeGround, draw_from, make_rectangle, make_square, turn_right
from latentvla_agent.world.meshes.shapes import Colour, build_blob, build_box, build_cylinder
from latentvla_agent.world.meshes.street_area import StreetArea
from latentvla_agent.world.meshes.street_config import PlantConfig

# Blobs of a broad crown, in crown radii from its middle, and their radii.
_BLOBS = ((0.0, 0.0, 0.0, 0.82), (0.42, 0.12, -0.25, 0.56), (-0.36, 0.34, -0.15, 0.58), (-0.1, -0.44, -0.2, 0.55))

_LOWEST_LEAF = 0.37  # of a broad tree's height


def build_trees(area: StreetArea, ground: FreeGround, rng: np.random.Generator, config: PlantConfig) -> List[Mesh]:
    """Trees on free ground, first those along the roads; their trunks' places are claimed."""
    meshes: List[Mesh] = []
    for offset, spacing in ((config.tree_offset, config.tree_spacing), (config.far_offset, config.tree_spacing)):
        for line in list_roadsides(ground.paved, offset[0], area.region):
            at, total = draw_from(rng, spacing), measure_line(line)
            while at < total and len(meshes) < config.max_trees:
                points, tangents = sample_line(line, np.array([at]))
                place = points[0] + draw_from(rng, (0.0, offset[1] - offset[0])) * turn_right(tangents[0])
                meshes += _plant_tree(place, ground, rng, config)
                at += draw_from(rng, spacing)
    return meshes


def _plant_tree(place: FloatArray, ground: FreeGround, rng: np.random.Generator, config: PlantConfig) -> List[Mesh]:
    height, crown = draw_from(rng, config.tree_height), draw_from(rng, config.crown)
    is_conifer, colour_draw, angle = (
        rng.random() < config.conifer_share,
        float(rng.random()),
        draw_from(rng, (0.0, 6.28)),
    )
    crown = min(crown, ground.measure_room(place) - config.crown_clearance)
    room = ground.measure_paved_room(place)
    if is_conifer or _LOWEST_LEAF * min(height, config.slender * crown) < config.crown_bottom:
        crown = min(crown, room)  # too low to reach over a walkway
    if crown < config.min_crown or not ground.claim(make_square(place, 0.6 * crown), 0.0):
        return []
    palette = config.needles if is_conifer else config.leaves
    colour = palette[int(colour_draw * len(palette))]
    model = _make_conifer(config) if is_conifer else _make_broadleaf(config, int(4.0 * colour_draw))
    scale = np.array([crown, crown, min(height, config.slender * crown)])
    turn = np.array([(np.cos(angle), -np.sin(angle), 0.0), (np.sin(angle), np.cos(angle), 0.0), (0.0, 0.0, 1.0)])
    return [_tint(model.transformed(turn * scale, np.array([*place, 0.0])), colour)]


def _tint(mesh: Mesh, colour: Colour) -> Mesh:
    """The mesh with leaves of a colour, as bright as they are (grey 128 is the colour itself)."""
    leaves = mesh.materials == Material.FOLIAGE
    shaded = mesh.colours[:, :1].astype(np.float64) / 128.0 * np.array(colour)
    colours = np.where(leaves[:, None], np.clip(shaded, 0, 255).astype(np.uint8), mesh.colours)
    return Mesh(mesh.vertices, mesh.faces, colours, mesh.materials, mesh.objects, mesh.uv)


@lru_cache(maxsize=None)
def _make_broadleaf(config: PlantConfig, variant: int) -> Mesh:
    """A tree of height 1 and crown radius 1, its leaves grey."""
    trunk = config.trunk_radius / config.crown[1]
    parts = [build_cylinder((0, 0, 0), (0, 0, 0.5), (trunk, 0.6 * trunk), 6, config.trunk_colour, Material.MATTE)]
    rng = np.random.Generator(np.random.PCG64(variant))
    for x, y, z, radius in _BLOBS:
        grey = 118 + int(rng.integers(0, 24))
        centre = (x, y, 0.69 + 0.28 * z + 0.02 * float(rng.random()))
        blob = build_blob(centre, (radius, radius, 0.30 * radius / 0.82), 8, 5, (grey, grey, grey), Material.FOLIAGE)
        uneven = 1.0 + 0.10 * (rng.random((len(blob.vertices), 1)) - 0.7)
        middle = np.array(centre)
        moved = (middle + (blob.vertices - middle) * uneven).astype(np.float32)
        parts.append(Mesh(moved, blob.faces, blob.colours, blob.materials, blob.objects, blob.uv))
    return join_meshes(parts)


@lru_cache(maxsize=None)
def _make_conifer(config: PlantConfig) -> Mesh:
    """A tree of height 1 and crown radius 1 of four cones, its needles grey."""
    trunk = config.trunk_radius / config.crown[1]
    parts = [build_cylinder((0, 0, 0), (0, 0, 0.4), (trunk, trunk), 6, config.trunk_colour, Material.MATTE)]
    for low, high, radius, grey in ((0.25, 0.55, 0.95, 116), (0.42, 0.72, 0.78, 124), (0.58, 0.87, 0.58, 130),
                                    (0.74, 1.0, 0.38, 138)):  # fmt: skip
        cone = build_cylinder((0, 0, low), (0, 0, high), (radius, 0.02), 9, (grey, grey, grey), Material.FOLIAGE)
        parts.append(cone)
    return join_meshes(parts)


def build_hedges(area: StreetArea, ground: FreeGround, rng: np.random.Generator, config: PlantConfig) -> List[Mesh]:
    """Hedges in pieces along roads, in stretches, on ground that is still free."""
    meshes: List[Mesh] = []
    for line in list_roadsides(ground.paved, config.hedge_offset, area.region):
        at, total = 0.0, measure_line(line)
        while at + config.hedge_length < total:
            length = config.hedge_length * int(rng.integers(2, 7))
            height, is_hedge = draw_from(rng, config.hedge_height), rng.random() < config.hedge_share
            for start in np.arange(at, min(at + length, total - config.hedge_length), config.hedge_length):
                if is_hedge:
                    meshes += _plant_hedge(line, float(start), height, ground, config)
            at += length
    return meshes


def _plant_hedge(line: FloatArray, start: float, height: float, ground: FreeGround, config: PlantConfig) -> List[Mesh]:
    points, _ = sample_line(line, np.array([start, start + config.hedge_length]))
    along = points[1] - points[0]
    length = float(np.linalg.norm(along))
    if length < 0.9 * config.hedge_length:
        return []
    outward = config.hedge_width * turn_right(along / length)
    if not ground.claim(make_rectangle(points[0], along, outward), 0.5 * config.hedge_offset):
        return []
    box = build_box((0.0, 0.0, 0.0), (1.0, 1.0, height), config.hedge_colour, Material.FOLIAGE)
    axes = np.column_stack([np.append(along, 0.0), np.append(-outward, 0.0), (0.0, 0.0, 1.0)])
    return [box.transformed(axes, np.append(points[0] + outward, 0.0))]
