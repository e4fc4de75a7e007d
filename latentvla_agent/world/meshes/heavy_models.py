"""Models of trucks and buses."""

from __future__ import annotations

from typing import List, Tuple

import numpy as np

from latentvla_agent.world.meshes.mesh import FloatArray, Material, Mesh
from latentvla_agent.world.meshes.shapes import Colour, Point, build_block, build_box, build_loft, build_panel
from latentvla_agent.world.meshes.templates import Part, Slot, on_both_sides
from latentvla_agent.world.meshes.vehicle_models import (
    ANY,
    GLASS_TINT,
    HEAD_LAMP,
    INDICATOR,
    LIFT,
    PLATE,
    RIM,
    TRIM,
    build_wheels,
)

SIGN_LAMP: Colour = (255, 170, 40)  # of a bus' destination
CHASSIS: Colour = (44, 45, 48)
HAZARD: Colour = (214, 30, 26)


def build_truck() -> List[Part]:
    """A lorry: cab with windscreen in front, a tall cargo box behind, three axles."""
    cab_low = _corners(2.62, 4.20, 1.20, 0.55)
    cab_high = _corners(2.62, 3.98, 1.10, 2.95)
    front = np.array([cab_low[1], cab_low[2], cab_high[2], cab_high[1]])
    right = np.array([cab_low[0], cab_low[1], cab_high[1], cab_high[0]])
    return [
        Part(build_block(cab_low, cab_high, ANY, Material.PAINT), Slot.PAINT),
        Part(_glass(front, (0.06, 0.48, 0.94, 0.86))),
        Part(_panel(front, (0.14, 0.12, 0.86, 0.34), TRIM)),
        *on_both_sides([Part(_glass(right, (0.30, 0.50, 0.92, 0.86)))]),
        _box((-4.20, -1.22, 1.05), (2.40, 1.22, 3.40), ANY, Slot.SECOND, Material.PAINT),
        *on_both_sides([_box((-4.10, 1.21, 1.5), (2.30, 1.235, 1.72), ANY, Slot.PAINT, Material.PAINT)]),
        _box((-4.15, -0.75, 0.60), (4.0, 0.75, 1.06), CHASSIS),
        *_build_truck_ends(),
        *build_wheels((-3.05, -1.85, 3.25), 1.19, 0.50, 0.34),
        *_build_heavy_mirrors(3.95, 1.9),
    ]


def _build_truck_ends() -> List[Part]:
    doors = np.array([(-4.20, 1.22, 1.05), (-4.20, -1.22, 1.05), (-4.20, -1.22, 3.40), (-4.20, 1.22, 3.40)])
    return [
        Part(_panel(doors, (0.493, 0.02, 0.507, 0.98), TRIM)),
        Part(_panel(doors, (0.36, 0.05, 0.375, 0.95), RIM)),
        Part(_panel(doors, (0.625, 0.05, 0.64, 0.95), RIM)),
        *on_both_sides(
            [
                _box((-4.25, 0.66, 0.66), (-4.1, 1.16, 0.92), ANY, Slot.BRAKE, Material.LAMP),
                _box((4.15, 0.72, 0.72), (4.24, 1.10, 0.92), HEAD_LAMP, Slot.FIXED, Material.LAMP),
                _box((4.13, 1.11, 0.72), (4.22, 1.19, 0.92), INDICATOR),
            ]
        ),
        _box((-4.23, -1.15, 0.42), (-4.12, 1.15, 0.56), HAZARD),
        _box((-4.26, -0.28, 0.68), (-4.1, 0.28, 0.84), PLATE),
        _box((4.05, -1.2, 0.40), (4.25, 1.2, 0.66), CHASSIS),
        _box((4.2, -0.28, 0.46), (4.27, 0.28, 0.60), PLATE),
    ]


