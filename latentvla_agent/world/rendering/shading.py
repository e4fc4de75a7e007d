"""What colour a hit is: material, light and air, one kernel over all samples of a camera."""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

import numpy as np

from latentvla_agent.world.meshes.mesh import Material
from latentvla_agent.world.rendering.compiled import cell_noise, compile_inlined, compile_kernel, hash_cell, mix
from latentvla_agent.world.rendering.config import SurfaceConfig
from latentvla_agent.world.rendering.grids import read_grid
from latentvla_agent.world.rendering.ground_texture import (
    PAVED,
    SLAB,
    GroundTexture,
    sample_ground,
)
from latentvla_agent.world.rendering.lighting import Light
from latentvla_agent.world.rendering.sky import look_up_sky
from latentvla_agent.world.rendering.surfaces import Surfaces, grain_leaves, grain_plaster, paint_facade

# The compiler takes constants, not members of an enum of another module.
GROUND, MATTE, PAINT, GLASS, METAL = (
    int(Material.GROUND),
    int(Material.MATTE),
    int(Material.PAINT),
    int(Material.GLASS),
    int(Material.METAL),
)
FACADE, FOLIAGE, SKIN, CLOTH, LAMP = (
    int(Material.FACADE),
    int(Material.FOLIAGE),
    int(Material.SKIN),
    int(Material.CLOTH),
    int(Material.LAMP),
)
LEVEL = 0.9  # height of a unit normal above which a face is flat ground
MIN_DESCENT = 1e-4  # of a ray that reaches the ground
SIDEWAYS = (0.62, 0.38)  # shares of sky and ground that an upright face sees
WINDOW_GLOW = (1.0, 0.72, 0.38)
HEADLIGHT_COLOUR = (1.0, 0.96, 0.88)
LAMP_COLOUR = (1.0, 0.78, 0.5)
FRAME_ALBEDO = 0.55
DOOR_ALBEDO = (0.16, 0.08, 0.05)
MIN_GRAIN = 0.15


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
    cut = 1.0 / (1.0 + np.exp(min(max(rise * 90.0, -30.0), 30.0)))
    fade = np.exp(-square / (look.headlight_reach_m * look.headlight_reach_m))
    return light.headlights * (0.06 + 0.94 * cut) * np.exp(-angle * angle) * fade / (square + 6.0)


@compile_inlined
def _mirror_sky(light: Light, x: float, y: float, z: float) -> Tuple[float, float, float]:
    """What a mirror sees in a direction: the sky, or the ground as the ambient light shows it."""
    if z > 0.0:
        return look_up_sky(light.sky, x, y, z)
    return light.bounce


@compile_inlined
def _fresnel(cosine: float, straight: float) -> float:
    """Schlick's share of light that is mirrored, `straight` when seen from straight ahead."""
    opposite = 1.0 - min(max(cosine, 0.0), 1.0)
    square = opposite * opposite
    return straight + (1.0 - straight) * square * square * opposite


@compile_inlined
def _grain_ground(
    x: float,
    y: float,
    widths: Tuple[float, float],
    ground: Tuple[float, float, float, float, float],
    look: SurfaceConfig,
    seed: int,
) -> Tuple[float, float, float]:
    """Albedo of the ground after grain, patches, tufts and joints; `ground` is what the texture says."""
    paved, slab = ground[PAVED], ground[SLAB]
    grass = max(1.0 - paved - slab, 0.0)
    width = np.sqrt(widths[0] * widths[1])
    factor, green = 1.0, 0.0
    if paved > 0.01:
        fine = MIN_GRAIN + (1.0 - MIN_GRAIN) * max(1.0 - widths[0] / look.asphalt_grain_m, 0.0)
        grain = cell_noise(x / look.asphalt_grain_m, y / look.asphalt_grain_m, seed) - 0.5
        patch = cell_noise(x / look.asphalt_patch_m, y / look.asphalt_patch_m, seed + 1) - 0.5
        small = cell_noise(x / 0.45, y / 0.45, seed + 2) - 0.5
        factor += paved * (look.asphalt_grain * fine * grain + look.asphalt_patch * (patch + 0.35 * small))
    if slab > 0.01:
        joint = 0.0
        for place in (x, y):
            offset = abs(place / look.slab_m - np.floor(place / look.slab_m + 0.5)) * look.slab_m
            blur = max(width, look.slab_joint_m)
            joint = max(joint, max(1.0 - offset / blur, 0.0) * look.slab_joint_m / blur)
        own = hash_cell(int(np.floor(x / look.slab_m + 0.5)), int(np.floor(y / look.slab_m + 0.5)), seed) - 0.5
        factor -= slab * (look.slab_joint_shade * joint - 0.18 * own)
    if grass > 0.01:
        fine = max(1.0 - width / (2.0 * look.grass_tuft_m), 0.0)
        tuft = cell_noise(x / look.grass_tuft_m, y / look.grass_tuft_m, seed + 4) - 0.5
        patch = cell_noise(x / look.grass_patch_m, y / look.grass_patch_m, seed + 5) - 0.5
        broad = cell_noise(x / 23.0, y / 23.0, seed + 6) - 0.5
        factor += grass * look.grass_contrast * (fine * tuft + 0.7 * patch + 0.6 * broad)
        green = grass * (0.35 * patch + 0.3 * broad)
    factor = max(factor, 0.1)
    return ground[0] * factor * (1.0 + green), ground[1] * factor, ground[2] * factor * (1.0 - green)


