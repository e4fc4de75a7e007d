"""Models of passenger cars and vans: a lofted body, a cabin with windows between pillars, wheels, lights, plates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from latentvla_agent.world.meshes.mesh import FloatArray, Material, Mesh
from latentvla_agent.world.meshes.shapes import (
    Colour,
    PanelUv,
    Point,
    build_block,
    build_box,
    build_cylinder,
    build_disc,
    build_loft,
    build_panel,
)
from latentvla_agent.world.meshes.templates import Part, Slot, on_both_sides

ANY: Colour = (128, 128, 128)  # of a slot that every actor colours
GLASS_TINT: Colour = (38, 48, 58)
TYRE: Colour = (24, 24, 26)
RIM: Colour = (178, 180, 184)
TRIM: Colour = (32, 33, 36)
PLATE: Colour = (236, 236, 226)
HEAD_LAMP: Colour = (255, 248, 226)
INDICATOR: Colour = (222, 128, 26)
LIFT = 0.012  # metres between a wall and the panel on it


@dataclass(frozen=True)
class CarShape:
    """Metres. `stations`: x, half width, bottom and top of the body from rear to front. `cabin`: rear and front x at
    the belt, half width at the belt, belt height, rear and front x of the roof, its half width, its height."""

    stations: Tuple[Tuple[float, float, float, float], ...]
    cabin: Tuple[float, float, float, float, float, float, float, float]
    axles: Tuple[float, float]
    wheel_radius: float
    tyre_width: float
    side_windows: Tuple[Tuple[float, float], ...]  # from rear to front, in 0…1 of the cabin's side
    lamp_height: float
    tail_lamp: Tuple[float, float, float]  # its middle height, half height, and width
    has_rails: bool


SEDAN = CarShape(
    ((-2.40, 0.76, 0.36, 0.86), (-2.28, 0.86, 0.24, 0.99), (-1.70, 0.89, 0.20, 1.01), (0.95, 0.89, 0.20, 0.98)
     , (1.85, 0.87, 0.20, 0.84), (2.28, 0.82, 0.24, 0.74), (2.40, 0.70, 0.32, 0.64)),
    (-1.92, 1.12, 0.83, 0.95, -1.10, 0.22, 0.62, 1.46),
    (-1.42, 1.40), 0.33, 0.21, ((0.09, 0.48), (0.53, 0.93)), 0.66, (0.84, 0.10, 0.40), False,
)  # fmt: skip
HATCHBACK = CarShape(
    ((-2.02, 0.74, 0.38, 0.90), (-1.92, 0.85, 0.24, 1.00), (-1.40, 0.88, 0.20, 1.02), (0.85, 0.88, 0.20, 0.98)
     , (1.55, 0.86, 0.20, 0.86), (1.92, 0.80, 0.24, 0.76), (2.02, 0.68, 0.32, 0.66)),
    (-1.94, 1.12, 0.82, 0.95, -1.58, 0.30, 0.64, 1.50),
    (-1.25, 1.28), 0.32, 0.20, ((0.10, 0.44), (0.49, 0.93)), 0.68, (0.98, 0.15, 0.26), False,
)  # fmt: skip
SUV = CarShape(
    ((-2.32, 0.80, 0.42, 1.00), (-2.24, 0.91, 0.30, 1.14), (-1.60, 0.93, 0.27, 1.15), (0.90, 0.93, 0.27, 1.13)
     , (1.90, 0.91, 0.27, 1.04), (2.26, 0.87, 0.30, 0.94), (2.32, 0.78, 0.38, 0.82)),
    (-2.26, 1.22, 0.87, 1.08, -2.00, 0.38, 0.70, 1.74),
    (-1.40, 1.42), 0.38, 0.24, ((0.07, 0.32), (0.36, 0.63), (0.67, 0.94)), 0.86, (1.06, 0.17, 0.26), True,
)  # fmt: skip
VAN = CarShape(
    ((-2.70, 0.88, 0.42, 1.14), (-2.66, 0.95, 0.30, 1.26), (-1.60, 0.96, 0.28, 1.26), (1.50, 0.96, 0.28, 1.22)
     , (2.30, 0.94, 0.28, 1.06), (2.64, 0.89, 0.32, 0.92), (2.70, 0.80, 0.40, 0.80)),
    (-2.68, 2.02, 0.93, 1.18, -2.62, 1.22, 0.82, 2.28),
    (-1.65, 1.75), 0.36, 0.24, ((0.66, 0.94),), 0.82, (1.30, 0.30, 0.14), False,
)  # fmt: skip


def build_car(shape: CarShape) -> List[Part]:
    """Parts of a car of that shape."""
    return [
        Part(_build_body(shape), Slot.PAINT),
        *_build_cabin(shape),
        *_build_ends(shape),
        *build_wheels(shape.axles, _widest(shape), shape.wheel_radius, shape.tyre_width),
        *_build_mirrors(shape),
    ]


def _widest(shape: CarShape) -> float:
    return max(station[1] for station in shape.stations)


def _build_body(shape: CarShape) -> Mesh:
    rings = []
    for x, half, bottom, top in shape.stations:
        waist = bottom + 0.45 * (top - bottom)
        shoulder = bottom + 0.86 * (top - bottom)
        side = [(0.92 * half, bottom), (half, waist), (0.97 * half, shoulder), (0.84 * half, top)]
        rings.append([(x, y, z) for y, z in side] + [(x, -y, z) for y, z in side[::-1]])
    return build_loft(rings, ANY, Material.PAINT)


def _build_cabin(shape: CarShape) -> List[Part]:
    rear, front, half, belt, roof_rear, roof_front, roof_half, height = shape.cabin
    base = np.array([(rear, -half, belt), (front, -half, belt), (front, half, belt), (rear, half, belt)])
    roof_half_xy = ((roof_rear, -roof_half), (roof_front, -roof_half), (roof_front, roof_half), (roof_rear, roof_half))
    roof = np.array([(x, y, height) for x, y in roof_half_xy])
    sides = [Part(_glass(_side(base, roof), (u0, 0.14, u1, 0.88))) for u0, u1 in shape.side_windows]
    return [
        Part(build_block(base, roof, ANY, Material.PAINT), Slot.PAINT),
        *on_both_sides(sides),
        Part(_glass(np.array([base[1], base[2], roof[2], roof[1]]), (0.05, 0.08, 0.95, 0.93))),
        Part(_glass(np.array([base[3], base[0], roof[0], roof[3]]), (0.08, 0.22, 0.92, 0.88))),
        Part(build_box((roof_rear - 0.02, -0.16, height - 0.07), (roof_rear + 0.05, 0.16, height - 0.01), ANY,
                       Material.LAMP), Slot.BRAKE),
        *(on_both_sides([_build_rail(shape)]) if shape.has_rails else []),
    ]  # fmt: skip


def _side(base: FloatArray, roof: FloatArray) -> FloatArray:
    """The right wall, seen from outside: rear bottom, front bottom, front top, rear top."""
    return np.array([base[0], base[1], roof[1], roof[0]])


def _glass(wall: FloatArray, uv: PanelUv) -> Mesh:
    return build_panel(wall, uv, LIFT, GLASS_TINT, Material.GLASS)


def _build_rail(shape: CarShape) -> Part:
    _, _, _, _, rear, front, half, height = shape.cabin
    low, high = (rear + 0.25, half - 0.10, height - 0.01), (front - 0.25, half - 0.05, height + 0.05)
    return Part(build_box(low, high, TRIM, Material.METAL))


def _build_ends(shape: CarShape) -> List[Part]:
    """Lamps, grille, bumpers and plates."""
    (tail, tail_half), (nose, nose_half) = shape.stations[0][:2], shape.stations[-1][:2]
    second_nose = shape.stations[-2][0]
    low, middle, width = shape.lamp_height, shape.tail_lamp[0], shape.tail_lamp[2]
    half_height, outer = shape.tail_lamp[1], shape.stations[1][1] - 0.02
    corner = shape.stations[-2][1] - 0.01
    front_lamp = build_box((second_nose - 0.1, corner - 0.40, low - 0.09), (nose - 0.03, corner - 0.02, low + 0.08),
                           HEAD_LAMP, Material.LAMP)  # fmt: skip
    blinker = build_box((second_nose - 0.2, corner - 0.08, low - 0.07), (nose - 0.07, corner + 0.01, low + 0.05),
                        INDICATOR, Material.MATTE)  # fmt: skip
    rear_lamp = build_box((tail - 0.02, outer - width, middle - half_height),
                          (tail + 0.16, outer, middle + half_height), ANY, Material.LAMP)  # fmt: skip
    bumper = shape.stations[0][2]
    return [
        *on_both_sides([Part(front_lamp), Part(blinker), Part(rear_lamp, Slot.BRAKE)]),
        _block((nose - 0.1, -0.42, low - 0.13), (nose + 0.02, 0.42, low + 0.06), TRIM),
        _block((nose - 0.1, -nose_half, bumper - 0.06), (nose + 0.03, nose_half, bumper + 0.06), TRIM),
        _block((nose, -0.26, low - 0.30), (nose + 0.045, 0.26, low - 0.17), PLATE),
        _block((tail - 0.03, -tail_half, bumper - 0.06), (tail + 0.1, tail_half, bumper + 0.08), TRIM),
        _block((tail - 0.03, -0.26, middle - 0.20), (tail + 0.1, 0.26, middle - 0.07), PLATE),
    ]


def _block(low: Point, high: Point, colour: Colour) -> Part:
    return Part(build_box(low, high, colour, Material.MATTE))


def _build_mirrors(shape: CarShape) -> List[Part]:
    front, belt, half = shape.cabin[1], shape.cabin[3], _widest(shape)
    low, high = (front - 0.52, half - 0.12, belt + 0.06), (front - 0.40, half + 0.09, belt + 0.22)
    return on_both_sides([Part(build_box(low, high, ANY, Material.PAINT), Slot.PAINT)])


def build_wheels(axles: Tuple[float, ...], half_width: float, radius: float, tyre_width: float) -> List[Part]:
    """Two wheels at each x of `axles`, their outside just beyond the body of `half_width`, with the arch behind."""
    parts: List[Part] = []
    for x in axles:
        axle = (x, half_width, radius)
        outside = half_width + 0.03
        inner, outer = (x, half_width - tyre_width, radius), (x, outside, radius)
        arch, arch_z = radius * 1.16, radius * 1.08 + 0.08 * radius
        parts += [
            Part(
                build_cylinder(
                    (x, half_width - 0.05, arch_z),
                    (x, half_width + 0.008, arch_z),
                    (arch, arch),
                    16,
                    TRIM,
                    Material.MATTE,
                )
            ),
            Part(build_cylinder(inner, outer, (radius, radius), 16, TYRE, Material.MATTE), pivot=axle),
            Part(
                build_disc((x, outside + 0.006, radius), (0, 1, 0), radius * 0.66, 10, RIM, Material.METAL), pivot=axle
            ),
            Part(
                build_disc((x, outside + 0.012, radius), (0, 1, 0), radius * 0.2, 6, TRIM, Material.MATTE), pivot=axle
            ),
        ]
        for spoke in range(5):
            parts.append(Part(_build_spoke_gap(x, outside + 0.010, radius, spoke), pivot=axle))
    return on_both_sides(parts)


def _build_spoke_gap(x: float, y: float, radius: float, index: int) -> Mesh:
    """A dark gap between two spokes of a rim."""
    angle, half = 2.0 * np.pi * index / 5.0, 0.34
    around = [(0.26, angle - half * 0.6), (0.26, angle + half * 0.6), (0.58, angle + half), (0.58, angle - half)]
    points = [(x + radius * r * np.sin(a), y, radius + radius * r * np.cos(a)) for r, a in around]
    return build_panel(points[::-1], (0.0, 0.0, 1.0, 1.0), 0.0, TRIM, Material.MATTE)
