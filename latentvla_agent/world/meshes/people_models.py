"""Models of people: on foot in four phases of a stride, and astride a bicycle or a motorcycle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import List, Tuple

import numpy as np

from latentvla_agent.world.meshes.mesh import Material, Mesh
from latentvla_agent.world.meshes.shapes import (
    Point,
    build_blob,
    build_box,
    build_cylinder,
    build_loft,
    build_ring,
    build_strip,
)
from latentvla_agent.world.meshes.templates import Part, Slot, on_both_sides
from latentvla_agent.world.meshes.vehicle_models import ANY, HEAD_LAMP, PLATE, RIM, TRIM, TYRE

LIMB_SIDES = 6
TORSO_SIDES = 8


@dataclass(frozen=True)
class Figure:
    """Metres. Heights of hip, shoulder and the head's middle; half breadths of hip and shoulder; radii of head, thigh
    and arm; reach of a step and of an arm's swing to the front."""

    hip: float
    shoulder: float
    head: float
    hip_half: float
    shoulder_half: float
    head_radius: float
    thigh: float
    arm: float
    step: float
    swing: float


ADULT = Figure(0.88, 1.42, 1.62, 0.10, 0.20, 0.115, 0.085, 0.05, 0.27, 0.22)
CHILD = Figure(0.54, 0.90, 1.06, 0.07, 0.14, 0.115, 0.06, 0.038, 0.17, 0.14)
STRIDE_PHASES = (1.0, 0.5, -0.5, -1.0, -0.5, 0.5)  # of the left leg: in front is 1, behind -1


def build_walker(figure: Figure, phase: float) -> List[Part]:
    """A person on foot; `phase` in -1…1 is how far the left leg is in front and the left arm behind."""
    left, right = phase, -phase
    return [
        *_build_leg(figure, 1.0, left),
        *_build_leg(figure, -1.0, right),
        _build_torso((0.0, figure.hip - 0.06), (0.02, figure.shoulder + 0.02), figure),
        *_build_arm(figure, 1.0, -left),
        *_build_arm(figure, -1.0, -right),
        *_build_head((0.02, 0.0, figure.head), figure.head_radius),
    ]


def _build_leg(figure: Figure, side: float, forward: float) -> List[Part]:
    y = side * figure.hip_half
    foot_x = forward * figure.step
    lift = 0.04 if forward < 0.0 else 0.0  # a heel that leaves the ground
    knee = (0.5 * foot_x + 0.06, y, 0.52 * figure.hip + 0.2 * lift)
    ankle = (foot_x - 0.02, y, 0.09 + lift)
    hip = (0.0, y, figure.hip)
    shoe = ((ankle[0] - 0.07, y - 0.05, lift), (ankle[0] + 0.20, y + 0.05, 0.10 + lift))
    return [
        _limb(hip, knee, figure.thigh, 0.75 * figure.thigh, Slot.TROUSERS),
        _limb(knee, ankle, 0.75 * figure.thigh, 0.55 * figure.thigh, Slot.TROUSERS),
        Part(build_box(shoe[0], shoe[1], ANY, Material.MATTE), Slot.SHOES),
    ]


def _build_arm(figure: Figure, side: float, forward: float) -> List[Part]:
    drop = figure.shoulder - figure.hip
    shoulder = (0.02, side * figure.shoulder_half, figure.shoulder - 0.03)
    elbow = (0.45 * forward * figure.swing - 0.02, side * (figure.shoulder_half + 0.06), figure.shoulder - 0.52 * drop)
    hand = (
        forward * figure.swing + 0.05,
        side * (figure.shoulder_half + 0.04),
        figure.hip + 0.02 + 0.05 * abs(forward),
    )
    return _bend_arm(shoulder, elbow, hand, figure.arm)


def _bend_arm(shoulder: Point, elbow: Point, hand: Point, radius: float) -> List[Part]:
    return [
        _limb(shoulder, elbow, 1.15 * radius, radius, Slot.TOP),
        _limb(elbow, hand, radius, 0.75 * radius, Slot.TOP),
        Part(build_blob(hand, (radius, radius, radius), LIMB_SIDES, 2, ANY, Material.SKIN), Slot.SKIN),
    ]


