"""Models of what stands on a road: cones, barriers, signs of a construction zone, other things."""

from __future__ import annotations

from typing import List

import numpy as np

from latentvla_agent.world.meshes.mesh import FloatArray, Material, Mesh
from latentvla_agent.world.meshes.shapes import Colour, build_box, build_cylinder, build_loft, build_panel
from latentvla_agent.world.meshes.templates import Part, Slot, on_both_sides
from latentvla_agent.world.meshes.vehicle_models import ANY, PLATE, TRIM, TYRE

ORANGE: Colour = (242, 92, 20)
WHITE: Colour = (240, 240, 236)
RED: Colour = (208, 28, 28)
YELLOW_LAMP: Colour = (255, 176, 30)
STEEL: Colour = (150, 152, 156)


def build_cone() -> List[Part]:
    """A traffic cone: orange with two white bands on a square foot."""
    bands = ((0.05, 0.30, ORANGE), (0.30, 0.44, WHITE), (0.44, 0.56, ORANGE), (0.56, 0.66, WHITE), (0.66, 0.78, ORANGE))
    cones = [
        build_cylinder((0, 0, low), (0, 0, high), (_cone_radius(low), _cone_radius(high)), 10, colour, Material.MATTE)
        for low, high, colour in bands
    ]
    foot = build_box((-0.2, -0.2, 0.0), (0.2, 0.2, 0.05), (190, 62, 12), Material.MATTE)
    return [Part(foot), *[Part(mesh) for mesh in cones]]


def _cone_radius(height: float) -> float:
    return 0.165 - 0.165 * height + 0.01


def build_barrier(along_y: bool) -> List[Part]:
    """A road barrier: two boards with slanted red and white stripes on feet, lamps on top; long along x or y."""
    parts = [Part(build_box((-1.0, -0.04, low), (1.0, 0.04, high), WHITE, Material.MATTE)) for low, high in
             ((0.30, 0.52), (0.66, 0.92))]  # fmt: skip
    for low, high in ((0.30, 0.52), (0.66, 0.92)):
        wall = np.array([(-1.0, -0.04, low), (1.0, -0.04, low), (1.0, -0.04, high), (-1.0, -0.04, high)])
        stripes = [_stripe(wall, u) for u in np.arange(6) / 6.0]
        parts += on_both_sides([Part(mesh) for mesh in stripes])
    for x in (-0.75, 0.75):
        parts.append(Part(build_box((x - 0.05, -0.06, 0.05), (x + 0.05, 0.06, 0.94), STEEL, Material.METAL)))
        parts.append(Part(build_box((x - 0.12, -0.25, 0.0), (x + 0.12, 0.25, 0.09), TRIM, Material.MATTE)))
        parts.append(Part(build_cylinder((x, 0, 0.92), (x, 0, 1.0), (0.06, 0.05), 8, YELLOW_LAMP, Material.LAMP)))
    return [_quarter_turn(part) for part in parts] if along_y else parts


def _stripe(wall: FloatArray, start: float) -> Mesh:
    """A red stripe that leans to the right."""
    lean, width = 0.06, 0.075
    low = [wall[0] + u * (wall[1] - wall[0]) for u in (start, start + width)]
    high = [wall[3] + u * (wall[2] - wall[3]) for u in (start + width + lean, start + lean)]
    return build_panel(np.array([*low, *high]), (0.0, 0.0, 1.0, 1.0), 0.008, RED, Material.MATTE)


def _quarter_turn(part: Part) -> Part:
    turn = np.array([(0.0, -1.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
    return Part(part.mesh.transformed(turn, np.zeros(3)), part.slot)


def build_zone_sign() -> List[Part]:
    """A construction zone's sign: an orange diamond with a dark mark on both sides, on a post with a foot."""
    diamond = [(0.35, 0.64), (0.0, 0.99), (-0.35, 0.64), (0.0, 0.29)]
    board = build_loft([[(x, y, z) for y, z in diamond] for x in (-0.02, 0.02)], ORANGE, Material.MATTE)
    parts = [
        Part(board),
        Part(build_box((-0.03, -0.03, 0.0), (0.015, 0.03, 0.5), STEEL, Material.METAL)),
        Part(build_box((-0.15, -0.25, 0.0), (0.15, 0.25, 0.06), TRIM, Material.MATTE)),
        Part(build_box((-0.03, -0.03, 0.97), (0.03, 0.03, 1.1), YELLOW_LAMP, Material.LAMP)),
    ]
    for sign in (-1.0, 1.0):
        mark = build_box((sign * 0.024 - 0.004, -0.13, 0.56), (sign * 0.024 + 0.004, 0.13, 0.63), TRIM, Material.MATTE)
        pole = build_box((sign * 0.024 - 0.004, -0.04, 0.63), (sign * 0.024 + 0.004, 0.04, 0.82), TRIM, Material.MATTE)
        parts += [Part(mark), Part(pole)]
    return parts


def build_bin() -> List[Part]:
    """A rubbish container on wheels with a dark lid: what stands for any other thing."""
    low = [(-0.40, -0.36), (0.40, -0.36), (0.40, 0.36), (-0.40, 0.36)]
    rings = [[(s * x, s * y, z) for x, y in low] for s, z in ((1.0, 0.16), (1.22, 0.96))]
    parts = [
        Part(build_loft(rings, ANY, Material.PAINT), Slot.PAINT),
        Part(build_box((-0.50, -0.45, 0.96), (0.50, 0.45, 1.03), TRIM, Material.MATTE)),
        Part(build_box((-0.40, -0.36, 1.03), (0.40, 0.36, 1.12), TRIM, Material.MATTE)),
        Part(build_box((0.47, -0.16, 0.60), (0.495, 0.16, 0.80), PLATE, Material.MATTE)),
    ]
    for x in (-0.28, 0.28):
        wheel = build_cylinder((x, 0.22, 0.1), (x, 0.32, 0.1), (0.1, 0.1), 10, TYRE, Material.MATTE)
        parts += on_both_sides([Part(wheel)])
    return parts
