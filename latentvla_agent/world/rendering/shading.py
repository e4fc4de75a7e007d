"""What colour a hit is: one kernel over all samples of a camera that puts materials, light and air together."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from latentvla_agent.world.rendering.compiled import compile_inlined, compile_kernel, hash_cell, mix
from latentvla_agent.world.rendering.config import SurfaceConfig
from latentvla_agent.world.rendering.grids import read_grid
from latentvla_agent.world.rendering.ground_texture import GroundTexture
from latentvla_agent.world.rendering.lighting import Light, Triple
from latentvla_agent.world.rendering.materials import GROUND, Appearance, look_at_face, look_at_ground
from latentvla_agent.world.rendering.sky import look_up_sky
from latentvla_agent.world.rendering.surfaces import Surfaces

LEVEL = 0.9  # height of a unit normal above which a face is flat ground
MIN_DESCENT = 1e-4  # of a ray that reaches the ground
SIDEWAYS_SKY = 0.38  # least share of the sky's light that a face gets, whichever way it looks
HEADLIGHT_COLOUR = (1.0, 0.96, 0.88)
LAMP_COLOUR = (1.0, 0.78, 0.5)
DITHER_SEED = 3
OPPOSITE_FACE = 0.12  # share of a headlight's light on level ground, which it grazes
CUT_SHARPNESS = 90.0  # of the headlights' upper rim
CUT_LEAK = 0.06  # light above it
NEAREST_LIGHT = 6.0  # square metres; keeps light finite near its source


class Rays(NamedTuple):
    """N rays of one camera: `origin` (3,), unit `directions` (N, 3) in the street's frame; `pixel_angle` radians."""

    origin: Any
    directions: Any
    pixel_angle: float


@compile_kernel
def find_places(rays: Rays, distances: Any, faces: Any, normals: Any, sun: Any, offset: float, places: Any) -> Any:
    """Points (N, 3), into `places`, from which to look for the sun: just above each hit, and which of the hits (N,)
    the sun can reach at all, as far as the face itself is concerned. A ray that meets nothing but goes down ends on
    open land; its distance is set."""
    facing = np.zeros(len(faces), np.bool_)
    for ray in range(len(faces)):
        x, y, z = rays.directions[ray, 0], rays.directions[ray, 1], rays.directions[ray, 2]
        face = faces[ray]
        nx, ny, nz = 0.0, 0.0, 1.0
        if face >= 0:
            nx, ny, nz = normals[face, 0], normals[face, 1], normals[face, 2]
            if nx * x + ny * y + nz * z > 0.0:
                nx, ny, nz = -nx, -ny, -nz
        elif z < -MIN_DESCENT:
            distances[ray] = -rays.origin[2] / z
        else:
            continue
        distance = distances[ray]
        places[ray, 0] = rays.origin[0] + distance * x + offset * nx
        places[ray, 1] = rays.origin[1] + distance * y + offset * ny
        places[ray, 2] = rays.origin[2] + distance * z + offset * nz
        facing[ray] = face >= 0 and nx * sun[0] + ny * sun[1] + nz * sun[2] > 0.0
    return facing


@compile_inlined
def _headlight(light: Light, look: SurfaceConfig, x: float, y: float, z: float) -> float:
    """Irradiance of the ego's headlights at a place, on a face that looks at them."""
    if light.headlights <= 0.0:
        return 0.0
    dx, dy = x - light.ego_x, y - light.ego_y
    ahead = light.ego_cos * dx + light.ego_sin * dy - look.headlight_front_m
    aside = light.ego_cos * dy - light.ego_sin * dx
    if ahead < 0.3:
        return 0.0
    square = ahead * ahead + aside * aside
    angle = np.arctan2(aside, ahead) / look.headlight_spread
    rise = (z - look.headlight_height_m) / np.sqrt(square)
    cut = 1.0 / (1.0 + np.exp(min(max(rise * CUT_SHARPNESS, -30.0), 30.0)))
    fade = np.exp(-square / (look.headlight_reach_m * look.headlight_reach_m))
    return (
        light.headlights
        * (CUT_LEAK + (1.0 - CUT_LEAK) * cut)
        * np.exp(-angle * angle)
        * fade
        / (square + NEAREST_LIGHT)
    )


@compile_inlined
def _mirror_sky(light: Light, x: float, y: float, z: float) -> Triple:
    """What a mirror sees in a direction: the sky, or the ground as the ambient light shows it."""
    if z > 0.0:
        return look_up_sky(light.sky, x, y, z)
    return light.bounce


