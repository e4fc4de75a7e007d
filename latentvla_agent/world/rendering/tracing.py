"""One camera's picture of a frame's scene: rays, more rays at edges, light, and the mean of each pixel."""

from __future__ import annotations

from typing import NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import Material
from latentvla_agent.world.rendering.config import RenderConfig, WeatherConfig
from latentvla_agent.world.rendering.embree import Float32Array, Hits
from latentvla_agent.world.rendering.film import resolve_samples
from latentvla_agent.world.rendering.frame_scene import FrameScene, aim_rays
from latentvla_agent.world.rendering.ground_texture import GroundTexture
from latentvla_agent.world.rendering.shading import Rays, find_places, shade_hits
from latentvla_agent.world.rendering.shadows import aim_mirrored, no_mirror, shade_mirrored
from latentvla_agent.world.rendering.sparse import see_sun_sparsely
from latentvla_agent.world.rendering.views import SUBPIXELS, CameraView, aim_subpixels, find_edges, mark_faces

MIRROR_FROM = 0.5  # wetness from which a street mirrors what stands on it


class Samples(NamedTuple):
    """Rays and hits: first the middles of the pixels of a picture of `shape` (H, W), then the further ones of
    `pixels`, equally many each."""

    rays: Rays
    hits: Hits
    shape: Tuple[int, int]
    pixels: npt.NDArray[np.intp]


def cast_middles(scene: FrameScene, view: CameraView, near: float) -> Tuple[Samples, npt.NDArray[np.bool_]]:
    """Hits of the rays through the middles of the pixels, and which pixels (H, W) an actor may cover."""
    pinhole = view.place(scene.pose)
    mask = np.zeros((pinhole.height, pinhole.width), bool)
    mark_faces(pinhole, scene.actors.mesh.vertices, scene.actors.mesh.faces, near, mask)
    rays = aim_rays(pinhole.position, view.aim(scene.pose), view.pixel_angle)
    hits = scene.cast_picture(rays.origin, rays.directions, np.flatnonzero(mask), mask.shape)
    return Samples(rays, hits, mask.shape, np.zeros(0, np.intp)), mask


def trace_picture(
    scene: FrameScene, view: CameraView, texture: GroundTexture, weather: WeatherConfig, config: RenderConfig
) -> Float32Array:
    """Radiance (H, W, 3) of a camera."""
    middles, mask = cast_middles(scene, view, config.near_m)
    samples = refine_edges(scene, view, middles, mask, config)
    radiance = shade_samples(scene, samples, texture, weather, config)
    height, width = samples.shape
    image = np.empty((height * width, 3), np.float32)
    most = config.brightest_sample / weather.exposure
    resolve_samples(radiance, samples.pixels, config.edge_samples, most, image)
    return image.reshape(height, width, 3)


def refine_edges(
    scene: FrameScene, view: CameraView, middles: Samples, mask: npt.NDArray[np.bool_], config: RenderConfig
) -> Samples:
    """Add rays to the pixels at edges."""
    hits, rays = middles.hits, middles.rays
    limits = (config.edge_normal_cosine, config.edge_depth_ratio)
    edges = find_edges(hits.distances, hits.faces, scene.surfaces, middles.shape, *limits, int(Material.FOLIAGE))
    pixels = np.flatnonzero(edges)
    offsets = SUBPIXELS[: config.edge_samples]
    further = np.empty((len(pixels) * len(offsets), 3), np.float32)
    aim_subpixels(view.place(scene.pose), pixels, offsets, further)
    near_actor = np.flatnonzero(np.repeat(mask.ravel()[pixels], len(offsets)))
    more = scene.cast(rays.origin, further, near_actor)
    joined = Hits(*(np.concatenate(pair) for pair in zip(hits, more)))
    directions = np.concatenate([rays.directions, further])
    return Samples(Rays(rays.origin, directions, rays.pixel_angle), joined, middles.shape, pixels)


def shade_samples(
    scene: FrameScene, samples: Samples, texture: GroundTexture, weather: WeatherConfig, config: RenderConfig
) -> Float32Array:
    """Radiance (N, 3) of samples."""
    rays, hits = samples.rays, samples.hits
    places = np.empty((len(hits.faces), 3), np.float32)
    sun = np.array(scene.light.sun_direction)
    facing = find_places(rays, hits.distances, hits.faces, scene.surfaces.normals, sun, config.shadow_offset_m, places)
    sunlit = np.zeros(len(hits.faces), np.float32)
    if max(weather.sun) > 0.0:
        sunlit = see_sun_sparsely(
            lambda chosen: scene.see_sun(places[chosen]), hits.faces, facing, samples.shape, samples.pixels
        )
    mirrored = no_mirror(len(hits.faces))
    if weather.wetness > MIRROR_FROM:
        mirror_street(scene, samples, texture, places, config.surface.wet_ripple, mirrored)
    radiance = np.empty((len(hits.faces), 3), np.float32)
    look, taps = config.surface, config.max_taps
    shade_hits(rays, tuple(hits), sunlit, mirrored, scene.surfaces, texture, scene.light, look, taps, radiance)
    return radiance


def mirror_street(
    scene: FrameScene,
    samples: Samples,
    texture: GroundTexture,
    places: Float32Array,
    ripple: float,
    mirrored: Float32Array,
) -> None:
    """What the wet ground at `places` (N, 3) mirrors, into `mirrored` (N, 3)."""
    rays, hits = samples.rays, samples.hits
    directions = np.empty_like(rays.directions)
    chosen = aim_mirrored(rays.origin, rays.directions, tuple(hits), scene.surfaces, texture, ripple, directions)
    numbers = np.flatnonzero(chosen)
    aimed = directions[numbers]
    found = scene.cast_from(places[numbers], aimed)
    shade_mirrored(aimed, tuple(found), scene.surfaces, scene.light, numbers, mirrored)