def build_bus() -> List[Part]:
    """A city bus: a long box with a band of windows, doors on its right, a lit destination sign."""
    rings = [_bus_ring(x, half, top) for x, half, top in ((-5.5, 1.18, 3.0), (-5.42, 1.25, 3.1), (5.35, 1.25, 3.1),
                                                          (5.5, 1.16, 2.98))]  # fmt: skip
    right = np.array([(-5.4, -1.25, 0.35), (5.3, -1.25, 0.35), (5.3, -1.25, 3.0), (-5.4, -1.25, 3.0)])
    return [
        Part(build_loft(rings, ANY, Material.PAINT), Slot.PAINT),
        *on_both_sides([Part(_panel(right, (0.0, 0.02, 1.0, 0.12), ANY), Slot.SECOND)]),
        *on_both_sides([Part(_glass(right, (u, 0.42, u + 0.105, 0.82))) for u in np.arange(7) * 0.118 + 0.03]),
        Part(_glass(right, (0.87, 0.06, 0.985, 0.86))),
        Part(_panel(right, (0.925, 0.06, 0.93, 0.86), TRIM, 2.0 * LIFT)),
        Part(_glass(right, (0.42, 0.06, 0.53, 0.82), 1.5 * LIFT)),
        Part(_panel(right, (0.472, 0.06, 0.478, 0.82), TRIM, 2.0 * LIFT)),
        *_build_bus_ends(),
        _box((-4.2, -0.8, 3.05), (-1.2, 0.8, 3.30), CHASSIS),
        *build_wheels((-3.1, 3.0), 1.26, 0.50, 0.32),
        *_build_heavy_mirrors(5.40, 2.2),
    ]


def _bus_ring(x: float, half: float, top: float) -> List[Point]:
    side = [(half, 0.32), (half, top - 0.22), (half - 0.10, top - 0.05), (half - 0.3, top)]
    return [(x, y, z) for y, z in side] + [(x, -y, z) for y, z in side[::-1]]


def _build_bus_ends() -> List[Part]:
    front = np.array([(5.5, -1.16, 0.32), (5.5, 1.16, 0.32), (5.5, 1.16, 2.9), (5.5, -1.16, 2.9)])
    rear = np.array([(-5.5, 1.18, 0.32), (-5.5, -1.18, 0.32), (-5.5, -1.18, 2.9), (-5.5, 1.18, 2.9)])
    return [
        Part(_glass(front, (0.05, 0.30, 0.95, 0.80))),
        Part(_panel(front, (0.14, 0.84, 0.86, 0.96), SIGN_LAMP, LIFT, Material.LAMP)),
        Part(_panel(front, (0.02, 0.0, 0.98, 0.08), TRIM)),
        Part(_panel(front, (0.40, 0.10, 0.60, 0.16), PLATE)),
        Part(_glass(rear, (0.12, 0.58, 0.88, 0.90))),
        Part(_panel(rear, (0.25, 0.22, 0.75, 0.46), TRIM)),
        Part(_panel(rear, (0.39, 0.10, 0.61, 0.17), PLATE)),
        Part(_panel(rear, (0.02, 0.0, 0.98, 0.07), TRIM)),
        *on_both_sides(
            [
                _box((-5.54, 0.86, 0.75), (-5.4, 1.15, 1.25), ANY, Slot.BRAKE, Material.LAMP),
                _box((-5.53, 0.86, 1.28), (-5.4, 1.15, 1.45), INDICATOR),
                _box((5.38, 0.78, 0.60), (5.54, 1.12, 0.82), HEAD_LAMP, Slot.FIXED, Material.LAMP),
            ]
        ),
    ]


def _build_heavy_mirrors(x: float, z: float) -> List[Part]:
    return on_both_sides([_box((x - 0.02, 1.14, z), (x + 0.12, 1.36, z + 0.42), TRIM)])


def _corners(x0: float, x1: float, half: float, z: float) -> FloatArray:
    return np.array([(x0, -half, z), (x1, -half, z), (x1, half, z), (x0, half, z)])


def _glass(wall: FloatArray, uv: Tuple[float, float, float, float], lift: float = LIFT) -> Mesh:
    return build_panel(wall, uv, lift, GLASS_TINT, Material.GLASS)


def _panel(
    wall: FloatArray,
    uv: Tuple[float, float, float, float],
    colour: Colour,
    lift: float = LIFT,
    material: Material = Material.MATTE,
) -> Mesh:
    return build_panel(wall, uv, lift, colour, material)


def _box(low: Point, high: Point, colour: Colour, slot: Slot = Slot.FIXED, material: Material = Material.MATTE) -> Part:
    return Part(build_box(low, high, colour, material), slot)
