"""Every number of rendering: weather, surfaces, lens and lidar."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple

import numpy as np

from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.mesh import Ground

Colour = Tuple[float, float, float]  # linear RGB; as light, a white wall in full sun is about 2


@dataclass(frozen=True)
class WeatherConfig:
    """Light and air of one kind of weather. Colours are linear radiance."""

    sun: Colour
    zenith: Colour
    horizon: Colour
    ambient: Colour  # from the whole sky, on a face that looks up
    bounce: Colour  # from the ground, on a face that looks down
    cloud: Colour
    cloud_cover: float  # 0 none, 1 all
    haze_per_m: float
    haze: Colour
    exposure: float
    wetness: float = 0.0
    lamp: float = 2.0  # radiance of a lamp of full colour
    lit_windows: float = 0.0  # share
    street_lamps: float = 0.0  # irradiance below one
    headlights: float = 0.0  # intensity of the ego's two
    bloom: float = 0.0
    sun_glow: float = 1.0
    drops: int = 0  # on the lens
    streaks: int = 0
    sensor_noise: float = 1.0


WEATHERS: Mapping[str, WeatherConfig] = {
    "clear": WeatherConfig(
        sun=(3.1, 2.85, 2.5),
        zenith=(0.16, 0.34, 0.85),
        horizon=(0.75, 0.95, 1.2),
        ambient=(0.6, 0.68, 0.84),
        bounce=(0.28, 0.27, 0.24),
        cloud=(1.5, 1.5, 1.5),
        cloud_cover=0.42,
        haze_per_m=0.0011,
        haze=(0.72, 0.9, 1.12),
        exposure=0.8,
    ),
    "overcast": WeatherConfig(
        sun=(0.0, 0.0, 0.0),
        zenith=(0.72, 0.77, 0.83),
        horizon=(0.98, 1.0, 1.03),
        ambient=(1.25, 1.3, 1.38),
        bounce=(0.26, 0.26, 0.25),
        cloud=(0.62, 0.65, 0.7),
        cloud_cover=0.9,
        haze_per_m=0.0022,
        haze=(0.92, 0.95, 0.98),
        exposure=0.85,
        sun_glow=0.0,
    ),
    "rain": WeatherConfig(
        sun=(0.0, 0.0, 0.0),
        zenith=(0.42, 0.46, 0.5),
        horizon=(0.62, 0.65, 0.68),
        ambient=(0.75, 0.79, 0.85),
        bounce=(0.12, 0.12, 0.12),
        cloud=(0.34, 0.37, 0.41),
        cloud_cover=0.95,
        haze_per_m=0.0065,
        haze=(0.56, 0.59, 0.62),
        exposure=1.25,
        wetness=1.0,
        lamp=2.6,
        lit_windows=0.12,
        bloom=0.1,
        sun_glow=0.0,
        drops=14,
        streaks=160,
        sensor_noise=1.6,
    ),
    "fog": WeatherConfig(
        sun=(0.0, 0.0, 0.0),
        zenith=(0.78, 0.8, 0.82),
        horizon=(0.8, 0.82, 0.84),
        ambient=(0.95, 0.98, 1.02),
        bounce=(0.25, 0.25, 0.25),
        cloud=(0.78, 0.8, 0.82),
        cloud_cover=0.0,
        haze_per_m=0.034,
        haze=(0.8, 0.82, 0.84),
        exposure=1.0,
        wetness=0.25,
        lamp=2.6,
        lit_windows=0.08,
        bloom=0.12,
        sun_glow=0.0,
        sensor_noise=1.3,
    ),
    "night": WeatherConfig(
        sun=(0.0, 0.0, 0.0),
        zenith=(0.003, 0.004, 0.009),
        horizon=(0.022, 0.019, 0.02),
        ambient=(0.022, 0.025, 0.035),
        bounce=(0.01, 0.009, 0.007),
        cloud=(0.018, 0.015, 0.014),
        cloud_cover=0.5,
        haze_per_m=0.0012,
        haze=(0.02, 0.018, 0.019),
        exposure=1.9,
        lamp=1.6,
        lit_windows=0.3,
        street_lamps=0.55,
        headlights=85.0,
        bloom=0.08,
        sun_glow=0.0,
        sensor_noise=3.0,
    ),
}


class SurfaceConfig(NamedTuple):
    """How surfaces look; a named tuple, since it goes into compiled kernels as it is. Lengths in metres."""

    asphalt_grain_m: float = 0.05
    asphalt_grain: float = 0.22
    asphalt_patch_m: float = 3.5
    asphalt_patch: float = 0.3
    marking_wear: float = 0.25
    grass_tuft_m: float = 0.16
    grass_patch_m: float = 5.0
    grass_contrast: float = 0.55
    slab_m: float = 1.5
    slab_joint_m: float = 0.03
    slab_joint_shade: float = 0.55
    leaf_m: float = 0.22
    leaf_contrast: float = 0.95
    plaster_m: float = 0.7
    plaster_contrast: float = 0.12
    paint_reflectance: float = 0.05
    paint_gloss: float = 260.0  # exponent of the sun's highlight
    paint_highlight: float = 1.6
    glass_albedo: float = 0.025
    glass_reflectance: float = 0.12
    metal_reflectance: float = 0.4
    wet_darkening: float = 0.5
    wet_reflectance: float = 0.09
    wet_ripple: float = 0.035
    window_width_m: float = 3.0  # of the cell that holds one window
    storey_m: float = 3.2
    window_left: float = 0.22  # of the cell
    window_right: float = 0.78
    window_bottom: float = 0.3
    window_top: float = 0.82
    window_frame_m: float = 0.07
    door_share: float = 0.25
    shop_top: float = 0.74
    lit_window: float = 0.3  # radiance
    contact_reach_m: float = 0.55
    contact_shade: float = 0.75
    headlight_reach_m: float = 55.0
    headlight_spread: float = 0.34  # radians
    headlight_height_m: float = 0.7
    headlight_front_m: float = 4.0


def srgb_to_linear(colours: Any) -> Any:
    """Linear values of sRGB bytes."""
    share = np.asarray(colours, np.float64) / 255.0
    return np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)  # IEC 61966-2-1


GROUND_ALBEDO: Mapping[Ground, Colour] = {
    Ground.TERRAIN: (0.115, 0.15, 0.05),
    Ground.ASPHALT: (0.085, 0.086, 0.09),
    Ground.WALKWAY: (0.33, 0.32, 0.3),
    Ground.WHITE: (0.72, 0.72, 0.7),
    Ground.YELLOW: (0.72, 0.46, 0.06),
    Ground.KERB: (0.42, 0.42, 0.41),
    Ground.PARKING: (0.11, 0.105, 0.1),
    Ground.JUNCTION: (0.08, 0.081, 0.085),
}


class LidarHead(NamedTuple):
    """One spinning lidar: where it is in the ego frame, the elevations of its beams from the lowest up [rad], how many
    columns it measures per sweep and between which azimuths; `code` goes to the field lidar_info."""

    position: Tuple[float, float, float]
    elevations: Tuple[float, ...]
    columns: int
    azimuths: Tuple[float, float]
    code: int


def spread_beams(*fans: Tuple[float, float, int]) -> Tuple[float, ...]:
    """Elevations [rad] of beams in fans (from, to, count), in degrees, from the lowest up, without the end of each."""
    return tuple(
        float(np.radians(low + (high - low) * index / count)) for low, high, count in fans for index in range(count)
    )


TURN = (-float(np.pi), float(np.pi))
SIDE_BEAMS = spread_beams((-60.0, -12.0, 14), (-12.0, 4.0, 6))
BUMPER_BEAMS = spread_beams((-16.0, 8.0, 16))


@dataclass(frozen=True)
class LidarConfig:
    """The lidars that OpenScene merges into one cloud: one on the roof, four around the car for what is near."""

    heads: Tuple[LidarHead, ...] = (
        # Dense where objects at 10 to 60 m are, as the beams of roof lidars are.
        LidarHead((1.2, 0.0, 1.95), spread_beams((-25.0, -9.0, 14), (-9.0, 1.5, 42), (1.5, 12.0, 8)), 1024, TURN, 0),
        LidarHead((4.1, 0.0, 0.75), BUMPER_BEAMS, 300, (-1.75, 1.75), 1),
        LidarHead((-1.2, 0.0, 0.85), BUMPER_BEAMS, 300, (np.pi - 1.75, np.pi + 1.75), 2),
        LidarHead((1.6, 1.2, 1.6), SIDE_BEAMS, 300, (0.0, np.pi), 3),
        LidarHead((1.6, -1.2, 1.6), SIDE_BEAMS, 300, (-np.pi, 0.0), 4),
    )
    max_range_m: float = 100.0
    min_range_m: float = 0.9
    range_noise_m: float = 0.012
    range_noise_per_m: float = 0.00015
    noise_clip: float = 3.0  # standard deviations
    dropout: float = 0.02
    glass_dropout: float = 0.8
    half_signal_m: float = 95.0  # range at which a surface of that reflectance, seen straight on, is lost at half
    half_signal_reflectance: float = 0.1
    dark_reflectance: float = 0.02  # added to every surface
    loss_power: float = 4.0
    glass_reflectance: float = 0.05
    lamp_reflectance: float = 0.9  # lenses reflect back
    intensity_gain: float = 330.0
    half_in_weather_m: Mapping[str, float] = field(default_factory=lambda: {"fog": 26.0, "rain": 80.0})
    always_seen_m: float = 45.0  # an object in view this near has at least one point
    probes: int = 1024  # places on an object at which to look whether it is in view: 0.3 % of it is found
    ego_front_m: float = 4.15  # the own car, left out of the cloud
    ego_rear_m: float = 1.25
    ego_half_width_m: float = 1.25


class EdgeLimits(NamedTuple):
    """Two faces of one object and material are an edge below the `cosine` between their normals or above the `ratio`
    of their distances, leaves only above `leaf_ratio`; and any two only where the roots of their exposed radiance
    differ by at least the `contrast`."""

    cosine: float
    ratio: float
    leaf_ratio: float
    contrast: float


@dataclass(frozen=True)
class RenderConfig:
    """Rendering as a whole. `image_size` (width, height) None: the size that the log's intrinsics are made for."""

    image_size: Optional[Tuple[int, int]] = None
    jpeg_quality: int = 90
    street_radius_m: float = 160.0
    sky_columns: int = 2048
    sky_rows: int = 384
    edge_samples: int = 2  # more rays for a pixel at an edge
    edges: EdgeLimits = EdgeLimits(cosine=0.94, ratio=1.06, leaf_ratio=1.12, contrast=0.05)
    max_taps: int = 5
    brightest_sample: float = 4.0  # exposed; so that one lamp does not white out the edge of what hides it
    shadow_offset_m: float = 0.02
    near_m: float = 0.05
    grid_cell_m: float = 0.125  # of contact shadows
    grid_cells: int = 640
    shadow_cell_m: float = 0.5  # of where actors may cast shadows
    shadow_cells: int = 512
    lamp_cell_m: float = 1.0
    lamp_min_height_m: float = 3.0
    lamp_reach_m: float = 22.0
    default_weather: str = "clear"
    default_sun: Tuple[float, float] = (0.9, 0.75)  # azimuth, elevation [rad]
    weathers: Mapping[str, WeatherConfig] = field(default_factory=lambda: dict(WEATHERS))
    surface: SurfaceConfig = SurfaceConfig()
    lidar: LidarConfig = LidarConfig()
    noise_read: float = 0.9  # standard deviation, of 255
    noise_shot: float = 0.075  # times the root of the value

    def weather(self, name: str) -> WeatherConfig:
        """Weather of that name; raises `DataError` for one that is not known."""
        if name not in self.weathers:
            raise DataError(f"weather: expected one of {', '.join(self.weathers)}, got {name!r}")
        return self.weathers[name]


class FrameSetting(NamedTuple):
    """What a log says of weather and light: the extra key `world`, or the defaults for a log without it."""

    weather: str
    sun_azimuth: float
    sun_elevation: float
    seed: int


def read_setting(frame: Mapping[str, Any], config: RenderConfig) -> FrameSetting:
    """Weather, sun and seed of a raw log frame."""
    world: Dict[str, Any] = frame.get("world") or {}
    azimuth, elevation = world.get("sun") or config.default_sun
    weather = str(world.get("weather", config.default_weather))
    return FrameSetting(weather, float(azimuth), float(elevation), int(world.get("seed", 0)))
