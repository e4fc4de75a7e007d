"""Pictures and point clouds of log frames along one street."""

from __future__ import annotations

import zlib
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.calibration import CameraCalibration, rig_of_frame
from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.actors import build_actors
from latentvla_agent.world.meshes.mesh import Mesh, Street, join_meshes
from latentvla_agent.world.meshes.signals import build_signals
from latentvla_agent.world.rendering.config import FrameSetting, RenderConfig, WeatherConfig, read_setting
from latentvla_agent.world.rendering.embree import Float32Array, MeshScene
from latentvla_agent.world.rendering.film import TONE_TABLE, add_bloom, add_rain, develop, make_noise_pool
from latentvla_agent.world.rendering.frame_scene import FrameScene, boxes_in_street, pose_in_street
from latentvla_agent.world.rendering.grids import MIN_SUN_HEIGHT, light_lamps, make_grid, mark_shadows, shade_contacts
from latentvla_agent.world.rendering.ground_texture import make_texture
from latentvla_agent.world.rendering.lidar import scan_scene
from latentvla_agent.world.rendering.lidar_beams import aim_beams
from latentvla_agent.world.rendering.lighting import direction_of_sun, gather_light
from latentvla_agent.world.rendering.sky import make_sky
from latentvla_agent.world.rendering.surfaces import SurfaceTable
from latentvla_agent.world.rendering.tracing import Tracer, cast_middles
from latentvla_agent.world.rendering.views import ViewCache, resize_camera

Picture = npt.NDArray[np.uint8]
ActorBuilder = Callable[[Mapping[str, Any], Street], Mesh]
SKY = -2  # where a picture shows no object and no street


class Renderer:
    """Sensors along one street. `build_actors` makes the mesh of what changes, from a raw frame, in the street's frame.
    `views`: rays of cameras that other streets' renderers have asked for already.

    One frame's scene is kept, so that asking for its cameras and its lidar one after the other builds it once.
    """

    def __init__(
        self,
        street: Street,
        config: RenderConfig = RenderConfig(),
        build_actors: Optional[ActorBuilder] = None,
        views: Optional[ViewCache] = None,
    ):
        self.street = street
        self.config = config
        self._build_actors = build_actors or build_moving
        self._static = MeshScene(street.mesh)
        self._table = SurfaceTable(street.mesh)
        self._tracer = Tracer(make_texture(street.ground), config)
        self._lamps = light_lamps(street.mesh, config)
        self._noise = make_noise_pool(0)
        self._views = ViewCache() if views is None else views
        self.beams = aim_beams(config.lidar)
        self._skies: Dict[Tuple[Any, ...], npt.NDArray[np.float32]] = {}
        self._scene: Optional[Tuple[Tuple[str, FrameSetting], FrameScene]] = None

    def render_cameras(self, frame: Mapping[str, Any], names: Sequence[str]) -> Dict[str, Picture]:
        """Pictures (H, W, 3) of the cameras `names` (`cam_f0` …) of a raw log frame."""
        rig = rig_of_frame(frame["cams"])
        unknown = sorted(set(names) - set(rig))
        if unknown:
            raise DataError(f"cameras: expected some of {', '.join(rig)}, got {', '.join(unknown)}")
        return {name: self.render_camera(frame, rig[name]) for name in names}

    def render_camera(self, frame: Mapping[str, Any], camera: CameraCalibration) -> Picture:
        """Picture (H, W, 3) of one camera."""
        camera = resize_camera(camera, self.config.image_size)
        scene = self.scene_of(frame)
        setting, weather = self._weather_of(frame)
        image = self._tracer.trace_picture(scene, self._views.view_of(camera), weather)
        add_bloom(image, weather.bloom, weather.exposure)
        rng = seed_noise(str(frame["token"]), camera.name, setting.seed)
        picture = np.empty(image.shape, np.uint8)
        starts = rng.integers(0, len(self._noise), len(image))
        read, shot = (weather.sensor_noise * value for value in (self.config.noise_read, self.config.noise_shot))
        develop(image, TONE_TABLE, weather.exposure, self._noise, starts, read, shot, picture)
        return add_rain(picture, weather, rng) if weather.streaks or weather.drops else picture

    def scan_lidar(self, frame: Mapping[str, Any]) -> Float32Array:
        """Points (6, N) in the ego frame: x, y, z, intensity, ring, number of the lidar."""
        setting, _ = self._weather_of(frame)
        rng = seed_noise(str(frame["token"]), "lidar", setting.seed)
        scene = self.scene_of(frame)
        return scan_scene(scene, self._tracer.texture, self.beams, self.config.lidar, setting.weather, rng)

    def find_objects(self, frame: Mapping[str, Any], camera: CameraCalibration) -> npt.NDArray[np.int32]:
        """Row of the box that each pixel shows (H, W); -1 for the street, -2 for the sky."""
        scene, view = self.scene_of(frame), self._views.view_of(resize_camera(camera, self.config.image_size))
        _, hits, _ = cast_middles(scene, view, self.config.near_m)
        faces = hits.faces
        found = np.where(faces >= 0, scene.surfaces.objects[np.maximum(faces, 0)], SKY)
        return found.astype(np.int32).reshape(view.camera.height, view.camera.width)

    def scene_of(self, frame: Mapping[str, Any]) -> FrameScene:
        """Street and actors of a raw log frame."""
        key = (str(frame["token"]), read_setting(frame, self.config))
        if self._scene is None or self._scene[0] != key:
            self._scene = (key, self._build_scene(frame))
        return self._scene[1]

    def forget_frame(self) -> None:
        """Build the scene anew next time, though the token be the same."""
        self._scene = None

    def _weather_of(self, frame: Mapping[str, Any]) -> Tuple[FrameSetting, WeatherConfig]:
        setting = read_setting(frame, self.config)
        return setting, self.config.weather(setting.weather)

    def _build_scene(self, frame: Mapping[str, Any]) -> FrameScene:
        config = self.config
        setting, weather = self._weather_of(frame)
        sun = direction_of_sun(setting)
        pose = pose_in_street(frame, self.street.origin)
        actors = self._build_actors(frame, self.street)
        contacts = make_grid(pose, config.grid_cells, config.grid_cell_m)
        boxes = boxes_in_street(frame, pose)
        shade_contacts(contacts, boxes, config.surface.contact_reach_m, config.surface.contact_shade)
        shadows = make_grid(pose, config.shadow_cells, config.shadow_cell_m)
        if max(weather.sun) > 0.0 and sun[2] > MIN_SUN_HEIGHT:
            mark_shadows(shadows, actors.vertices, actors.faces, sun)
        sky = self._sky_of(setting, weather, sun)
        light = gather_light(weather, sun, pose, sky, (contacts, self._lamps))
        return FrameScene(self._static, MeshScene(actors), self._table.with_actors(actors), light, shadows, pose)

    def _sky_of(
        self, setting: FrameSetting, weather: WeatherConfig, sun: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        if setting not in self._skies:
            self._skies = {setting: make_sky(weather, sun, setting.seed, self.config)}
        return self._skies[setting]


def build_moving(frame: Mapping[str, Any], street: Street) -> Mesh:
    """The annotated boxes of a raw frame and the lit lamps of traffic lights, in the street's frame."""
    entries = dict(frame)
    return join_meshes([build_actors(entries, street.origin), build_signals(entries, street, street.origin)])


def seed_noise(token: str, sensor: str, seed: int) -> np.random.Generator:
    """Random numbers of one sensor in one frame."""
    digest = zlib.crc32(f"{token} {sensor}".encode())
    return np.random.Generator(np.random.PCG64([seed, digest]))