def _build_torso(low: Tuple[float, float], high: Tuple[float, float], figure: Figure) -> Part:
    """From (x, z) at the hip to (x, z) at the neck's foot."""
    levels = ((0.0, 0.95, 0.70), (0.3, 0.82, 0.62), (0.72, 1.0, 0.72), (0.92, 0.98, 0.62), (1.0, 0.45, 0.42))
    angles = 2.0 * np.pi * np.arange(TORSO_SIDES) / TORSO_SIDES
    start, end = np.array([low[0], 0.0, low[1]]), np.array([high[0], 0.0, high[1]])
    rings = []
    for at, broad, deep in levels:
        ring = np.column_stack(
            [
                deep * figure.shoulder_half * 0.95 * np.cos(angles),
                broad * figure.shoulder_half * np.sin(angles),
                np.zeros(TORSO_SIDES),
            ]
        )
        rings.append(ring + start + at * (end - start))
    return Part(build_loft(rings, ANY, Material.CLOTH), Slot.TOP, (float(end[0]), 0.0, float(end[2])))


def _build_head(centre: Point, radius: float, helmet: bool = False) -> List[Part]:
    x, y, z = centre
    neck = build_cylinder((x - 0.01, y, z - 2.0 * radius), (x, y, z), (0.55 * radius, 0.5 * radius), LIMB_SIDES, ANY,
                          Material.SKIN)  # fmt: skip
    face = build_blob(centre, (0.92 * radius, 0.80 * radius, 1.12 * radius), 8, 5, ANY, Material.SKIN)
    grown = 1.22 if helmet else 1.08
    cap = build_blob(
        (x - 0.16 * radius, y, z + 0.12 * radius),
        (grown * radius, 0.92 * grown * radius, 1.14 * grown * radius), 8, 4, ANY, Material.CLOTH, -0.05
    )  # fmt: skip
    cap_slot = Slot.SECOND if helmet else Slot.HAIR
    return [Part(neck, Slot.SKIN, centre), Part(face, Slot.SKIN, centre), Part(cap, cap_slot, centre)]


def _limb(start: Point, end: Point, radius: float, end_radius: float, slot: Slot) -> Part:
    return Part(build_cylinder(start, end, (radius, end_radius), LIMB_SIDES, ANY, Material.CLOTH), slot)


def build_bicycle() -> List[Part]:
    """A bicycle with its rider."""
    hub, saddle, bars = 0.345, (-0.22, 0.0, 0.95), (0.42, 0.0, 1.02)
    bottom, rear, front = (-0.05, 0.0, 0.32), (-0.56, 0.0, hub), (0.56, 0.0, hub)
    frame = [
        *build_strip([rear, bottom, (0.38, 0.0, 0.82), (-0.19, 0.0, 0.80), bottom], 0.026, 5, ANY, Material.PAINT),
        *build_strip([rear, (-0.19, 0.0, 0.80), saddle], 0.020, 5, ANY, Material.PAINT),
        *build_strip([front, (0.38, 0.0, 0.82), bars], 0.024, 5, ANY, Material.PAINT),
    ]
    return [
        *[part for x in (rear[0], front[0]) for part in _build_bicycle_wheel(x, hub)],
        *[Part(mesh, Slot.PAINT) for mesh in frame],
        Part(build_box((-0.36, -0.07, 0.93), (-0.12, 0.07, 0.98), TRIM, Material.MATTE)),
        Part(build_cylinder((0.42, -0.29, 1.02), (0.42, 0.29, 1.02), (0.02, 0.02), 5, TRIM, Material.METAL)),
        Part(build_box((-0.63, -0.035, 0.62), (-0.58, 0.035, 0.70), ANY, Material.LAMP), Slot.BRAKE),
        *_build_rider(0.97, (0.24, 1.45), (0.40, 0.27, 1.04), ((0.13, 0.14), (-0.2, 0.42)), 0.24),
    ]


def _build_bicycle_wheel(x: float, radius: float) -> List[Part]:
    axle = (x, 0.0, radius)
    spokes = [
        build_cylinder((x + 0.3 * np.cos(a), 0.0, radius + 0.3 * np.sin(a)),
                       (x - 0.3 * np.cos(a), 0.0, radius - 0.3 * np.sin(a)), (0.006, 0.006), 3, RIM, Material.METAL)
        for a in np.pi * np.arange(4) / 4.0
    ]  # fmt: skip
    tyre = build_ring(axle, radius, 0.03, 16, TYRE, Material.MATTE)
    return [Part(tyre, pivot=axle), *[Part(mesh, pivot=axle) for mesh in spokes]]