@compile_inlined
def _irradiance(
    light: Light, look: SurfaceConfig, normal: Triple, place: Triple, sunlit: float, shade: float
) -> Triple:
    """Light that reaches a face, over pi: sun, sky, what the ground throws back, street lamps, headlights;
    `shade` is the share of light that does not come straight from a source."""
    nx, ny, nz = normal
    towards = max(nx * light.sun_direction[0] + ny * light.sun_direction[1] + nz * light.sun_direction[2], 0.0)
    sky = shade * mix(SIDEWAYS_SKY, 1.0, 0.5 + 0.5 * nz)
    ground = shade * (0.5 - 0.5 * nz)
    sun = sunlit * towards * shade
    lamp = 0.0
    if light.street_lamps > 0.0:
        lamp = light.street_lamps * read_grid(light.lamps, place[0], place[1]) * (0.55 + 0.45 * max(nz, 0.0))
        lamp /= 1.0 + 0.02 * place[2] * place[2]
    beam = _headlight(light, look, place[0], place[1], place[2])
    if beam > 0.0:
        dx, dy = light.ego_x - place[0], light.ego_y - place[1]
        beam *= OPPOSITE_FACE * max(nz, 0.0) + max((nx * dx + ny * dy) / max(np.sqrt(dx * dx + dy * dy), 1e-3), 0.0)
    lamp *= shade
    return (
        light.sun[0] * sun
        + light.ambient[0] * sky
        + light.bounce[0] * ground
        + LAMP_COLOUR[0] * lamp
        + beam * HEADLIGHT_COLOUR[0],
        light.sun[1] * sun
        + light.ambient[1] * sky
        + light.bounce[1] * ground
        + LAMP_COLOUR[1] * lamp
        + beam * HEADLIGHT_COLOUR[1],
        light.sun[2] * sun
        + light.ambient[2] * sky
        + light.bounce[2] * ground
        + LAMP_COLOUR[2] * lamp
        + beam * HEADLIGHT_COLOUR[2],
    )


@compile_inlined
def _light_up(
    seen: Appearance, lit: Triple, light: Light, look: SurfaceConfig, mirrored: Triple, bounced: Triple, sun: float
) -> Triple:
    """Radiance of an appearance in the light `lit`; `mirrored`: what its mirror shows, in the direction `bounced`."""
    albedo, shines, mirror, gloss, shade, _ = seen
    red = albedo[0] * lit[0] + shines[0] + mirror * shade * mirrored[0]
    green = albedo[1] * lit[1] + shines[1] + mirror * shade * mirrored[1]
    blue = albedo[2] * lit[2] + shines[2] + mirror * shade * mirrored[2]
    if gloss > 0.0 and sun > 0.0:
        towards = light.sun_direction
        cosine = max(bounced[0] * towards[0] + bounced[1] * towards[1] + bounced[2] * towards[2], 0.0)
        spark = sun * gloss * cosine**look.paint_gloss
        red, green, blue = red + spark * light.sun[0], green + spark * light.sun[1], blue + spark * light.sun[2]
    return red, green, blue


@compile_kernel
def shade_hits(
    rays: Rays,
    hits: Any,
    sunlit: Any,
    mirrored: Any,
    surfaces: Surfaces,
    texture: GroundTexture,
    light: Light,
    look: SurfaceConfig,
    max_taps: int,
    out: Any,
) -> None:
    """Radiance (N, 3) of rays into `out`. `hits`: distances, faces, u, v; `sunlit` (N,) share of the sun;
    `mirrored` (N, 3): what a wet ground reflects, negative where nobody looked."""
    distances, faces, us, vs = hits
    for ray in range(len(faces)):
        way = (float(rays.directions[ray, 0]), float(rays.directions[ray, 1]), float(rays.directions[ray, 2]))
        face = faces[ray]
        if face < 0 and way[2] >= -MIN_DESCENT:
            out[ray, 0], out[ray, 1], out[ray, 2] = look_up_sky(light.sky, way[0], way[1], way[2])
            continue
        far = float(distances[ray])
        place = (rays.origin[0] + far * way[0], rays.origin[1] + far * way[1], rays.origin[2] + far * way[2])
        nx, ny, nz, is_ground = 0.0, 0.0, 1.0, True
        if face >= 0:
            nx, ny, nz = surfaces.normals[face, 0], surfaces.normals[face, 1], surfaces.normals[face, 2]
            is_ground = surfaces.materials[face] == GROUND and abs(nz) > LEVEL
        facing = -(nx * way[0] + ny * way[1] + nz * way[2])
        if facing < 0.0:
            nx, ny, nz, facing = -nx, -ny, -nz, -facing
        width = far * rays.pixel_angle
        if is_ground:
            dither = hash_cell(ray, face, DITHER_SEED)
            seen = look_at_ground(place[0], place[1], way, width, texture, light, look, max_taps, dither)
        else:
            corner = (float(us[ray]), float(vs[ray]))
            seen = look_at_face(face, place, corner, facing, width, surfaces, light, look)
        sun = float(sunlit[ray])
        lit = _irradiance(light, look, (nx, ny, nz), place, sun, seen[4])
        bounced = (way[0] + 2.0 * facing * nx, way[1] + 2.0 * facing * ny, way[2] + 2.0 * facing * nz)
        mirror = (0.0, 0.0, 0.0)
        if seen[5] > 0.0 and mirrored[ray, 0] >= 0.0:
            mirror = (float(mirrored[ray, 0]), float(mirrored[ray, 1]), float(mirrored[ray, 2]))
        elif seen[2] > 0.0:
            mirror = _mirror_sky(light, bounced[0], bounced[1], bounced[2])
        red, green, blue = _light_up(seen, lit, light, look, mirror, bounced, sun)
        air = np.exp(-light.haze_per_m * far)
        out[ray, 0] = mix(light.haze[0], red, air)
        out[ray, 1] = mix(light.haze[1], green, air)
        out[ray, 2] = mix(light.haze[2], blue, air)
