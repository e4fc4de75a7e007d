"""The merged point cloud of the car's lidars, cast against the same meshes as the pictures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import Material
from latentvla_agent.world.rendering.compiled import compile_kernel
from latentvla_agent.world.rendering.config import LidarConfig, LidarHead
from latentvla_agent.world.rendering.embree import Float32Array, Hits
from latentvla_agent.world.rendering.frame_scene import FrameScene
from latentvla_agent.world.rendering.ground_texture import GroundTexture, sample_level
from latentvla_agent.world.rendering.shading import LEVEL
from latentvla_agent.world.rendering.views import rotate_up

GROUND, GLASS, LAMP = int(Material.GROUND), int(Material.GLASS), int(Material.LAMP)
GROUND_LEVEL = 1  # of the ground texture: a beam is about as wide
MAX_INTENSITY = 255.0


class Beams(NamedTuple):
    """N beams in the ego frame: `origins`, unit `directions` (N, 3), `rings` (N,) and `codes` (N,) of their lidar."""

    origins: Float32Array
    directions: Float32Array
    rings: Float32Array
    codes: Float32Array


def aim_beams(config: LidarConfig) -> Beams:
    """Beams of all lidars, head by head, ring by ring; rings are counted through."""
    parts = []
    first_ring = 0
    for head in config.heads:
        parts.append(_aim_head(head, first_ring))
        first_ring += len(head.elevations)
    return Beams(*(np.concatenate(columns) for columns in zip(*parts)))


def _aim_head(head: LidarHead, first_ring: int) -> Beams:
    low, high = head.azimuths
    azimuths = low + (high - low) * (np.arange(head.columns) + 0.5) / head.columns
    elevation, azimuth = (array.ravel() for array in np.meshgrid(head.elevations, azimuths, indexing="ij"))
    flat = np.cos(elevation)
    directions = np.column_stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)])
    origins = np.broadcast_to(np.array(head.position), directions.shape)
    rings = np.repeat(np.arange(len(head.elevations)) + first_ring, head.columns)
    codes = np.full(len(rings), head.code, np.float32)
    columns = (origins.astype(np.float32), directions.astype(np.float32), rings.astype(np.float32), codes)
    return Beams(*columns)


def scan_scene(
    scene: FrameScene,
    texture: GroundTexture,
    beams: Beams,
    config: LidarConfig,
    weather: str,
    rng: np.random.Generator,
) -> Float32Array:
    """Points (6, N) float32 in the ego frame, rows of `data.sensor_files.LidarIndex`. z = 0 is the road."""
    turn = rotate_up(scene.pose[2]).astype(np.float32)
    shift = np.array([scene.pose[0], scene.pose[1], 0.0], np.float32)
    origins, directions = beams.origins @ turn.T + shift, beams.directions @ turn.T
    hits = scene.cast_from(origins, directions)
    reflectances = np.zeros(len(hits.faces), np.float32)
    _read_reflectances(origins, directions, tuple(hits), scene.surfaces, texture, _numbers(config), reflectances)
    kept = _draw_returns(scene, hits, reflectances, config, weather, rng)
    ranges = _add_range_noise(hits.distances, config, rng)
    points = beams.origins + ranges[:, None] * beams.directions
    kept &= ~_is_on_ego(points, config)
    intensity = np.minimum(reflectances * np.float32(config.intensity_gain), np.float32(MAX_INTENSITY))
    columns = [*points.T, np.floor(intensity), beams.rings, beams.codes]
    cloud: Float32Array = np.stack([column[kept] for column in columns]).astype(np.float32)
    return cloud


def _numbers(config: LidarConfig) -> npt.NDArray[np.float64]:
    return np.array([config.glass_reflectance, config.lamp_reflectance, config.dark_reflectance])


@compile_kernel
def _read_reflectances(
    origins: Any, directions: Any, hits: Any, surfaces: Any, texture: GroundTexture, numbers: Any, out: Any
) -> None:
    """Share of the light (N,) that comes back: brightness of the surface times the root of the cosine it is hit at.
    A beam that meets nothing but goes down ends on open land; its distance is set."""
    distances, faces, _, _ = hits
    for ray in range(len(faces)):
        face = faces[ray]
        nx, ny, nz, material = 0.0, 0.0, 1.0, GROUND
        if face >= 0:
            nx, ny, nz = surfaces.normals[face, 0], surfaces.normals[face, 1], surfaces.normals[face, 2]
            material = surfaces.materials[face]
        elif directions[ray, 2] < 0.0:
            distances[ray] = -origins[ray, 2] / directions[ray, 2]
        else:
            continue
        cosine = abs(nx * directions[ray, 0] + ny * directions[ray, 1] + nz * directions[ray, 2])
        if material == GROUND and abs(nz) > LEVEL:
            x = origins[ray, 0] + distances[ray] * directions[ray, 0]
            y = origins[ray, 1] + distances[ray] * directions[ray, 1]
            ground = sample_level(texture, x, y, min(GROUND_LEVEL, len(texture.shapes) - 1))
            bright = (ground[0] + ground[1] + ground[2]) / 3.0
        elif material == GLASS:
            bright = numbers[0]
        elif material == LAMP:
            bright = numbers[1]
        else:
            bright = (surfaces.albedos[face, 0] + surfaces.albedos[face, 1] + surfaces.albedos[face, 2]) / 3.0
        out[ray] = (bright + numbers[2]) * np.sqrt(cosine)


def _draw_returns(
    scene: FrameScene,
    hits: Hits,
    reflectances: Float32Array,
    config: LidarConfig,
    weather: str,
    rng: np.random.Generator,
) -> npt.NDArray[np.bool_]:
    """Which beams come back (N,): those in range, less what glass, dark and far surfaces and the weather lose."""
    met = np.isfinite(hits.distances) & (hits.distances < config.max_range_m) & (hits.distances > config.min_range_m)
    distances = np.where(met, hits.distances, config.max_range_m)
    weakness = config.half_signal_reflectance / np.maximum(reflectances, config.dark_reflectance)
    chance = 1.0 / (1.0 + weakness * (distances / config.half_signal_m) ** config.loss_power)
    chance *= 1.0 - config.dropout
    half = config.half_in_weather_m.get(weather)
    if half is not None:
        chance *= 0.5 ** (distances / half)
    faces = np.maximum(hits.faces, 0)
    has_face = hits.faces >= 0
    on_glass = has_face & (scene.surfaces.materials[faces] == GLASS) if len(scene.surfaces.materials) else has_face
    chance = np.where(on_glass, chance * (1.0 - config.glass_dropout), chance)
    kept: npt.NDArray[np.bool_] = met & (rng.random(len(chance)) < chance)
    objects = np.where(has_face, scene.surfaces.objects[faces], -1) if len(scene.surfaces.objects) else faces - 1
    _keep_one_each(kept, objects, met & (distances < config.always_seen_m), distances)
    return kept


def _keep_one_each(
    kept: npt.NDArray[np.bool_],
    objects: npt.NDArray[Any],
    seen: npt.NDArray[np.bool_],
    distances: npt.NDArray[Any],
) -> None:
    """Give each object that beams have `seen`, but that lost all of them, its nearest point back."""
    for lost in np.setdiff1d(objects[seen & (objects >= 0)], objects[kept]):
        beams = np.flatnonzero(seen & (objects == lost))
        kept[beams[np.argmin(distances[beams])]] = True


def _add_range_noise(distances: Float32Array, config: LidarConfig, rng: np.random.Generator) -> Float32Array:
    """Ranges that are too short by a half-normal error: a beam never ends behind the surface that it met."""
    error = np.minimum(np.abs(rng.standard_normal(len(distances), np.float32)), np.float32(config.noise_clip))
    known = np.where(np.isfinite(distances), distances, np.float32(0.0))
    sigma = np.float32(config.range_noise_m) + np.float32(config.range_noise_per_m) * known
    noisy: Float32Array = (known - error * sigma).astype(np.float32)
    return noisy


def _is_on_ego(points: Float32Array, config: LidarConfig) -> npt.NDArray[np.bool_]:
    ahead = (points[:, 0] < config.ego_front_m) & (points[:, 0] > -config.ego_rear_m)
    inside: npt.NDArray[np.bool_] = ahead & (np.abs(points[:, 1]) < config.ego_half_width_m)
    return inside
