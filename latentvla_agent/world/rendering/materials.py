"""What a face looks like at a place, before light falls on it: albedo, what it mirrors, what it shines by itself."""

from __future__ import annotations

from typing import Tuple

import numpy as np

from latentvla_agent.world.meshes.mesh import Material
from latentvla_agent.world.rendering.compiled import cell_noise, compile_inlined, hash_cell
from latentvla_agent.world.rendering.config import SurfaceConfig
from latentvla_agent.world.rendering.grids import read_grid
from latentvla_agent.world.rendering.ground_texture import PAVED, SLAB, GroundTexture, sample_ground
from latentvla_agent.world.rendering.lighting import Light, Triple
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
WINDOW_GLOW = (1.0, 0.72, 0.38)
FRAME_ALBEDO = 0.55
DOOR_ALBEDO = (0.16, 0.08, 0.05)
MIN_GRAIN = 0.15
GRAIN_SEED = 21
SMALL_PATCH_M, BROAD_PATCH_M = 0.45, 23.0
DARK = (0.0, 0.0, 0.0)

# Albedo, own radiance, share that is mirrored, strength of the sun's highlight, share of ambient light, wetness.
Appearance = Tuple[Triple, Triple, float, float, float, float]


@compile_inlined
def mirror_share(cosine: float, straight: float) -> float:
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
        small = cell_noise(x / SMALL_PATCH_M, y / SMALL_PATCH_M, seed + 2) - 0.5
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
        broad = cell_noise(x / BROAD_PATCH_M, y / BROAD_PATCH_M, seed + 6) - 0.5
        factor += grass * look.grass_contrast * (fine * tuft + 0.7 * patch + 0.6 * broad)
        green = grass * (0.35 * patch + 0.3 * broad)
    factor = max(factor, 0.1)
    return ground[0] * factor * (1.0 + green), ground[1] * factor, ground[2] * factor * (1.0 - green)


@compile_inlined
def look_at_ground(
    x: float,
    y: float,
    direction: Triple,
    width: float,
    texture: GroundTexture,
    light: Light,
    look: SurfaceConfig,
    max_taps: int,
    dither: float,
) -> Appearance:
    """Flat ground seen in the unit `direction` through a pixel that is `width` metres wide there."""
    flat = max(np.sqrt(direction[0] * direction[0] + direction[1] * direction[1]), 1e-6)
    widths = (width, width / max(-direction[2], 0.02))
    along = (direction[0] / flat, direction[1] / flat)
    ground = sample_ground(texture, (x, y), along, widths, max_taps, dither)
    red, green, blue = _grain_ground(x, y, widths, ground, look, GRAIN_SEED)
    wet = light.wetness * min(ground[PAVED] + 0.6 * ground[SLAB], 1.0)
    dark = 1.0 - look.wet_darkening * wet
    mirror = 0.0
    if wet > 0.0:
        mirror = wet * mirror_share(-direction[2], look.wet_reflectance)
    shade = 1.0 - read_grid(light.contacts, x, y)
    return (red * dark, green * dark, blue * dark), DARK, mirror, 0.0, shade, wet


@compile_inlined
def look_at_wall(
    u: float, v: float, albedo: Triple, facing: float, width: float, light: Light, look: SurfaceConfig
) -> Appearance:
    """A wall with windows and doors at (u, v) metres along and up; `facing`: cosine of the angle it is seen at."""
    seed = int(1000.0 * (albedo[0] + albedo[1] + albedo[2]))  # houses differ in their colours
    blur = width / np.sqrt(max(facing, 0.05))
    glass, frame, door, inside, own = paint_facade(u, v, blur, seed, look)
    plain = max(1.0 - glass - frame - door, 0.0) * grain_plaster(u, v, blur, look)
    rest = FRAME_ALBEDO * frame + inside * glass
    painted = (
        albedo[0] * plain + rest + DOOR_ALBEDO[0] * door,
        albedo[1] * plain + rest + DOOR_ALBEDO[1] * door,
        albedo[2] * plain + rest + DOOR_ALBEDO[2] * door,
    )
    glow = glass * look.lit_window * (0.5 + own) if own > 1.0 - light.lit_windows else 0.0
    shines = (glow * WINDOW_GLOW[0], glow * WINDOW_GLOW[1], glow * WINDOW_GLOW[2])
    return painted, shines, glass * mirror_share(facing, look.glass_reflectance), 0.0, 1.0, 0.0


@compile_inlined
def look_at_plain(material: int, albedo: Triple, facing: float, light: Light, look: SurfaceConfig) -> Appearance:
    """A face of one colour."""
    if material == PAINT:
        return albedo, DARK, mirror_share(facing, look.paint_reflectance), look.paint_highlight, 1.0, 0.0
    if material == GLASS:
        dark = look.glass_albedo
        dim = (albedo[0] * dark, albedo[1] * dark, albedo[2] * dark)
        return dim, DARK, mirror_share(facing, look.glass_reflectance), 2.0 * look.paint_highlight, 1.0, 0.0
    if material == METAL:
        own = 1.0 - look.metal_reflectance
        return (albedo[0] * own, albedo[1] * own, albedo[2] * own), DARK, look.metal_reflectance, 0.5, 1.0, 0.0
    if material == LAMP:
        shines = (albedo[0] * light.lamp, albedo[1] * light.lamp, albedo[2] * light.lamp)
        return albedo, shines, 0.0, 0.0, 1.0, 0.0
    return albedo, DARK, 0.0, 0.0, 1.0, 0.0


@compile_inlined
def look_at_face(
    face: int,
    place: Triple,
    corner: Tuple[float, float],
    facing: float,
    width: float,
    surfaces: Surfaces,
    light: Light,
    look: SurfaceConfig,
) -> Appearance:
    """A face that is not the ground, at a `place` whose barycentric coordinates are `corner`."""
    material = surfaces.materials[face]
    albedo = (float(surfaces.albedos[face, 0]), float(surfaces.albedos[face, 1]), float(surfaces.albedos[face, 2]))
    if material == FACADE:
        first, second, third = 1.0 - corner[0] - corner[1], corner[0], corner[1]
        uv = surfaces.uv
        u = first * uv[face, 0, 0] + second * uv[face, 1, 0] + third * uv[face, 2, 0]
        v = first * uv[face, 0, 1] + second * uv[face, 1, 1] + third * uv[face, 2, 1]
        return look_at_wall(u, v, albedo, facing, width, light, look)
    if material == FOLIAGE:
        grain = max(grain_leaves(place[0], place[1], place[2], width, look), MIN_GRAIN)
        return (albedo[0] * grain, albedo[1] * grain, albedo[2] * grain), DARK, 0.0, 0.0, 1.0, 0.0
    return look_at_plain(material, albedo, facing, light, look)