@compile_inlined
def _irradiance(
    light: Light, normal: Tuple[float, float, float], place: Tuple[float, float, float], sunlit: float
) -> Tuple[float, float, float]:
    """Light that reaches a face, over pi: sun, sky, what the ground throws back, street lamps."""
    nx, ny, nz = normal
    towards = max(nx * light.sun_direction[0] + ny * light.sun_direction[1] + nz * light.sun_direction[2], 0.0)
    sky = mix(SIDEWAYS[1], 1.0, 0.5 + 0.5 * nz)
    ground = 0.5 - 0.5 * nz
    sun = sunlit * towards
    lamp = 0.0
    if light.street_lamps > 0.0:
        lamp = light.street_lamps * read_grid(light.lamps, place[0], place[1]) * (0.55 + 0.45 * max(nz, 0.0))
        lamp /= 1.0 + 0.02 * place[2] * place[2]
    return (
        light.sun[0] * sun + light.ambient[0] * sky + light.bounce[0] * ground + LAMP_COLOUR[0] * lamp,
        light.sun[1] * sun + light.ambient[1] * sky + light.bounce[1] * ground + LAMP_COLOUR[1] * lamp,
        light.sun[2] * sun + light.ambient[2] * sky + light.bounce[2] * ground + LAMP_COLOUR[2] * lamp,
    )


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
        dx, dy, dz = rays.directions[ray, 0], rays.directions[ray, 1], rays.directions[ray, 2]
        face = faces[ray]
        if face < 0 and dz >= -MIN_DESCENT:
            red, green, blue = look_up_sky(light.sky, dx, dy, dz)
            out[ray, 0], out[ray, 1], out[ray, 2] = red, green, blue
            continue
        distance = float(distances[ray])
        x = rays.origin[0] + distance * dx
        y = rays.origin[1] + distance * dy
        z = rays.origin[2] + distance * dz
        nx, ny, nz, material = 0.0, 0.0, 1.0, GROUND
        if face >= 0:
            nx, ny, nz = surfaces.normals[face, 0], surfaces.normals[face, 1], surfaces.normals[face, 2]
            material = surfaces.materials[face]
        facing = -(nx * dx + ny * dy + nz * dz)
        if facing < 0.0:
            nx, ny, nz, facing = -nx, -ny, -nz, -facing
        width = distance * rays.pixel_angle
        red, green, blue = 0.0, 0.0, 0.0  # albedo
        glow_red, glow_green, glow_blue = 0.0, 0.0, 0.0
        mirror, gloss, shade, wet = 0.0, 0.0, 1.0, 0.0
        if material == GROUND and nz > LEVEL:
            flat = max(np.sqrt(dx * dx + dy * dy), 1e-6)
            widths = (width, width / max(-dz, 0.02))
            dither = hash_cell(ray, face, 3)
            ground = sample_ground(texture, (x, y), (dx / flat, dy / flat), widths, max_taps, dither)
            red, green, blue = _grain_ground(x, y, widths, ground, look, 21)
            shade = 1.0 - read_grid(light.contacts, x, y)
            wet = light.wetness * min(ground[PAVED] + 0.6 * ground[SLAB], 1.0)
        else:
            red, green, blue = surfaces.albedos[face, 0], surfaces.albedos[face, 1], surfaces.albedos[face, 2]
        if material == PAINT:
            mirror, gloss = _fresnel(facing, look.paint_reflectance), look.paint_highlight
        elif material == GLASS:
            red, green, blue = red * look.glass_albedo, green * look.glass_albedo, blue * look.glass_albedo
            mirror, gloss = _fresnel(facing, look.glass_reflectance), 2.0 * look.paint_highlight
        elif material == METAL:
            mirror, gloss = look.metal_reflectance, look.paint_highlight / 3.0
        elif material == FACADE:
            first = 1.0 - us[ray] - vs[ray]
            corners = surfaces.uv[face]
            u = first * corners[0, 0] + us[ray] * corners[1, 0] + vs[ray] * corners[2, 0]
            v = first * corners[0, 1] + us[ray] * corners[1, 1] + vs[ray] * corners[2, 1]
            seed = int(1000.0 * (red + green + blue))
            blur = width / np.sqrt(max(facing, 0.05))
            glass, frame, door, inside, own = paint_facade(u, v, blur, seed, look)
            plain = max(1.0 - glass - frame - door, 0.0) * grain_plaster(u, v, blur, look)
            lit = glass if own > 1.0 - light.lit_windows else 0.0
            red = red * plain + FRAME_ALBEDO * frame + DOOR_ALBEDO[0] * door + inside * glass
            green = green * plain + FRAME_ALBEDO * frame + DOOR_ALBEDO[1] * door + inside * glass
            blue = blue * plain + FRAME_ALBEDO * frame + DOOR_ALBEDO[2] * door + inside * glass
            mirror = glass * _fresnel(facing, look.glass_reflectance)
            glow = lit * look.lit_window * (0.5 + own)
            glow_red, glow_green, glow_blue = glow * WINDOW_GLOW[0], glow * WINDOW_GLOW[1], glow * WINDOW_GLOW[2]
        elif material == FOLIAGE:
            grain = max(grain_leaves(x, y, z, width, look), 0.12)
            red, green, blue = red * grain, green * grain, blue * grain
        elif material == LAMP:
            glow_red, glow_green, glow_blue = red * light.lamp, green * light.lamp, blue * light.lamp
        if wet > 0.0:
            dark = 1.0 - look.wet_darkening * wet
            red, green, blue = red * dark, green * dark, blue * dark
            mirror = wet * _fresnel(facing, look.wet_reflectance)
        sun = float(sunlit[ray])
        sky = _irradiance(light, (nx, ny, nz), (x, y, z), sun)
        beam = _headlight(light, look, x, y, z)
        if beam > 0.0:
            tx, ty = light.ego_x - x, light.ego_y - y
            length = max(np.sqrt(tx * tx + ty * ty), 1e-3)
            beam *= 0.12 * max(nz, 0.0) + max((nx * tx + ny * ty) / length, 0.0)
        red = red * (sky[0] * shade + HEADLIGHT_COLOUR[0] * beam) + glow_red
        green = green * (sky[1] * shade + HEADLIGHT_COLOUR[1] * beam) + glow_green
        blue = blue * (sky[2] * shade + HEADLIGHT_COLOUR[2] * beam) + glow_blue
        if mirror > 0.0:
            twice = 2.0 * facing
            rx, ry, rz = dx + twice * nx, dy + twice * ny, dz + twice * nz
            seen = _mirror_sky(light, rx, ry, rz)
            if wet > 0.0 and mirrored[ray, 0] >= 0.0:
                seen = (float(mirrored[ray, 0]), float(mirrored[ray, 1]), float(mirrored[ray, 2]))
            if material == METAL:
                red, green, blue = red * (1.0 - mirror), green * (1.0 - mirror), blue * (1.0 - mirror)
            red += mirror * shade * seen[0]
            green += mirror * shade * seen[1]
            blue += mirror * shade * seen[2]
            if gloss > 0.0 and sun > 0.0:
                towards = light.sun_direction
                cosine = max(rx * towards[0] + ry * towards[1] + rz * towards[2], 0.0)
                spark = sun * gloss * cosine**look.paint_gloss
                red, green, blue = red + spark * light.sun[0], green + spark * light.sun[1], blue + spark * light.sun[2]
        air = np.exp(-light.haze_per_m * distance)
        out[ray, 0] = mix(light.haze[0], red, air)
        out[ray, 1] = mix(light.haze[1], green, air)
        out[ray, 2] = mix(light.haze[2], blue, air)
