"""Intel's Embree: where rays meet triangles."""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.mesh import Mesh

Float32Array = npt.NDArray[np.float32]
NO_FACE = -1


def load_embree() -> Tuple[Any, Any]:
    """Embree's scene and mesh types; raises `DataError` naming the extra where embreex is not installed."""
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        message = f'rendering needs embreex, which is missing ({error}): pip install "latentvla-agent[world]"'
        raise DataError(message) from error
    return EmbreeScene, TriangleMesh


class Hits(NamedTuple):
    """Nearest hits of N rays: `distances` (N,) along the unit direction, inf where there is none, `faces` (N,), -1
    where there is none, and the barycentric coordinates `u`, `v` (N,) of the face's second and third vertex."""

    distances: Float32Array
    faces: npt.NDArray[np.int32]
    u: Float32Array
    v: Float32Array


class MeshScene:
    """One mesh, ready for rays. An empty mesh is never hit."""

    def __init__(self, mesh: Mesh):
        self.mesh = mesh
        self._scene: Any = None
        if mesh.num_faces:
            scene_type, mesh_type = load_embree()
            self._scene = scene_type()
            # The scene does not keep what it was made of alive.
            self._geometry = mesh_type(self._scene, mesh.vertices, mesh.faces)

    def cast(self, origins: Float32Array, directions: Float32Array) -> Hits:
        """Nearest hits of rays with unit `directions` (N, 3) from `origins` (N, 3) or one origin (1, 3) for all."""
        count = len(directions)
        if self._scene is None or count == 0:
            nothing = np.zeros(count, np.float32)
            return Hits(np.full(count, np.inf, np.float32), np.full(count, NO_FACE, np.int32), nothing, nothing)
        found = self._scene.run(np.broadcast_to(origins, directions.shape), directions, output=True)
        distances = found["tfar"]
        distances[found["primID"] < 0] = np.inf
        return Hits(distances, found["primID"], found["u"], found["v"])

    def is_blocked(self, origins: Float32Array, directions: Float32Array) -> npt.NDArray[np.bool_]:
        """Whether anything lies ahead on each ray (N,)."""
        if self._scene is None or len(directions) == 0:
            return np.zeros(len(directions), bool)
        blocked: npt.NDArray[np.bool_] = self._scene.run(origins, directions, query="OCCLUDED") >= 0
        return blocked


def merge_hits(first: Hits, second: Hits, rays: npt.NDArray[np.intp], shift: int) -> None:
    """Put what is nearer into `first`: `second` was cast for some `rays` of it, and its faces count from `shift`."""
    nearer = (second.faces >= 0) & (second.distances < first.distances[rays])
    chosen = rays[nearer]
    first.distances[chosen] = second.distances[nearer]
    first.faces[chosen] = second.faces[nearer] + np.int32(shift)
    first.u[chosen] = second.u[nearer]
    first.v[chosen] = second.v[nearer]
