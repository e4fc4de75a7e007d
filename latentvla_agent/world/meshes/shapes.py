"""Building bricks of models: boxes, lofts, cylinders, rings, blobs and panels on walls. Metres; faces look outwards."""

from __future__ import annotations

from typing import Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import STATIC_OBJECT, FloatArray, Material, Mesh

Colour = Tuple[int, int, int]
Point = Tuple[float, float, float]
PanelUv = Tuple[float, float, float, float]

_BOX_FACES = ((0, 3, 2, 1), (4, 5, 6, 7), (0, 1, 5, 4), (1, 2, 6, 5), (2, 3, 7, 6), (3, 0, 4, 7))


def build_mesh(vertices: npt.ArrayLike, faces: npt.ArrayLike, colour: Colour, material: Material) -> Mesh:
    """A static mesh of one colour and material from `vertices` (V, 3) and `faces` (F, 3)."""
    corners = np.asarray(faces, np.int32).reshape(-1, 3)
    count = len(corners)
    return Mesh(
        np.asarray(vertices, np.float32).reshape(-1, 3),
        corners,
        np.tile(np.array(colour, np.uint8), (count, 1)),
        np.full(count, material, np.uint8),
        np.full(count, STATIC_OBJECT, np.int32),
        np.zeros((count, 3, 2), np.float32),
    )


def build_quads(vertices: npt.ArrayLike, quads: npt.ArrayLike, colour: Colour, material: Material) -> Mesh:
    """As `build_mesh`, from `quads` (Q, 4), each counter-clockwise seen from outside."""
    corners = np.asarray(quads, np.int32).reshape(-1, 4)
    return build_mesh(vertices, corners[:, [0, 1, 2, 0, 2, 3]], colour, material)


def build_box(low: Point, high: Point, colour: Colour, material: Material) -> Mesh:
    """A box between two corners."""
    (x0, y0, z0), (x1, y1, z1) = low, high
    return build_block(_rectangle(x0, x1, y0, y1, z0), _rectangle(x0, x1, y0, y1, z1), colour, material)


def build_block(bottom: FloatArray, top: FloatArray, colour: Colour, material: Material) -> Mesh:
    """Six faces between a `bottom` and a `top` of four corners (4, 3), counter-clockwise seen from above."""
    return build_quads(np.concatenate([bottom, top]), _BOX_FACES, colour, material)


def _rectangle(x0: float, x1: float, y0: float, y1: float, z: float) -> FloatArray:
    return np.array([(x0, y0, z), (x1, y0, z), (x1, y1, z), (x0, y1, z)])


def build_loft(rings: npt.ArrayLike, colour: Colour, material: Material, capped: bool = True) -> Mesh:
    """A skin over `rings` (S, P, 3) in order along an axis; points counter-clockwise seen from the axis' far end."""
    stations = np.asarray(rings, np.float64)
    num_rings, num_points = stations.shape[:2]
    index = np.arange(num_rings * num_points).reshape(num_rings, num_points)
    following = np.roll(index, -1, axis=1)
    quads = np.stack([index[:-1], following[:-1], following[1:], index[1:]], axis=-1).reshape(-1, 4)
    faces = quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    if capped:
        fan = np.array([(0, i, i + 1) for i in range(1, num_points - 1)])
        faces = np.concatenate([faces, index[0][fan[:, ::-1]], index[-1][fan]])
    return build_mesh(stations.reshape(-1, 3), faces, colour, material)


def build_cylinder(
    start: Point, end: Point, radii: Tuple[float, float], sides: int, colour: Colour, material: Material
) -> Mesh:
    """A cylinder or cone from `start` to `end` with a radius at each."""
    first, last = np.array(start), np.array(end)
    across, up = _axes_across(last - first)
    circle = _circle(sides)[:, :1] * across + _circle(sides)[:, 1:] * up
    return build_loft([first + radii[0] * circle, last + radii[1] * circle], colour, material)


def build_ring(centre: Point, radius: float, tube: float, sides: int, colour: Colour, material: Material) -> Mesh:
    """A standing ring about the y axis (a bicycle's tyre): `radius` to the outside, square section of half `tube`."""
    circle = np.stack([_circle(sides)[:, 0], np.zeros(sides), _circle(sides)[:, 1]], axis=1)
    side = np.array([0.0, tube, 0.0])
    rings = [
        (radius - tube) * circle - side,
        radius * circle - side * 0.5,
        radius * circle + side * 0.5,
        (radius - tube) * circle + side,
    ]
    skin = np.stack([*rings, rings[0]])[:, ::-1] + np.array(centre)
    return build_loft(skin, colour, material, capped=False)


def build_blob(
    centre: Point, radii: Point, sides: int, levels: int, colour: Colour, material: Material, lowest: float = -1.0
) -> Mesh:
    """An ellipsoid, cut off below `lowest` (-1 the bottom, 0 the middle)."""
    angles = np.linspace(np.arcsin(max(lowest, -0.98)), np.arcsin(0.98), levels + 1)
    circle = np.column_stack([_circle(sides), np.zeros(sides)])
    rings = [np.cos(a) * circle + np.array([0.0, 0.0, np.sin(a) / 0.98]) for a in angles]
    return build_loft(np.stack(rings) * np.array(radii) + np.array(centre), colour, material)


def build_disc(centre: Point, normal: Point, radius: float, sides: int, colour: Colour, material: Material) -> Mesh:
    """A flat disc that looks along `normal`."""
    across, up = _axes_across(np.array(normal))
    circle = np.array(centre) + radius * (_circle(sides)[:, :1] * across + _circle(sides)[:, 1:] * up)
    return build_mesh(circle, [(0, i, i + 1) for i in range(1, sides - 1)], colour, material)


def build_panel(wall: npt.ArrayLike, uv: PanelUv, lift: float, colour: Colour, material: Material) -> Mesh:
    """A part of a `wall` (4, 3), `lift` metres in front of it: from uv (u0, v0) to (u1, v1) in 0…1, u from its first
    corner to the second, v to the last; corners counter-clockwise seen from outside."""
    corners = np.asarray(wall, np.float64)
    u0, v0, u1, v1 = uv
    places = np.array([(u0, v0), (u1, v0), (u1, v1), (u0, v1)])
    bottom = corners[0] + places[:, :1] * (corners[1] - corners[0])
    top = corners[3] + places[:, :1] * (corners[2] - corners[3])
    normal = np.cross(corners[2] - corners[0], corners[3] - corners[1])
    points = bottom + places[:, 1:] * (top - bottom) + lift * normal / np.linalg.norm(normal)
    return build_quads(points, [(0, 1, 2, 3)], colour, material)


def build_strip(
    points: Sequence[Point], radius: float, sides: int, colour: Colour, material: Material
) -> Sequence[Mesh]:
    """Cylinders of one radius from point to point: a bent pipe."""
    return [build_cylinder(a, b, (radius, radius), sides, colour, material) for a, b in zip(points, points[1:])]


def _circle(sides: int) -> FloatArray:
    angles = 2.0 * np.pi * np.arange(sides) / sides
    return np.column_stack([np.cos(angles), np.sin(angles)])


def _axes_across(direction: FloatArray) -> Tuple[FloatArray, FloatArray]:
    """Two unit vectors across `direction` that, in this order, turn counter-clockwise seen from its far end."""
    axis = direction / np.linalg.norm(direction)
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    across = np.cross(helper, axis)
    across /= np.linalg.norm(across)
    return across, np.cross(axis, across)
