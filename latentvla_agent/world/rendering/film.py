"""From radiance to a picture: bloom, exposure, tone curve, noise of the sensor, drops on the lens."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.rendering.compiled import compile_kernel
from latentvla_agent.world.rendering.config import WeatherConfig
from latentvla_agent.world.rendering.embree import Float32Array

TONE_STEPS = 4096
TONE_WHITE = 6.0  # exposed radiance at the end of the table
TONE_CONTRAST = 0.35
NOISE_POOL = 1 << 18
BLOOM_BLOCK = 4  # the glow is blurred at a quarter of the size
BLOOM_FROM = 0.9  # exposed radiance above which lamps glow
BLOOM_MOST = 5.0


def make_tone_table() -> Float32Array:
    """sRGB values (0…255, as float) of exposed radiance; the index is the root of it. Bright light rolls off."""
    exposed = (np.arange(TONE_STEPS) / (TONE_STEPS - 1)) ** 2 * TONE_WHITE
    share = 1.0 - np.exp(-exposed)
    share = share / share[-1]
    share = share + TONE_CONTRAST * share * (1.0 - share) * (2.0 * share - 1.0)
    encoded = np.where(share <= 0.0031308, 12.92 * share, 1.055 * share ** (1.0 / 2.4) - 0.055)  # IEC 61966-2-1
    table: Float32Array = (255.0 * encoded).astype(np.float32)
    return table


TONE_TABLE = make_tone_table()


@compile_kernel
def resolve_samples(middles: Any, further: Any, pixels: Any, per_pixel: int, most: float, image: Any) -> None:
    """Mean of the samples of each pixel, into `image` (H * W, 3): `middles` (H * W, 3), and `per_pixel` of `further`
    for each of `pixels`. At edges samples count at most `most`, so that one lamp does not white them out."""
    for pixel in range(len(image)):
        for channel in range(3):
            image[pixel, channel] = middles[pixel, channel]
    for index in range(len(pixels)):
        pixel = pixels[index]
        for channel in range(3):
            total = min(image[pixel, channel], most)
            for sample in range(per_pixel):
                total += min(further[index * per_pixel + sample, channel], most)
            image[pixel, channel] = total / (per_pixel + 1)


def add_bloom(image: Float32Array, strength: float, exposure: float) -> None:
    """Let what is brighter than the film takes glow into its surroundings; `image` (H, W, 3) is changed."""
    height, width, _ = image.shape
    rows, columns = height // BLOOM_BLOCK, width // BLOOM_BLOCK
    if strength <= 0.0 or min(rows, columns) < 4:
        return
    _spread_bloom(image, np.zeros((rows, columns, 3), np.float32), strength, exposure, max(width // 120, 2))


@compile_kernel
def _spread_bloom(image: Any, glow: Any, strength: float, exposure: float, reach: int) -> None:
    rows, columns, _ = glow.shape
    block = BLOOM_BLOCK
    total = 0.0
    for row in range(rows):
        for column in range(columns):
            for part in range(block * block):
                pixel = image[row * block + part // block, column * block + part % block]
                bright = exposure * (pixel[0] + pixel[1] + pixel[2]) / 3.0
                share = min(max(bright - BLOOM_FROM, 0.0), BLOOM_MOST) / max(bright, 1e-6) / (block * block)
                for channel in range(3):
                    glow[row, column, channel] += share * pixel[channel] * exposure
                total += share
    if total <= 0.0:
        return
    for _ in range(2):  # two box blurs in each direction are nearly a Gaussian
        for axis in range(2):
            length = columns if axis == 0 else rows
            line = np.empty((length, 3), np.float32)
            for index in range(rows if axis == 0 else columns):
                for place in range(length):
                    for channel in range(3):
                        line[place, channel] = glow[index, place, channel] if axis == 0 else glow[place, index, channel]
                for place in range(length):
                    for channel in range(3):
                        value = 0.0
                        for near in range(max(place - reach, 0), min(place + reach + 1, length)):
                            value += line[near, channel]
                        value /= 2 * reach + 1
                        if axis == 0:
                            glow[index, place, channel] = value
                        else:
                            glow[place, index, channel] = value
    height, width, _ = image.shape
    scale = strength * 8.0 / exposure
    for row in range(height):
        y = min(max((row + 0.5) / block - 0.5, 0.0), rows - 1.001)
        i = int(y)
        v = y - i
        for column in range(width):
            x = min(max((column + 0.5) / block - 0.5, 0.0), columns - 1.001)
            j = int(x)
            u = x - j
            for channel in range(3):
                low = glow[i, j, channel] * (1.0 - u) + glow[i, j + 1, channel] * u
                high = glow[i + 1, j, channel] * (1.0 - u) + glow[i + 1, j + 1, channel] * u
                image[row, column, channel] += scale * (low * (1.0 - v) + high * v)


def make_noise_pool(seed: int) -> Float32Array:
    """Standard normal numbers that all pictures draw from; drawing anew for each pixel takes as long as tracing."""
    pool: Float32Array = np.random.Generator(np.random.PCG64(seed)).standard_normal(NOISE_POOL, dtype=np.float32)
    return pool


@compile_kernel
def develop(
    image: Any, table: Any, exposure: float, pool: Any, starts: Any, read: float, shot: float, out: Any
) -> None:
    """Picture (H, W, 3) uint8 into `out`: tone curve, then noise of `read` plus `shot` times the root of the value.
    `starts` (H,) says where in the `pool` of noise each row begins."""
    height, width, _ = image.shape
    last = len(table) - 1
    scale = last / np.sqrt(TONE_WHITE)
    for row in range(height):
        place = starts[row]
        for column in range(width):
            for channel in range(3):
                index = np.sqrt(max(image[row, column, channel], 0.0) * exposure) * scale
                value = table[int(min(index, float(last)))]
                place += 1
                if place >= len(pool):
                    place = 0
                value += pool[place] * (read + shot * np.sqrt(value))
                out[row, column, channel] = np.uint8(min(max(value + 0.5, 0.0), 255.0))


def add_rain(picture: npt.NDArray[np.uint8], weather: WeatherConfig, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Streaks of falling drops, and drops on the lens that show the scene upside down."""
    height, width, _ = picture.shape
    scale = width / 480.0
    streaks = np.column_stack(
        [
            rng.uniform(0.0, width, weather.streaks),
            rng.uniform(-0.1 * height, height, weather.streaks),
            rng.uniform(0.02, 0.09, weather.streaks) * height,
            rng.uniform(0.02, 0.12, weather.streaks),
        ]
    )
    slant = float(rng.uniform(-0.12, 0.12))
    drops = np.column_stack(
        [
            rng.uniform(0.0, width, weather.drops),
            rng.uniform(0.0, height, weather.drops),
            rng.uniform(2.5, 8.0, weather.drops) * scale,
        ]
    )
    wet = picture.copy()
    _draw_streaks(wet, streaks, slant, max(scale, 1.0))
    _draw_drops(wet.copy(), drops, wet)
    return wet


