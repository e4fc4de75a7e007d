"""The sky as a picture of the upper half sphere: gradient, sun, clouds and a far skyline."""

from __future__ import annotations

from typing import Any, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.rendering.compiled import compile_inlined, compile_kernel, layered_noise, mix, smooth_step
from latentvla_agent.world.rendering.config import RenderConfig, WeatherConfig

CLOUD_SCALE = 1.1  # of the noise, at the height that clouds have
CLOUD_OCTAVES = 5
CLOUD_SOFTNESS = 0.22
CLOUD_FADE = 0.12  # height (sine of the elevation) below which clouds dissolve in haze
GRADIENT_POWER = 0.45
SUN_SIZE = 0.9996  # cosine
SUN_BRIGHTNESS = 6.0
GLOW_POWERS = (12.0, 220.0)
GLOW_SHARES = (0.12, 0.5)
HILL_HEIGHTS = (0.030, 0.016)  # of the far and the near skyline, sine of the elevation
HILL_SCALES = (3.0, 14.0)
HILL_DISTANCES = (1700.0, 900.0)  # metres, for the haze before each
HILL_ALBEDO = (0.10, 0.12, 0.07)
TURN = 2.0 * np.pi


def make_sky(
    weather: WeatherConfig, sun: npt.NDArray[np.float64], seed: int, config: RenderConfig
) -> npt.NDArray[np.float32]:
    """Radiance (rows, columns, 3): columns around from east over north, rows by the root of the height."""
    dome = np.empty((config.sky_rows, config.sky_columns, 3), np.float32)
    colours = np.array([weather.zenith, weather.horizon, weather.cloud, weather.haze, weather.sun], np.float64)
    hills = np.array(HILL_ALBEDO) * (np.array(weather.ambient) + np.array(weather.sun) / 2.0)
    haze = 1.0 - np.exp(-weather.haze_per_m * np.array(HILL_DISTANCES))
    _paint_sky(dome, colours, hills, haze, sun, weather.cloud_cover, weather.sun_glow, seed)
    return dome


@compile_kernel
def _paint_sky(
    dome: Any, colours: Any, hills: Any, hill_haze: Any, sun: Any, cover: float, glow: float, seed: int
) -> None:
    rows, columns, _ = dome.shape
    zenith, horizon, cloud, haze, sunlight = colours[0], colours[1], colours[2], colours[3], colours[4]
    for row in range(rows):
        height = ((row + 0.5) / rows) ** 2
        flat = np.sqrt(max(1.0 - height * height, 0.0))
        for column in range(columns):
            azimuth = TURN * (column + 0.5) / columns
            x, y = flat * np.cos(azimuth), flat * np.sin(azimuth)
            # Clouds lie in a plane; the constant bends it down so that they do not shrink to lines far away.
            plane = CLOUD_SCALE / (height + CLOUD_FADE)
            amount = layered_noise(x * plane + 50.0, y * plane + 50.0, seed + 11, CLOUD_OCTAVES)
            low = 1.0 - cover - CLOUD_SOFTNESS / 2.0
            cloudiness = smooth_step(low, low + CLOUD_SOFTNESS, amount) if cover > 0.0 else 0.0
            cloudiness *= smooth_step(0.0, CLOUD_FADE, height)
            shade = mix(1.0, 0.72, smooth_step(low, 1.0, amount))
            toward = max(x * sun[0] + y * sun[1] + height * sun[2], 0.0)
            halo = glow * (GLOW_SHARES[0] * toward ** GLOW_POWERS[0] + GLOW_SHARES[1] * toward ** GLOW_POWERS[1])
            disc = glow * SUN_BRIGHTNESS if toward > SUN_SIZE else 0.0
            ridge = _ridge(azimuth, seed)
            for channel in range(3):
                value = mix(horizon[channel], zenith[channel], height**GRADIENT_POWER)
                value = mix(value + halo * sunlight[channel], cloud[channel] * shade, cloudiness)
                value += disc * sunlight[channel] * (1.0 - cloudiness)
                for layer in range(2):
                    edge = ridge[layer]
                    covered = smooth_step(edge + 0.0015, edge - 0.0015, height)
                    hill = mix(hills[channel], haze[channel], hill_haze[layer])
                    value = mix(value, hill, covered)
                dome[row, column, channel] = value


@compile_inlined
def _ridge(azimuth: float, seed: int) -> Tuple[float, float]:
    """Heights of both skylines; the noise is read on a circle, so that it closes."""
    x, y = np.cos(azimuth), np.sin(azimuth)
    far = layered_noise(x * HILL_SCALES[0] + 20.0, y * HILL_SCALES[0] + 20.0, seed + 31, 3)
    near = layered_noise(x * HILL_SCALES[1] + 20.0, y * HILL_SCALES[1] + 20.0, seed + 37, 4)
    return HILL_HEIGHTS[0] * far, HILL_HEIGHTS[1] * near


@compile_inlined
def look_up_sky(dome: Any, x: float, y: float, z: float) -> Tuple[float, float, float]:
    """Radiance of the sky in the unit direction (x, y, z); below the horizon that of the horizon."""
    rows, columns, _ = dome.shape
    row = min(max(np.sqrt(max(z, 0.0)) * rows - 0.5, 0.0), rows - 1.001)
    column = (np.arctan2(y, x) / TURN + 1.0) * columns - 0.5
    i, j = int(row), int(column)
    u, v = column - j, row - i
    first, second = j % columns, (j + 1) % columns
    a, b = (1.0 - v) * (1.0 - u), (1.0 - v) * u
    c, d = v * (1.0 - u), v * u
    return (
        a * dome[i, first, 0] + b * dome[i, second, 0] + c * dome[i + 1, first, 0] + d * dome[i + 1, second, 0],
        a * dome[i, first, 1] + b * dome[i, second, 1] + c * dome[i + 1, first, 1] + d * dome[i + 1, second, 1],
        a * dome[i, first, 2] + b * dome[i, second, 2] + c * dome[i + 1, first, 2] + d * dome[i + 1, second, 2],
    )
