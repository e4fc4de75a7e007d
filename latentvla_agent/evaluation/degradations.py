"""What an agent's sensors lose on purpose: to see what it lives on, and how it ends without.

Every loss is drawn from the scene's token: the same in every run, for every agent. Ego status and command stay.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any, Callable, Dict, List, Sequence

import numpy as np
import numpy.typing as npt

from latentvla_agent.data.scene import AgentInput
from latentvla_agent.data.scene_loader import SceneRef
from latentvla_agent.data.sensor_files import LidarIndex
from latentvla_agent.data.sensors import CAMERA_NAMES, NO_LIDAR, Camera, Lidar
from latentvla_agent.errors import ConfigError, suggest

OTHER_SCENE = "other-scene"  # pictures and lidar of a scene of another log


@dataclass(frozen=True)
class DegradationConfig:
    """How much is lost."""

    lost_cameras: float = 0.5  # share of cameras, each for itself
    picture_noise: float = 20.0  # standard deviation, of 255
    lidar_noise: float = 0.1  # m, of each coordinate
    extinction: float = 0.04  # of fog, 1/m: 5 % of the contrast is left after 75 m
    fog_brightness: float = 200.0  # of 255
    horizon: float = 200.0  # m, how far what does not touch the ground is taken to be
    patch_share: float = 0.3  # side of a patch, of the picture's height
    patch_cells: int = 12  # along a side of a patch, each of a colour of its own


Change = Callable[[Any, np.random.Generator, DegradationConfig], Any]


def list_degradations() -> List[str]:
    """All names that `degrade` and `find_partners` know."""
    return sorted([*_DEGRADATIONS, OTHER_SCENE])


def check_degradation(name: str) -> None:
    """Raise `ConfigError` for an unknown name."""
    if name not in list_degradations():
        raise ConfigError(f"unknown degradation {name!r}{suggest(name, list_degradations())}")


def degrade(
    agent_input: AgentInput, name: str, token: str, config: DegradationConfig = DegradationConfig()
) -> AgentInput:
    """The input without what it loses; arrays of the original are left as they are."""
    random = np.random.default_rng(int(hashlib.sha256(f"{name} {token}".encode()).hexdigest()[:16], 16))
    change_camera, change_lidar = _DEGRADATIONS[name]
    cameras = [
        replace(frame, **{own: change_camera(getattr(frame, own), random, config) for own in CAMERA_NAMES})
        for frame in agent_input.cameras
    ]
    lidars = [change_lidar(lidar, random, config) for lidar in agent_input.lidars]
    return replace(agent_input, cameras=cameras, lidars=lidars)


def borrow_sensors(agent_input: AgentInput, other: AgentInput) -> AgentInput:
    """The input with pictures and lidar of another."""
    return replace(agent_input, cameras=other.cameras, lidars=other.lidars)


def find_partners(refs: Sequence[SceneRef]) -> Dict[str, SceneRef]:
    """By token, the scene whose sensors it gets: half the split further on, and then on to the next other log.

    Every scene lends about once. Raises `ConfigError` where all scenes are of one log: they would keep their own.
    """
    if len({ref.log_path for ref in refs}) < 2:
        raise ConfigError(
            f"--degrade {OTHER_SCENE}: expected scenes of at least two logs, got {len(refs)} of one; "
            "take more scenes, or another degradation"
        )
    partners: Dict[str, SceneRef] = {}
    for index, ref in enumerate(refs):
        order = (refs[(index + len(refs) // 2 + step) % len(refs)] for step in range(len(refs)))
        partners[ref.token] = next(other for other in order if other.log_path != ref.log_path)
    return partners


def _keep(sensor: Any, random: np.random.Generator, config: DegradationConfig) -> Any:
    return sensor


def _lose_camera(camera: Camera, random: np.random.Generator, config: DegradationConfig) -> Camera:
    return Camera() if random.random() < config.lost_cameras else camera


def _lose_lidar(lidar: Lidar, random: np.random.Generator, config: DegradationConfig) -> Lidar:
    return NO_LIDAR


def _add_picture_noise(camera: Camera, random: np.random.Generator, config: DegradationConfig) -> Camera:
    if camera.image is None:
        return camera
    noise = config.picture_noise * random.standard_normal(camera.image.shape, dtype=np.float32)
    return replace(camera, image=(camera.image + noise).clip(0, 255).astype(np.uint8))


def _add_lidar_noise(lidar: Lidar, random: np.random.Generator, config: DegradationConfig) -> Lidar:
    if lidar.lidar_pc is None:
        return lidar
    points = lidar.lidar_pc.copy()
    points[: LidarIndex.Z + 1] += config.lidar_noise * random.standard_normal((LidarIndex.Z + 1, points.shape[1]))
    return replace(lidar, lidar_pc=points)


def _add_fog(camera: Camera, random: np.random.Generator, config: DegradationConfig) -> Camera:
    if camera.image is None:
        return camera
    clear = np.exp(-config.extinction * measure_ground(camera, config.horizon))[..., None]
    return replace(camera, image=(clear * camera.image + (1.0 - clear) * config.fog_brightness).astype(np.uint8))


def measure_ground(camera: Camera, horizon: float) -> npt.NDArray[np.float32]:
    """Distance [m] of what each pixel (H, W) sees if that is the ground, at most `horizon`; `horizon` above it."""
    assert camera.image is not None and camera.sensor2lidar_translation is not None
    height, width = camera.image.shape[:2]
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones_like(rows)])
    matrix = np.asarray(camera.sensor2lidar_rotation) @ np.linalg.inv(np.asarray(camera.intrinsics))
    rays = np.tensordot(matrix.astype(np.float32), pixels, axes=1)
    fall = -rays[2] / np.linalg.norm(rays, axis=0)
    distance = float(camera.sensor2lidar_translation[2]) / np.maximum(fall, 1e-6)
    clipped: npt.NDArray[np.float32] = np.minimum(distance, horizon).astype(np.float32)
    return clipped


def _lose_far_points(lidar: Lidar, random: np.random.Generator, config: DegradationConfig) -> Lidar:
    """Light goes to a point and back."""
    if lidar.lidar_pc is None:
        return lidar
    distance = np.linalg.norm(lidar.lidar_pc[: LidarIndex.Z + 1], axis=0)
    is_kept = random.random(len(distance)) < np.exp(-2.0 * config.extinction * distance)
    return replace(lidar, lidar_pc=lidar.lidar_pc[:, is_kept])


def _stick_patch(camera: Camera, random: np.random.Generator, config: DegradationConfig) -> Camera:
    """Somewhere in the picture; of glaring random colours, not made for any one model."""
    if camera.image is None:
        return camera
    image = camera.image.copy()
    height, width = image.shape[:2]
    cell = max(1, round(config.patch_share * height / config.patch_cells))
    colours = 255 * random.integers(0, 2, (config.patch_cells, config.patch_cells, 3), dtype=np.uint8)
    patch = colours.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
    row, column = (int(random.integers(0, size - side + 1)) for size, side in zip((height, width), patch.shape))
    image[row : row + patch.shape[0], column : column + patch.shape[1]] = patch
    return replace(camera, image=image)


_DEGRADATIONS: Dict[str, List[Change]] = {  # of cameras, of lidar
    "camera-dropout": [_lose_camera, _keep],
    "lidar-dropout": [_keep, _lose_lidar],
    "noise": [_add_picture_noise, _add_lidar_noise],
    "fog": [_add_fog, _lose_far_points],
    "patch-attack": [_stick_patch, _keep],
}