@compile_kernel
def _draw_streaks(picture: Any, streaks: Any, slant: float, thickness: float) -> None:
    height, width, _ = picture.shape
    for streak in range(len(streaks)):
        x, y, length, strength = streaks[streak]
        for step in range(int(length)):
            row = int(y) + step
            if row < 0 or row >= height:
                continue
            fade = strength * (1.0 - abs(2.0 * step / length - 1.0))
            start = int(x + slant * step)
            for column in range(max(start, 0), min(start + int(thickness), width)):
                for channel in range(3):
                    value = picture[row, column, channel]
                    picture[row, column, channel] = np.uint8(value + fade * (235.0 - value))


@compile_kernel
def _draw_drops(source: Any, drops: Any, picture: Any) -> None:
    height, width, _ = picture.shape
    for drop in range(len(drops)):
        x, y, radius = drops[drop]
        for row in range(max(int(y - radius), 0), min(int(y + radius) + 2, height)):
            for column in range(max(int(x - radius), 0), min(int(x + radius) + 2, width)):
                dx, dy = (column + 0.5 - x) / radius, (row + 0.5 - y) / (radius * 1.15)
                square = dx * dx + dy * dy
                if square >= 1.0:
                    continue
                cover = min((1.0 - square) * 3.0, 1.0) * 0.75
                shade = 1.08 - 0.4 * square * (0.5 - 0.5 * dy)
                i = int(min(max(y - dy * radius * 5.0, 0.0), height - 1.0))
                j = int(min(max(x - dx * radius * 5.0, 0.0), width - 1.0))
                for channel in range(3):
                    value = source[i, j, channel] * shade
                    mixed = picture[row, column, channel] * (1.0 - cover) + cover * value
                    picture[row, column, channel] = np.uint8(min(mixed, 255.0))
