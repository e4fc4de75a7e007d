"""Triangle meshes with colours and materials, the ground's raster of labels, and the street that holds both.

Frame: metres, z up, the road at z = 0, x and y relative to an origin in the map frame that the maker of a mesh names.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.errors import DataError

STATIC_OBJECT = -1  # object of a face that belongs to no annotated box
FloatArray = npt.NDArray[np.float64]
LabelArray = npt.NDArray[np.uint8]


class Material(IntEnum):
    """What a face is made of. GROUND takes its look from the raster at its place; LAMP shines in its own colour."""

    GROUND = 0
    MATTE = 1
    PAINT = 2
    GLASS = 3
    METAL = 4
    FACADE = 5
    FOLIAGE = 6
    SKIN = 7
    CLOTH = 8
    LAMP = 9


class Ground(IntEnum):
    """Labels of the ground raster."""

    TERRAIN = 0
    ASPHALT = 1
    WALKWAY = 2
    WHITE = 3
    YELLOW = 4
    KERB = 5
    PARKING = 6
    JUNCTION = 7


@dataclass(frozen=True, eq=False)
class Mesh:
    """Triangles, counter-clockwise seen from outside.

    `vertices` (V, 3) float32 metres; `faces` (F, 3) int32; per face `colours` (F, 3) uint8 sRGB, `materials` (F,)
    uint8 of `Material`, `objects` (F,) int32: the row of the frame's boxes, or `STATIC_OBJECT`; `uv` (F, 3, 2) float32:
    metres along and up the wall for FACADE, zeros elsewhere.
    """

    vertices: npt.NDArray[np.float32]
    faces: npt.NDArray[np.int32]
    colours: npt.NDArray[np.uint8]
    materials: npt.NDArray[np.uint8]
    objects: npt.NDArray[np.int32]
    uv: npt.NDArray[np.float32]

    def __post_init__(self) -> None:
        count = len(self.faces)
        expected = {"faces": (count, 3), "colours": (count, 3), "materials": (count,), "objects": (count,)}
        for name, shape in {**expected, "uv": (count, 3, 2), "vertices": (len(self.vertices), 3)}.items():
            if getattr(self, name).shape != shape:
                raise DataError(f"mesh: expected {name} of shape {shape}, got {getattr(self, name).shape}")

    @property
    def num_faces(self) -> int:
        """Number of triangles."""
        return len(self.faces)

    def transformed(self, matrix: FloatArray, shift: FloatArray) -> Mesh:
        """A copy with each vertex v at `matrix` (3, 3) @ v + `shift` (3,). A mirroring turns faces inside out."""
        moved = self.vertices.astype(np.float64) @ np.asarray(matrix, np.float64).T + shift
        return Mesh(moved.astype(np.float32), self.faces, self.colours, self.materials, self.objects, self.uv)

    def of_object(self, index: int) -> Mesh:
        """A copy whose faces all belong to the object `index`."""
        objects = np.full(self.num_faces, index, np.int32)
        return Mesh(self.vertices, self.faces, self.colours, self.materials, objects, self.uv)


def make_empty_mesh() -> Mesh:
    """A mesh of nothing."""
    return Mesh(
        np.zeros((0, 3), np.float32),
        np.zeros((0, 3), np.int32),
        np.zeros((0, 3), np.uint8),
        np.zeros(0, np.uint8),
        np.zeros(0, np.int32),
        np.zeros((0, 3, 2), np.float32),
    )


def join_meshes(meshes: Sequence[Mesh]) -> Mesh:
    """One mesh of all, in order."""
    if not meshes:
        return make_empty_mesh()
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + np.int32(start) for mesh, start in zip(meshes, starts)]),
        np.concatenate([mesh.colours for mesh in meshes]),
        np.concatenate([mesh.materials for mesh in meshes]),
        np.concatenate([mesh.objects for mesh in meshes]),
        np.concatenate([mesh.uv for mesh in meshes]),
    )


@dataclass(frozen=True, eq=False)
class GroundRaster:
    """What lies on the ground. `origin` (2,): the lower left corner of cell [0, 0], in the street's own frame (metres
    from `Street.origin`); `labels` (H, W) uint8 of `Ground`, row = y, column = x, `resolution` metres a cell."""

    origin: FloatArray
    resolution: float
    labels: LabelArray

    def labels_at(self, points: FloatArray) -> LabelArray:
        """Labels (N,) at `points` (N, 2) in the street's frame; `Ground.TERRAIN` outside of the raster."""
        cells = np.floor((points - self.origin) / self.resolution).astype(np.int64)
        height, width = self.labels.shape
        inside = (cells[:, 0] >= 0) & (cells[:, 0] < width) & (cells[:, 1] >= 0) & (cells[:, 1] < height)
        found = np.full(len(points), Ground.TERRAIN, np.uint8)
        found[inside] = self.labels[cells[inside, 1], cells[inside, 0]]
        return found


@dataclass(frozen=True)
class SignalHead:
    """A traffic light head: the lane connector that it is for, the middle of its front face (street's frame) and the
    heading (radians) that it faces, towards oncoming traffic."""

    connector_id: str
    position: Tuple[float, float, float]
    heading: float


@dataclass(frozen=True, eq=False)
class Street:
    """All that stands still. `mesh` and `ground` are relative to `origin` (2,) in the map frame, z = 0 is the road."""

    mesh: Mesh
    ground: GroundRaster
    origin: FloatArray
    signals: Tuple[SignalHead, ...]
