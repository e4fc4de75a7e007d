"""Buildings along the roads: blocks of row houses, towers, houses with gardens, and parks between."""

from __future__ import annotations

from typing import Dict, List, Tuple, TypeVar

import numpy as np

from latentvla_agent.world.meshes.lines import list_roadsides, measure_line, sample_line
from latentvla_agent.world.meshes.mesh import FloatArray, Material, Mesh
from latentvla_agent.world.meshes.placement import FreeGround, draw_from, make_rectangle, turn_right
from latentvla_agent.world.meshes.shapes import Colour, build_block, build_mesh, build_quads
from latentvla_agent.world.meshes.street_area import StreetArea
from latentvla_agent.world.meshes.street_config import BuildingConfig

Number = TypeVar("Number", int, float)


def build_buildings(
    area: StreetArea, ground: FreeGround, rng: np.random.Generator, config: BuildingConfig
) -> List[Mesh]:
    """Buildings on free ground along all roads; their footprints are claimed."""
    meshes: List[Mesh] = []
    for line in list_roadsides(ground.paved, config.clearance, area.region):
        total, at = measure_line(line), 0.0
        while at < total:
            block_end = at + draw_from(rng, config.block)
            kind = _draw_kind(rng, config)
            if kind != "park":
                meshes += _build_block(line, (at, min(block_end, total)), kind, ground, rng, config)
            at = block_end
    return meshes


def _draw_kind(rng: np.random.Generator, config: BuildingConfig) -> str:
    shares = np.array([share for _, share in config.kinds], np.float64)
    return config.kinds[int(np.searchsorted(np.cumsum(shares / shares.sum()), rng.random()))][0]


def _build_block(
    line: FloatArray,
    span: Tuple[float, float],
    kind: str,
    ground: FreeGround,
    rng: np.random.Generator,
    config: BuildingConfig,
) -> List[Mesh]:
    """Buildings of one kind along a roadside, between two distances from its start."""
    meshes: List[Mesh] = []
    setback, at = draw_from(rng, _find(config.setback, kind)), span[0]
    while at < span[1]:
        width = config.bay * _draw_count(rng, _find(config.bays, kind))
        depth = config.bay * _draw_count(rng, _find(config.depths, kind))
        points, _ = sample_line(line, np.array([at, at + width]))
        chord = points[1] - points[0]
        length = float(np.linalg.norm(chord))
        if length < 0.9 * width:  # around a corner, or at the line's end
            at += config.step
            continue
        along = chord / length
        outward = turn_right(along)
        corner = points[0] + setback * outward
        if not ground.claim(make_rectangle(corner, width * along, depth * outward), config.clearance):
            at += config.step
            continue
        meshes += _build_house(np.array([corner, width * along, depth * outward]), kind, rng, config)
        at += width + draw_from(rng, _find(config.gaps, kind))
    return meshes


def _find(table: Tuple[Tuple[str, Number, Number], ...], kind: str) -> Tuple[Number, Number]:
    rows: Dict[str, Tuple[Number, Number]] = {name: (low, high) for name, low, high in table}
    return rows[kind]


def _draw_count(rng: np.random.Generator, span: Tuple[int, int]) -> int:
    return int(rng.integers(span[0], span[1] + 1))


def _build_house(footprint: FloatArray, kind: str, rng: np.random.Generator, config: BuildingConfig) -> List[Mesh]:
    """`footprint` (3, 2): the front's first corner, the front's side, the side outwards."""
    height = config.floor * _draw_count(rng, _find(config.floors, kind))
    wall = config.walls[int(rng.integers(len(config.walls)))]
    roof = config.roofs[int(rng.integers(len(config.roofs)))]
    gabled = kind == "house" or (kind == "row" and rng.random() < config.row_gables)
    # Outwards is to the right of the front's direction: this order is counter-clockwise from above.
    corner, along, outward = footprint
    base = np.array([corner, corner + outward, corner + outward + along, corner + along])
    walls = build_walls(base, height, wall)
    if gabled:
        return [walls, *_build_gable(base, height, wall, roof, config)]
    return [walls, *_build_flat_roof(base, height, wall, config)]


def build_walls(base: FloatArray, height: float, colour: Colour) -> Mesh:
    """Facades on a footprint (4, 2), counter-clockwise; uv in metres from each wall's lower left corner."""
    count = len(base)
    low, high = _raise(base, 0.0), _raise(base, height)
    index = np.arange(count)
    following = np.roll(index, -1)
    quads = np.column_stack([index, following, following + count, index + count])
    plain = build_quads(np.concatenate([low, high]), quads, colour, Material.FACADE)
    lengths = np.linalg.norm(np.roll(base, -1, axis=0) - base, axis=1)
    zero, top = np.zeros(count), np.full(count, height)
    corners = np.stack(
        [np.column_stack(pair) for pair in ((zero, zero), (lengths, zero), (lengths, top), (zero, top))], 1
    )
    uv = corners[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3, 2).astype(np.float32)
    return Mesh(plain.vertices, plain.faces, plain.colours, plain.materials, plain.objects, uv)


def _build_flat_roof(base: FloatArray, height: float, wall: Colour, config: BuildingConfig) -> List[Mesh]:
    """A roof behind a low wall."""
    middle = base.mean(axis=0)
    scale = 1.0 - config.parapet_width / np.linalg.norm(base - middle, axis=1, keepdims=True)
    inner, top = middle + (base - middle) * scale, height + config.parapet
    rings = np.concatenate([_raise(base, height), _raise(base, top), _raise(inner, top), _raise(inner, height)])
    quads = [
        (4 * r + i, 4 * r + (i + 1) % 4, 4 * r + 4 + (i + 1) % 4, 4 * r + 4 + i) for r in range(3) for i in range(4)
    ]
    return [
        build_quads(rings, quads, wall, Material.MATTE),
        build_quads(_raise(inner, height), [(0, 1, 2, 3)], config.flat_roof, Material.MATTE),
    ]


def _build_gable(base: FloatArray, height: float, wall: Colour, roof: Colour, config: BuildingConfig) -> List[Mesh]:
    """A roof of two slopes, its ridge along the front."""
    outward, along = base[1] - base[0], base[3] - base[0]
    depth = float(np.linalg.norm(outward))
    rise = config.pitch * 0.5 * depth
    ridge = height + rise
    ends = np.vstack([_raise(base, height), _raise(np.array([base[0], base[3]]) + 0.5 * outward, ridge)])
    gables = build_mesh(ends, [(0, 1, 4), (2, 3, 5)], wall, Material.MATTE)
    side = config.overhang * along / np.linalg.norm(along)
    out = config.overhang * outward / depth
    drop = config.overhang * rise / (0.5 * depth)
    eaves = np.array([base[0] - out - side, base[1] + out - side, base[2] + out + side, base[3] - out + side])
    tops = np.array([base[0] + 0.5 * outward - side, base[3] + 0.5 * outward + side])
    low, high = _raise(eaves, height - drop), _raise(tops, ridge)
    thick = np.array([0.0, 0.0, config.roof_thickness])
    slopes = [np.array([low[3], low[0], high[0], high[1]]), np.array([low[1], low[2], high[1], high[0]])]
    return [gables, *(build_block(slope, slope + thick, roof, Material.MATTE) for slope in slopes)]


def _raise(points: FloatArray, height: float) -> FloatArray:
    return np.column_stack([points, np.full(len(points), height)])