def _build_rider(
    seat: float, neck: Tuple[float, float], hand: Point, feet: Tuple[Tuple[float, float], ...], forward: float
) -> List[Part]:
    """A person astride: `seat` height, (x, z) of the `neck`, the left `hand`, (x, z) of right and left foot."""
    figure = ADULT
    parts: List[Part] = [_build_torso((-0.22, seat - 0.03), neck, figure)]
    for side, (foot_x, foot_z) in zip((-1.0, 1.0), feet):
        hip, ankle = (-0.20, side * figure.hip_half, seat), (foot_x - 0.02, side * 0.13, foot_z + 0.08)
        knee = (forward * 0.75 + 0.2 * foot_x, side * 0.13, 0.5 * (seat + foot_z) + 0.12)
        shoulder = (neck[0] - 0.02, side * figure.shoulder_half, neck[1] - 0.06)
        grip = (hand[0], side * hand[1], hand[2])
        elbow = (0.45 * (neck[0] + hand[0]) - 0.02, side * 0.29, 0.5 * (neck[1] + hand[2]) - 0.05)
        shoe = ((foot_x - 0.10, side * 0.13 - 0.05, foot_z), (foot_x + 0.14, side * 0.13 + 0.05, foot_z + 0.09))
        parts += [
            _limb(hip, knee, figure.thigh, 0.07, Slot.TROUSERS),
            _limb(knee, ankle, 0.065, 0.045, Slot.TROUSERS),
            Part(build_box(shoe[0], shoe[1], ANY, Material.MATTE), Slot.SHOES),
            *_bend_arm(shoulder, elbow, grip, figure.arm),
        ]
    return [*parts, *_build_head((neck[0] + 0.07, 0.0, neck[1] + 0.19), figure.head_radius, helmet=True)]


def build_motorcycle() -> List[Part]:
    """A motorcycle with its rider."""
    radius = 0.31
    wheels = [part for x in (-0.70, 0.74) for part in _build_motorcycle_wheel(x, radius)]
    return [
        *wheels,
        Part(_build_tank(), Slot.PAINT),
        Part(build_box((-0.85, -0.13, 0.70), (-0.05, 0.13, 0.80), TRIM, Material.MATTE)),
        Part(build_box((-0.42, -0.17, 0.24), (0.32, 0.17, 0.62), (70, 72, 76), Material.METAL)),
        Part(build_box((-1.02, -0.10, 0.72), (-0.80, 0.10, 0.84), ANY, Material.LAMP), Slot.BRAKE),
        Part(build_box((-1.03, -0.09, 0.50), (-1.00, 0.09, 0.64), PLATE, Material.MATTE)),
        Part(build_blob((0.60, 0.0, 0.88), (0.12, 0.13, 0.13), 8, 4, HEAD_LAMP, Material.LAMP)),
        *on_both_sides(
            [
                Part(mesh)
                for mesh in build_strip([(0.74, 0.09, radius), (0.48, 0.1, 0.96)], 0.03, 5, RIM, Material.METAL)
            ]
        ),
        Part(build_cylinder((0.42, -0.36, 1.02), (0.42, 0.36, 1.02), (0.025, 0.025), 5, TRIM, Material.METAL)),
        *on_both_sides(
            [Part(build_cylinder((-0.95, 0.19, 0.36), (-0.1, 0.19, 0.30), (0.06, 0.05), 6, RIM, Material.METAL))]
        ),
        *_build_rider(0.84, (0.06, 1.32), (0.40, 0.33, 1.04), ((-0.06, 0.26), (-0.06, 0.26)), 0.34),
    ]


def _build_motorcycle_wheel(x: float, radius: float) -> List[Part]:
    axle = (x, 0.0, radius)
    hub = build_cylinder((x, -0.05, radius), (x, 0.05, radius), (0.2, 0.2), 10, RIM, Material.METAL)
    return [Part(build_ring(axle, radius, 0.07, 16, TYRE, Material.MATTE), pivot=axle), Part(hub, pivot=axle)]


def _build_tank() -> Mesh:
    stations = ((-0.12, 0.10, 0.72, 0.84), (0.10, 0.19, 0.66, 0.96), (0.38, 0.19, 0.62, 1.0), (0.56, 0.10, 0.62, 0.96))
    rings = [[(x, h, low), (x, h, 0.8 * high + 0.2 * low), (x, 0.5 * h, high), (x, -0.5 * h, high),
              (x, -h, 0.8 * high + 0.2 * low), (x, -h, low)] for x, h, low, high in stations]  # fmt: skip
    return build_loft(rings, ANY, Material.PAINT)
