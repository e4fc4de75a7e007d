"""Pictures and point clouds of log frames along one street."""

from __future__ import annotations

import zlib
from typing import Any, Callable, Dict, Iterable, Mapping, Optional, Tuple

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.calibration import CameraCalibration, rig_of_frame
from latentvla_agent.errors import DataError
from latentvla_agent.world.meshes.actors import build_actors
from latentvla_agent.world.meshes.mesh import Material, Mesh, Street, join_meshes
from latentvla_agent.world.meshes.signals import build_signals
from latentvla_agent.world.rendering.config import FrameSetting, RenderConfig, WeatherConfig, read_setting
from latentvla_agent.world.rendering.embree import Float32Array, Hits, MeshScene
from latentvla_agent.world.rendering.film import (
    TONE_TABLE,
    add_bloom,
    add_rain,
    develop,
    make_noise_pool,
    resolve_samples,
)
from latentvla_agent.world.rendering.frame_scene import (
    FrameScene,
    aim_rays,
    boxes_in_street,
    pose_in_street,
)
from latentvla_agent.world.rendering.grids import (
    MIN_SUN_HEIGHT,
    light_lamps,
    make_grid,
    mark_shadows,
    shade_contacts,
)
from latentvla_agent.world.rendering.ground_texture import make_texture
from latentvla_agent.world.rendering.lidar import aim_beams, scan_scene
from latentvla_agent.world.rendering.lighting import direction_of_sun, gather_light
from latentvla_agent.world.rendering.shading import Rays, find_places, shade_hits
from latentvla_agent.world.rendering.shadows import aim_mirrored, no_mirror, shade_mirrored
from latentvla_agent.world.rendering.sky import make_sky
from latentvla_agent.world.rendering.surfaces import SurfaceTable
from latentvla_agent.world.rendering.views import (
    SUBPIXELS,
    CameraView,
    ViewCache,
    aim_subpixels,
    find_edges,
    mark_faces,
    resize_camera,
)

Picture = npt.NDArray[np.uint8]
ActorBuilder = Callable[[Mapping[str, Any], Street], Mesh]
MIRROR_FROM = 0.5  # wetness from which a street mirrors what stands on it


