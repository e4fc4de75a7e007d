"""The merged point cloud of the car's lidars, cast against the same meshes as the pictures."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.meshes.mesh import STATIC_OBJECT, Material
from latentvla_agent.world.rendering.compiled import compile_kernel
from latentvla_agent.world.rendering.config import LidarConfig
from latentvla_agent.world.rendering.embree import Float32Array
from latentvla_agent.world.rendering.frame_scene import FrameScene
from latentvla_agent.world.rendering.ground_texture import GroundTexture, sample_level
from latentvla_agent.world.rendering.lidar_beams import Beams
from latentvla_agent.world.rendering.lidar_probes import aim_probes, choose_probes
from latentvla_agent.world.rendering.shading import LEVEL
from latentvla_agent.world.rendering.views import turn_rays

GROUND, GLASS, LAMP = int(Material.GROUND), int(Material.GLASS), int(Material.LAMP)
GROUND_LEVEL = 1  # of the ground texture: a beam is about as wide
MAX_INTENSITY = 255.0


class Echoes(NamedTuple):
    """Where N beams end: `distances` (N,), inf for nothing; `reflectances` (N,), `objects` (N,) the row of the box or
    -1, and whether they ended on glass (N,)."""

    distances: Float32Array
    reflectances: Float32Array
    objects: npt.NDArray[np.int32]
    on_glass: npt.NDArray[np.bool_]


def scan_scene(
    scene: FrameScene,
    texture: GroundTexture,
    beams: Beams,
    config: LidarConfig,
    weather: str,
    rng: np.random.Generator,
) -> Float32Array:
    """Points (6, N) float32 in the ego frame, rows of `data.sensor_files.LidarIndex`. z = 0 is the road."""
    echoes = cast_beams(scene, texture, beams, config)
    kept = np.flatnonzero(_draw_returns(echoes, config, weather, rng))
    missed = np.setdiff1d(scene.actors.mesh.objects, np.append(echoes.objects[kept], STATIC_OBJECT))
    probes, meant = aim_probes(scene, missed, config)
    answers = cast_beams(scene, texture, probes, config)
    chosen = choose_probes(answers.objects, meant, answers.distances)
    distances = np.concatenate([echoes.distances[kept], answers.distances[chosen]])
    reflectances = np.concatenate([echoes.reflectances[kept], answers.reflectances[chosen]])
    origins, directions, rings, codes = (
        np.concatenate([first[kept], second[chosen]]) for first, second in zip(beams, probes)
    )
    points = origins + _add_range_noise(distances, config, rng)[:, None] * directions
    intensity = np.minimum(np.floor(reflectances * config.intensity_gain), MAX_INTENSITY)
    cloud = np.stack([*points.T, intensity, rings, codes]).astype(np.float32)
    outside: Float32Array = cloud[:, ~_is_on_ego(points, config)]
    return outside


def cast_beams(scene: FrameScene, texture: GroundTexture, beams: Beams, config: LidarConfig) -> Echoes:
    """Where beams end."""
    cos, sin = float(np.cos(scene.pose[2])), float(np.sin(scene.pose[2]))
    origins, directions = np.empty_like(beams.origins), np.empty_like(beams.directions)
    turn_rays(beams.origins, cos, sin, origins)
    turn_rays(beams.directions, cos, sin, directions)
    origins += np.array([scene.pose[0], scene.pose[1], 0.0], np.float32)
    hits = scene.cast_from(origins, directions)
    reflectances = np.zeros(len(hits.faces), np.float32)
    objects = np.full(len(hits.faces), STATIC_OBJECT, np.int32)
    on_glass = np.zeros(len(hits.faces), bool)
    outputs = (reflectances, objects, on_glass)
    _read_echoes(origins, directions, tuple(hits), scene.surfaces, texture, _numbers(config), outputs)
    return Echoes(hits.distances, *outputs)


def _numbers(config: LidarConfig) -> npt.NDArray[np.float64]:
    return np.array([config.glass_reflectance, config.lamp_reflectance, config.dark_reflectance])


@compile_kernel
def _read_echoes(
    origins: Any, directions: Any, hits: Any, surfaces: Any, texture: GroundTexture, numbers: Any, outputs: Any
) -> None:
    """Share of the light (N,) that comes back (brightness of the surface times the root of the cosine it is hit at),
    objects and glass. A beam that meets nothing but goes down ends on open land; its distance is set."""
    distances, faces, _, _ = hits
    out, objects, on_glass = outputs
    for ray in range(len(faces)):
        face = faces[ray]
        nx, ny, nz, material = 0.0, 0.0, 1.0, GROUND
        if face >= 0:
            nx, ny, nz = surfaces.normals[face, 0], surfaces.normals[face, 1], surfaces.normals[face, 2]
            material = surfaces.materials[face]
            objects[ray], on_glass[ray] = surfaces.objects[face], material == GLASS
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


def _draw_returns(echoes: Echoes, config: LidarConfig, weather: str, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    """Which beams come back (N,): those in range, less what glass, dark and far surfaces and the weather lose."""
    met = (echoes.distances < config.max_range_m) & (echoes.distances > config.min_range_m)
    distances = np.where(met, echoes.distances, config.max_range_m)
    weakness = config.half_signal_reflectance / np.maximum(echoes.reflectances, config.dark_reflectance)
    chance = 1.0 / (1.0 + weakness * (distances / config.half_signal_m) ** config.loss_power)
    chance *= 1.0 - config.dropout
    half = config.half_in_weather_m.get(weather)
    if half is not None:
        chance *= 0.5 ** (distances / half)
    chance = np.where(echoes.on_glass, chance * (1.0 - config.glass_dropout), chance)
    kept: npt.NDArray[np.bool_] = met & (rng.random(len(chance)) < chance)
    return kept


def _add_range_noise(distances: Float32Array, config: LidarConfig, rng: np.random.Generator) -> Float32Array:
    """Ranges that are too short by a half-normal error: a beam never ends behind the surface that it met."""
    error = np.minimum(np.abs(rng.standard_normal(len(distances), np.float32)), np.float32(config.noise_clip))
    sigma = np.float32(config.range_noise_m) + np.float32(config.range_noise_per_m) * distances
    noisy: Float32Array = (distances - error * sigma).astype(np.float32)
    return noisy


def _is_on_ego(points: Float32Array, config: LidarConfig) -> npt.NDArray[np.bool_]:
    ahead = (points[:, 0] < config.ego_front_m) & (points[:, 0] > -config.ego_rear_m)
    inside: npt.NDArray[np.bool_] = ahead & (np.abs(points[:, 1]) < config.ego_half_width_m)
    return inside
