"""All that rays of one frame can meet: the street, which is built once, and the actors of the frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import BoxIndex, yaw_of_quaternion
from latentvla_agent.world.rendering.embree import Float32Array, Hits, MeshScene, merge_hits
from latentvla_agent.world.rendering.grids import Grid
from latentvla_agent.world.rendering.lighting import Light
from latentvla_agent.world.rendering.shading import Rays
from latentvla_agent.world.rendering.shadows import find_shadow_rays
from latentvla_agent.world.rendering.sparse import cast_sparsely
from latentvla_agent.world.rendering.surfaces import Surfaces


@dataclass(frozen=True, eq=False)
class FrameScene:
    """Street and actors of one frame. `pose` (3,): the ego's rear axle in the street's frame; `shadows` tells where
    actors may cast shadows; faces are numbered with the street's first."""

    street: MeshScene
    actors: MeshScene
    surfaces: Surfaces
    light: Light
    shadows: Grid
    pose: npt.NDArray[np.float64]

    def cast(self, origin: Float32Array, directions: Float32Array, rays: npt.NDArray[np.intp]) -> Hits:
        """Nearest hits of rays from `origin` (3,); only those whose numbers are in `rays` can meet an actor."""
        hits = self.street.cast(origin[None, :], directions)
        return self._add_actors(hits, origin, directions, rays)

    def cast_picture(
        self, origin: Float32Array, directions: Float32Array, rays: npt.NDArray[np.intp], shape: Tuple[int, int]
    ) -> Hits:
        """As `cast`, for the rays of all pixels of a picture of that `shape` (H, W)."""
        hits = cast_sparsely(self.street, origin, directions, shape)
        return self._add_actors(hits, origin, directions, rays)

    def _add_actors(
        self, hits: Hits, origin: Float32Array, directions: Float32Array, rays: npt.NDArray[np.intp]
    ) -> Hits:
        if len(rays):
            nearer = self.actors.cast(origin[None, :], directions[rays])
            merge_hits(hits, nearer, rays, self.street.mesh.num_faces)
        return hits

    def cast_from(self, origins: Float32Array, directions: Float32Array) -> Hits:
        """Nearest hits of rays that each have an origin of their own (N, 3)."""
        hits = self.street.cast(origins, directions)
        every = all_rays(len(directions))
        merge_hits(hits, self.actors.cast(origins, directions), every, self.street.mesh.num_faces)
        return hits

    def see_sun(self, places: Float32Array) -> npt.NDArray[np.bool_]:
        """Whether nothing lies between `places` (N, 3) and the sun."""
        sun = np.array(self.light.sun_direction, np.float32)
        free = ~self.street.is_blocked(places, np.broadcast_to(sun, places.shape))
        candidates = np.flatnonzero(free & find_shadow_rays(self.shadows, places, sun))
        origins = places[candidates]
        free[candidates] = ~self.actors.is_blocked(origins, np.broadcast_to(sun, origins.shape))
        return free


def pose_in_street(frame: Mapping[str, Any], origin: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Pose (x, y, heading) of the ego's rear axle of a raw log frame, relative to the street's `origin`."""
    x, y = (float(value) for value in frame["ego2global_translation"][:2])
    return np.array([x - origin[0], y - origin[1], yaw_of_quaternion(frame["ego2global_rotation"])])


def boxes_in_street(frame: Mapping[str, Any], pose: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Outlines (N, 5) of the annotated boxes on the ground, in the frame of the pose: x, y, length, width, heading."""
    boxes = np.asarray(frame["anns"]["gt_boxes"], np.float64).reshape(-1, len(BoxIndex))
    cos, sin = np.cos(pose[2]), np.sin(pose[2])
    x, y = boxes[:, BoxIndex.X], boxes[:, BoxIndex.Y]
    placed = [pose[0] + cos * x - sin * y, pose[1] + sin * x + cos * y]
    sizes = [boxes[:, BoxIndex.LENGTH], boxes[:, BoxIndex.WIDTH], boxes[:, BoxIndex.HEADING] + pose[2]]
    return np.column_stack(placed + sizes)


def aim_rays(origin: npt.NDArray[np.float64], directions: Float32Array, pixel_angle: float) -> Rays:
    """Rays for the kernels."""
    return Rays(origin.astype(np.float32), directions, pixel_angle)


def all_rays(count: int) -> npt.NDArray[np.intp]:
    """Numbers of all rays."""
    return np.arange(count)
