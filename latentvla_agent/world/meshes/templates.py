"""A model's template: parts with slots of colour, fitted to an annotated box so that they fill it and never leave."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import List, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import FloatArray, Mesh, join_meshes


class Slot(IntEnum):
    """Where a face has its colour from: FIXED, its own; else the actor's, so that one template serves all."""

    FIXED = 0
    PAINT = 1
    SECOND = 2
    SKIN = 3
    HAIR = 4
    TOP = 5
    TROUSERS = 6
    SHOES = 7
    BRAKE = 8


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of a model in metres: box centre at x = y = 0, front at +x, ground at z = 0. A part with a `pivot` keeps
    its shape about that point where the model is stretched: a wheel about its axle."""

    mesh: Mesh
    slot: Slot = Slot.FIXED
    pivot: Optional[Tuple[float, float, float]] = None


@dataclass(frozen=True, eq=False)
class Template:
    """`anchors` + `offsets` (V, 3) in a unit box, x and y in -0.5…0.5, z in 0…1; `size` (3,) metres as designed; faces,
    colours and materials as in `Mesh`, `slots` (F,) uint8 of `Slot`."""

    anchors: FloatArray
    offsets: FloatArray
    size: FloatArray
    mesh: Mesh
    slots: npt.NDArray[np.uint8]

    def fit(self, size: FloatArray) -> FloatArray:
        """Vertices (V, 3) that fill a box of `size` (length, width, height)."""
        stretch = size / self.size
        narrow = np.array([min(stretch[0], stretch[2]), stretch[1], stretch[2]])  # a wheel gets no longer than high
        fitted: FloatArray = self.anchors * size + self.offsets * (self.size * narrow)
        rear, front = fitted[:, 0].min(), fitted[:, 0].max()  # wheels that reach the ends may leave a gap there
        fitted[:, 0] = (fitted[:, 0] - 0.5 * (rear + front)) * (size[0] / (front - rear))
        return fitted


def build_template(parts: Sequence[Part]) -> Template:
    """Bring the parts' common bounds to the unit box."""
    mesh = join_meshes([part.mesh for part in parts])
    vertices = mesh.vertices.astype(np.float64)
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    size = high - low
    middle = np.array([(low[0] + high[0]) / 2.0, (low[1] + high[1]) / 2.0, low[2]])
    pivots: List[FloatArray] = []
    for part in parts:
        points = part.mesh.vertices.astype(np.float64)
        pivots.append(points if part.pivot is None else np.tile(np.array(part.pivot), (len(points), 1)))
    anchors = (np.concatenate(pivots) - middle) / size
    offsets = (vertices - middle) / size - anchors
    slots = np.concatenate([np.full(part.mesh.num_faces, part.slot, np.uint8) for part in parts])
    return Template(anchors, offsets, size, mesh, slots)


def mirror_mesh(mesh: Mesh) -> Mesh:
    """The mesh on the other side of the plane y = 0."""
    flipped = mesh.vertices * np.array([1.0, -1.0, 1.0], np.float32)
    return Mesh(flipped, mesh.faces[:, ::-1], mesh.colours, mesh.materials, mesh.objects, mesh.uv[:, ::-1])


def mirror_part(part: Part) -> Part:
    """The part on the other side of the plane y = 0."""
    pivot = None if part.pivot is None else (part.pivot[0], -part.pivot[1], part.pivot[2])
    return Part(mirror_mesh(part.mesh), part.slot, pivot)


def on_both_sides(parts: Sequence[Part]) -> List[Part]:
    """The parts and their mirror images."""
    return [*parts, *(mirror_part(part) for part in parts)]
