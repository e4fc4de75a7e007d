"""One camera's picture of a frame's scene: rays, more rays at edges, light, and the mean of each pixel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.rendering.config import RenderConfig, WeatherConfig
from latentvla_agent.world.rendering.edges import find_edges
from latentvla_agent.world.rendering.embree import Float32Array, Hits
from latentvla_agent.world.rendering.film import resolve_samples
from latentvla_agent.world.rendering.frame_scene import FrameScene, aim_rays
from latentvla_agent.world.rendering.ground_texture import GroundTexture
from latentvla_agent.world.rendering.shading import Rays, find_places, shade_hits
from latentvla_agent.world.rendering.shadows import aim_mirrored, no_mirror, shade_mirrored
from latentvla_agent.world.rendering.sparse import see_sun_at_edges, see_sun_sparsely
from latentvla_agent.world.rendering.views import SUBPIXELS, CameraView, aim_subpixels, mark_faces

MIRROR_FROM = 0.5  # wetness from which a street mirrors what stands on it


class Samples(NamedTuple):
    """N rays of a camera, their hits, and the share of the sun (N,) that reaches these."""

    rays: Rays
    hits: Hits
    sunlit: Float32Array


@dataclass(frozen=True, eq=False)
class Tracer:
    """What all cameras of a street have in common."""

    texture: GroundTexture
    config: RenderConfig

    def trace_picture(self, scene: FrameScene, view: CameraView, weather: WeatherConfig) -> Float32Array:
        """Radiance (H, W, 3) of a camera."""
        config, shape = self.config, (view.camera.height, view.camera.width)
        rays, hits, mask = cast_middles(scene, view, config.near_m)
        places, facing = self._find_places(scene, rays, hits)
        sunlit = np.zeros(len(hits.faces), np.float32)
        if max(weather.sun) > 0.0:
            sunlit = see_sun_sparsely(lambda chosen: scene.see_sun(places[chosen]), hits.faces, facing, shape)
        middles = Samples(rays, hits, sunlit)
        radiance = self._shade(scene, middles, places, weather)
        edges = find_edges(hits.distances, hits.faces, radiance, scene.surfaces, shape, weather.exposure, config.edges)
        pixels = np.flatnonzero(edges)
        further = self._sample_edges(scene, view, middles, pixels, mask, weather)
        image = np.empty((len(radiance), 3), np.float32)
        most = config.brightest_sample / weather.exposure
        resolve_samples(radiance, further, pixels, config.edge_samples, most, image)
        return image.reshape(*shape, 3)

    def _sample_edges(
        self,
        scene: FrameScene,
        view: CameraView,
        middles: Samples,
        pixels: npt.NDArray[np.intp],
        mask: npt.NDArray[np.bool_],
        weather: WeatherConfig,
    ) -> Float32Array:
        """Radiance (P * S, 3) of S further rays through each of P `pixels`."""
        offsets = SUBPIXELS[: self.config.edge_samples]
        directions = np.empty((len(pixels) * len(offsets), 3), np.float32)
        aim_subpixels(view.place(scene.pose), pixels, offsets, directions)
        rays = Rays(middles.rays.origin, directions, view.pixel_angle)
        owners = np.repeat(pixels, len(offsets))
        hits = scene.cast(rays.origin, directions, np.flatnonzero(mask.ravel()[owners]))
        places, facing = self._find_places(scene, rays, hits)
        sunlit = np.zeros(len(owners), np.float32)
        if max(weather.sun) > 0.0:
            known = (middles.hits.faces[owners], middles.sunlit[owners])
            sunlit = see_sun_at_edges(lambda chosen: scene.see_sun(places[chosen]), hits.faces, facing, *known)
        return self._shade(scene, Samples(rays, hits, sunlit), places, weather)

    def _find_places(self, scene: FrameScene, rays: Rays, hits: Hits) -> Tuple[Float32Array, npt.NDArray[np.bool_]]:
        """Points (N, 3) just above the hits, and which of them the sun can reach as far as their face is concerned."""
        places = np.empty((len(hits.faces), 3), np.float32)
        sun, offset = np.array(scene.light.sun_direction), self.config.shadow_offset_m
        facing = find_places(rays, hits.distances, hits.faces, scene.surfaces.normals, sun, offset, places)
        return places, facing

    def _shade(self, scene: FrameScene, samples: Samples, places: Float32Array, weather: WeatherConfig) -> Float32Array:
        """Radiance (N, 3) of samples."""
        rays, hits = samples.rays, tuple(samples.hits)
        mirrored = no_mirror(len(places))
        if weather.wetness > MIRROR_FROM:
            self._mirror_street(scene, samples, places, mirrored)
        radiance = np.empty((len(places), 3), np.float32)
        look, taps = self.config.surface, self.config.max_taps
        shade_hits(
            rays, hits, samples.sunlit, mirrored, scene.surfaces, self.texture, scene.light, look, taps, radiance
        )
        return radiance

    def _mirror_street(self, scene: FrameScene, samples: Samples, places: Float32Array, mirrored: Float32Array) -> None:
        """What the wet ground at `places` (N, 3) mirrors, into `mirrored` (N, 3)."""
        rays, hits = samples.rays, tuple(samples.hits)
        directions = np.empty_like(rays.directions)
        ripple = self.config.surface.wet_ripple
        chosen = aim_mirrored(rays.origin, rays.directions, hits, scene.surfaces, self.texture, ripple, directions)
        numbers = np.flatnonzero(chosen)
        aimed = directions[numbers]
        found = tuple(scene.cast_from(places[numbers], aimed))
        shade_mirrored(aimed, found, scene.surfaces, scene.light, numbers, mirrored)


def cast_middles(scene: FrameScene, view: CameraView, near: float) -> Tuple[Rays, Hits, npt.NDArray[np.bool_]]:
    """Rays through the middles of the pixels, their hits, and which pixels (H, W) an actor may cover."""
    pinhole = view.place(scene.pose)
    mask = np.zeros((pinhole.height, pinhole.width), bool)
    mark_faces(pinhole, scene.actors.mesh.vertices, scene.actors.mesh.faces, near, mask)
    rays = aim_rays(pinhole.position, view.aim(scene.pose), view.pixel_angle)
    return rays, scene.cast_picture(rays.origin, rays.directions, np.flatnonzero(mask), mask.shape), mask
