"""Fixed inputs, and what features make of them: `tests/golden/features.npz` keeps that; run as a module, writes it.

Inputs are whole-number arithmetic, so that they are the same everywhere.
"""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict

import numpy as np

from latentvla_agent.data.calibration import camera_rig
from latentvla_agent.data.maps import MapStore
from latentvla_agent.data.roots import EMBEDDED_FOLDER, EMBEDDED_SPLIT
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.sensors import Camera
from latentvla_agent.data.splits import SceneFilter, Split
from latentvla_agent.features.cameras import CameraFeatures, CameraFeaturesConfig
from latentvla_agent.features.lidar_histogram import LidarHistogramConfig
from latentvla_agent.features.transfuser import TransfuserFeatures, TransfuserFeaturesConfig
from latentvla_agent.features.transfuser_targets import TransfuserTargets

FILE = Path(__file__).resolve().parents[1] / "golden" / "features.npz"
NUM_SCENES = 3


def make_agent_input(width: int, height: int) -> Any:
    """An agent's input with every camera and 4,000 points."""
    rows, columns, channels = np.ogrid[0:height, 0:width, 0:3]
    rig, cameras = camera_rig(width, height), {}
    for number, (name, camera) in enumerate(rig.items()):
        image = (rows * (3 + number) + columns * 2 + 70 * channels + rows * columns // 97 % 31) % 256
        cameras[name] = Camera(
            image.astype(np.uint8),
            camera.sensor2lidar_rotation,
            camera.sensor2lidar_translation,
            camera.intrinsic,
            camera.distortion,
        )
    steps = np.arange(4000)
    points = np.zeros((6, 4000), np.float32)
    points[:3] = (steps * 37 % 280 - 140) / 4, (steps * 53 % 1193 - 596) / 16, steps * 11 % 30 / 8 - 1
    status = SimpleNamespace(
        ego_velocity=np.array([6.5, 0.25], np.float32),
        ego_acceleration=np.array([-0.5, 0.125], np.float32),
        driving_command=np.array([1, 0, 0, 0]),
    )
    return SimpleNamespace(
        ego_statuses=[status], cameras=[SimpleNamespace(**cameras)], lidars=[SimpleNamespace(lidar_pc=points)]
    )


def compute_tensors() -> Dict[str, Any]:
    """Arrays under `<what>/<name>`."""
    transfuser = TransfuserFeaturesConfig(width=64, height=16, histogram=LidarHistogramConfig(size=32))
    given = make_agent_input(480, 270)
    found: Dict[str, Any] = {
        "cameras": CameraFeatures(CameraFeaturesConfig(width=30, height=18)).compute_features(given),
        "transfuser": TransfuserFeatures(transfuser).compute_features(given),
    }
    split = Split(EMBEDDED_SPLIT, EMBEDDED_FOLDER / "navsim_logs" / EMBEDDED_SPLIT, SceneFilter(), "embedded")
    index = index_scenes(split)
    loader = SceneLoader(index, MapStore(EMBEDDED_FOLDER / "maps"))
    for scene in loader.load_scenes(index.refs[:: len(index.refs) // NUM_SCENES][:NUM_SCENES]):
        found[scene.token] = TransfuserTargets().compute_targets(scene)
    return {f"{what}/{name}": tensor.numpy() for what, tensors in found.items() for name, tensor in tensors.items()}


if __name__ == "__main__":
    np.savez_compressed(FILE, **compute_tensors())
