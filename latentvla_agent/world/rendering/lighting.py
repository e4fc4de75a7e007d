"""The light of one frame, gathered in the form that the kernels take."""

from __future__ import annotations

from typing import Any, NamedTuple, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.world.rendering.config import FrameSetting, WeatherConfig
from latentvla_agent.world.rendering.grids import Grid

Triple = Tuple[float, float, float]


class Light(NamedTuple):
    """Light and air. `ego_x`, `ego_y`, `ego_cos`, `ego_sin`: the rear axle in the street's frame, for headlights;
    `contacts` holds the shade below actors (0…1), `lamps` the light of street lamps, `sky` the dome."""

    sun: Triple  # radiance
    sun_direction: Triple
    ambient: Triple
    bounce: Triple
    haze: Triple
    haze_per_m: float
    wetness: float
    lamp: float
    lit_windows: float
    street_lamps: float
    headlights: float
    ego_x: float
    ego_y: float
    ego_cos: float
    ego_sin: float
    sky: Any
    contacts: Grid
    lamps: Grid


def direction_of_sun(setting: FrameSetting) -> npt.NDArray[np.float64]:
    """Unit direction (3,) towards the sun."""
    flat = np.cos(setting.sun_elevation)
    azimuth = setting.sun_azimuth
    return np.array([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(setting.sun_elevation)])


def gather_light(
    weather: WeatherConfig,
    sun: npt.NDArray[np.float64],
    ego: npt.NDArray[np.float64],
    sky: npt.NDArray[np.float32],
    grids: Tuple[Grid, Grid],
) -> Light:
    """Light of a frame whose ego is at the pose `ego` (x, y, heading); `grids`: contact shadows and street lamps."""
    return Light(
        sun=weather.sun,
        sun_direction=(float(sun[0]), float(sun[1]), float(sun[2])),
        ambient=weather.ambient,
        bounce=weather.bounce,
        haze=weather.haze,
        haze_per_m=weather.haze_per_m,
        wetness=weather.wetness,
        lamp=weather.lamp,
        lit_windows=weather.lit_windows,
        street_lamps=weather.street_lamps,
        headlights=weather.headlights,
        ego_x=float(ego[0]),
        ego_y=float(ego[1]),
        ego_cos=float(np.cos(ego[2])),
        ego_sin=float(np.sin(ego[2])),
        sky=sky,
        contacts=grids[0],
        lamps=grids[1],
    )
