"""Half of the rays: a picture is cast on a chequerboard, and between equal neighbours the answer is known.

A triangle is convex, also in a picture: where the pixels left and right or above and below show the same face, so does
the one between, if nothing smaller than a pixel hides it. Actors, whose lamps may be that small, are always cast.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.rendering.compiled import compile_inlined, compile_kernel
from latentvla_agent.world.rendering.embree import NO_FACE, Float32Array, Hits, MeshScene

DIFFERS = -9  # of a pixel whose neighbours don't agree
MIN_AREA = 1e-12

Ask = Callable[[npt.NDArray[np.intp]], npt.NDArray[Any]]


def cast_sparsely(scene: MeshScene, origin: Float32Array, directions: Float32Array, shape: Tuple[int, int]) -> Hits:
    """Nearest hits of the rays (H * W, 3) of a picture of that `shape` (H, W), all from `origin` (3,)."""
    count = len(directions)
    hits = Hits(
        np.full(count, np.inf, np.float32),
        np.full(count, NO_FACE, np.int32),
        np.zeros(count, np.float32),
        np.zeros(count, np.float32),
    )
    first = list_chequers(shape)
    _store(hits, first, scene.cast(origin[None, :], directions[first]))
    asked = np.zeros(count, bool)
    _fill_between(directions, origin, scene.mesh.vertices, scene.mesh.faces, shape, tuple(hits), asked)
    second = np.flatnonzero(asked)
    _store(hits, second, scene.cast(origin[None, :], directions[second]))
    return hits


@lru_cache(maxsize=4)
def list_chequers(shape: Tuple[int, int]) -> npt.NDArray[np.intp]:
    """Numbers of every other pixel of a picture, as the black fields of a chequerboard."""
    rows, columns = np.indices(shape)
    chequers = np.flatnonzero((rows + columns) % 2 == 0)
    chequers.setflags(write=False)  # shared
    return chequers


def _store(hits: Hits, numbers: npt.NDArray[np.intp], found: Hits) -> None:
    for column, values in zip(hits, found):
        column[numbers] = values


@compile_inlined
def _common(values: Any, row: int, column: int, height: int, width: int) -> int:
    """What the neighbours in the picture all have, or `DIFFERS`."""
    here = row * width + column
    value = values[here - 1] if column > 0 else values[here + 1]
    if column > 0 and column < width - 1 and values[here + 1] != value:
        return DIFFERS
    if row > 0 and values[here - width] != value:
        return DIFFERS
    if row < height - 1 and values[here + width] != value:
        return DIFFERS
    return int(value)


@compile_kernel
def _fill_between(
    directions: Any, origin: Any, vertices: Any, faces: Any, shape: Tuple[int, int], hits: Any, asked: Any
) -> None:
    """Fill the white fields of the chequerboard from their neighbours; set `asked` where these don't agree."""
    distances, found, us, vs = hits
    height, width = shape
    for row in range(height):
        for column in range((row + 1) % 2, width, 2):
            here = row * width + column
            face = _common(found, row, column, height, width)
            if face == NO_FACE:
                continue
            if face == DIFFERS:
                asked[here] = True
                continue
            distance, u, v = _meet_face(directions[here], origin, vertices, faces[face])
            if distance <= 0.0:
                asked[here] = True
                continue
            distances[here], found[here], us[here], vs[here] = distance, face, u, v


@compile_inlined
def _meet_face(direction: Any, origin: Any, vertices: Any, face: Any) -> Tuple[float, float, float]:
    """Distance and barycentric coordinates of a ray's hit of a triangle (Möller and Trumbore); -1 for a miss."""
    a, b, c = face[0], face[1], face[2]
    ax, ay, az = float(vertices[a, 0]), float(vertices[a, 1]), float(vertices[a, 2])
    ex, ey, ez = vertices[b, 0] - ax, vertices[b, 1] - ay, vertices[b, 2] - az
    fx, fy, fz = vertices[c, 0] - ax, vertices[c, 1] - ay, vertices[c, 2] - az
    dx, dy, dz = float(direction[0]), float(direction[1]), float(direction[2])
    px, py, pz = dy * fz - dz * fy, dz * fx - dx * fz, dx * fy - dy * fx
    area = ex * px + ey * py + ez * pz
    if abs(area) < MIN_AREA:
        return -1.0, 0.0, 0.0
    sx, sy, sz = origin[0] - ax, origin[1] - ay, origin[2] - az
    u = (sx * px + sy * py + sz * pz) / area
    qx, qy, qz = sy * ez - sz * ey, sz * ex - sx * ez, sx * ey - sy * ex
    v = (dx * qx + dy * qy + dz * qz) / area
    if u < 0.0 or v < 0.0 or u + v > 1.0:
        return -1.0, 0.0, 0.0
    return (fx * qx + fy * qy + fz * qz) / area, u, v


def see_sun_sparsely(
    ask: Ask, faces: npt.NDArray[np.int32], facing: npt.NDArray[np.bool_], shape: Tuple[int, int]
) -> Float32Array:
    """Share of the sun (H * W,), 0 or 1, of the pixels of a picture. `facing` tells which the sun can reach, `ask`
    sends rays for the pixels of these numbers. A pixel that shows the same face as its neighbours takes their answer.
    """
    sunlit = np.zeros(len(faces), np.float32)
    chequers = list_chequers(shape)
    first = chequers[facing[chequers]]
    sunlit[first] = ask(first)
    asked = np.zeros(len(faces), bool)
    _copy_between(faces, facing, shape, sunlit, asked)
    second = np.flatnonzero(asked)
    sunlit[second] = ask(second)
    return sunlit


def see_sun_at_edges(
    ask: Ask,
    faces: npt.NDArray[np.int32],
    facing: npt.NDArray[np.bool_],
    middle_faces: npt.NDArray[np.int32],
    middle_sunlit: Float32Array,
) -> Float32Array:
    """As `see_sun_sparsely` for further samples (N,): those that show the face of the middle of their pixel (N,) take
    its answer."""
    same = faces == middle_faces
    sunlit: Float32Array = np.where(same, middle_sunlit, np.float32(0.0))
    asked = np.flatnonzero(facing & ~same)
    sunlit[asked] = ask(asked)
    return sunlit


@compile_kernel
def _copy_between(faces: Any, facing: Any, shape: Tuple[int, int], sunlit: Any, asked: Any) -> None:
    height, width = shape
    for row in range(height):
        for column in range((row + 1) % 2, width, 2):
            here = row * width + column
            if not facing[here]:
                continue
            light = _common(sunlit, row, column, height, width)
            if light != DIFFERS and _common(faces, row, column, height, width) == faces[here]:
                sunlit[here] = light
            else:
                asked[here] = True