class Renderer:
    """Sensors along one street. `build_actors` makes the mesh of what changes, from a raw frame, in the street's frame.

    One frame's scene is kept, so that asking for its cameras and its lidar one after the other builds it once.
    """

    def __init__(
        self, street: Street, config: RenderConfig = RenderConfig(), build_actors: Optional[ActorBuilder] = None
    ):
        self.street = street
        self.config = config
        self._build_actors = build_actors or build_moving
        self._static = MeshScene(street.mesh)
        self._table = SurfaceTable(street.mesh)
        self._texture = make_texture(street.ground)
        self._lamps = light_lamps(street.mesh, config)
        self._noise = make_noise_pool(0)
        self._views = ViewCache()
        self.beams = aim_beams(config.lidar)
        self._skies: Dict[Tuple[Any, ...], npt.NDArray[np.float32]] = {}
        self._scene: Optional[Tuple[Tuple[str, FrameSetting], FrameScene]] = None

    def render_cameras(self, frame: Mapping[str, Any], names: Iterable[str]) -> Dict[str, Picture]:
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
        image = self._trace(scene, self._views.view_of(camera), weather)
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
        return scan_scene(scene, self._texture, self.beams, self.config.lidar, setting.weather, rng)

    def find_objects(self, frame: Mapping[str, Any], camera: CameraCalibration) -> npt.NDArray[np.int32]:
        """Row of the box that each pixel shows (H, W); -1 for the street, -2 for the sky."""
        scene, view = self.scene_of(frame), self._views.view_of(resize_camera(camera, self.config.image_size))
        _, hits, _ = self._cast_middles(scene, view)
        found = np.where(hits.faces >= 0, scene.surfaces.objects[np.maximum(hits.faces, 0)], -2)
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
        return FrameScene(
            self._static, MeshScene(actors), self._table.with_actors(actors), light, shadows, pose
        )

    def _sky_of(
        self, setting: FrameSetting, weather: WeatherConfig, sun: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float32]:
        if setting not in self._skies:
            self._skies = {setting: make_sky(weather, sun, setting.seed, self.config)}
        return self._skies[setting]

    def _cast_middles(self, scene: FrameScene, view: CameraView) -> Tuple[Rays, Hits, npt.NDArray[np.bool_]]:
        """Rays through the middles of the pixels, their hits, and which pixels an actor may cover (H, W)."""
        pinhole = view.place(scene.pose)
        mask = np.zeros((pinhole.height, pinhole.width), bool)
        actors = scene.actors.mesh
        mark_faces(pinhole, actors.vertices, actors.faces, self.config.near_m, mask)
        rays = aim_rays(pinhole.position, view.aim(scene.pose), view.pixel_angle)
        return rays, scene.cast(rays.origin, rays.directions, np.flatnonzero(mask)), mask

    def _trace(self, scene: FrameScene, view: CameraView, weather: WeatherConfig) -> Float32Array:
        """Radiance (H, W, 3) of a camera."""
        rays, hits, mask = self._cast_middles(scene, view)
        pixels, rays, hits = self._refine_edges(scene, view, rays, hits, mask)
        samples = np.empty((len(hits.faces), 3), np.float32)
        self._shade(scene, rays, hits, weather, samples)
        image = np.empty((view.camera.height * view.camera.width, 3), np.float32)
        most = 4.0 / weather.exposure
        resolve_samples(samples, pixels, self.config.edge_samples, most, image)
        return image.reshape(view.camera.height, view.camera.width, 3)

    def _refine_edges(
        self, scene: FrameScene, view: CameraView, rays: Rays, hits: Hits, mask: npt.NDArray[np.bool_]
    ) -> Tuple[npt.NDArray[np.intp], Rays, Hits]:
        """Pixels at edges, and rays and hits with the further samples of these pixels at the end."""
        config, shape = self.config, (view.camera.height, view.camera.width)
        leaves = int(Material.FOLIAGE)
        edges = find_edges(
            hits.distances,
            hits.faces,
            scene.surfaces,
            shape,
            config.edge_normal_cosine,
            config.edge_depth_ratio,
            leaves,
        )
        pixels = np.flatnonzero(edges)
        count = config.edge_samples
        further = np.empty((len(pixels) * count, 3), np.float32)
        aim_subpixels(view.place(scene.pose), pixels, SUBPIXELS[:count], further)
        near_actor = np.flatnonzero(np.repeat(mask.ravel()[pixels], count))
        more = scene.cast(rays.origin, further, near_actor)
        joined = Hits(*(np.concatenate(pair) for pair in zip(hits, more)))
        return pixels, Rays(rays.origin, np.concatenate([rays.directions, further]), rays.pixel_angle), joined

    def _shade(self, scene: FrameScene, rays: Rays, hits: Hits, weather: WeatherConfig, out: Float32Array) -> None:
        config = self.config
        places = np.empty((len(hits.faces), 3), np.float32)
        sun = np.array(scene.light.sun_direction)
        facing = find_places(
            rays, hits.distances, hits.faces, scene.surfaces.normals, sun, config.shadow_offset_m, places
        )
        sunlit = scene.see_sun(places, facing)
        mirrored = no_mirror(len(hits.faces))
        if weather.wetness > MIRROR_FROM:
            self._mirror(scene, rays, hits, places, mirrored)
        columns = tuple(hits)
        shade_hits(
            rays,
            columns,
            sunlit,
            mirrored,
            scene.surfaces,
            self._texture,
            scene.light,
            config.surface,
            config.max_taps,
            out,
        )

    def _mirror(
        self, scene: FrameScene, rays: Rays, hits: Hits, places: Float32Array, mirrored: Float32Array
    ) -> None:
        """What the wet ground at `places` mirrors, into `mirrored`."""
        directions = np.empty_like(rays.directions)
        columns = tuple(hits)
        chosen = aim_mirrored(
            rays.origin,
            rays.directions,
            columns,
            scene.surfaces,
            self._texture,
            self.config.surface.wet_ripple,
            directions,
        )
        numbers = np.flatnonzero(chosen)
        aimed = directions[numbers]
        found = scene.cast_from(places[numbers], aimed)
        shade_mirrored(aimed, tuple(found), scene.surfaces, scene.light, numbers, mirrored)


def build_moving(frame: Mapping[str, Any], street: Street) -> Mesh:
    """The annotated boxes of a raw frame and the lit lamps of traffic lights, in the street's frame."""
    entries = dict(frame)
    return join_meshes([build_actors(entries, street.origin), build_signals(entries, street, street.origin)])


def seed_noise(token: str, sensor: str, seed: int) -> np.random.Generator:
    """Random numbers of one sensor in one frame."""
    digest = zlib.crc32(f"{token} {sensor}".encode())
    return np.random.Generator(np.random.PCG64([seed, digest]))
