"""Windows of the latent action model: pictures and motion, and nothing that an annotator made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Optional, Sequence, Tuple

import numpy as np
import pytest

from latentvla_agent.data.roots import find_roots
from latentvla_agent.data.scene import MOTION_SIZE, Scene
from latentvla_agent.data.scene_loader import SceneLoader, index_scenes
from latentvla_agent.data.sensors import NO_LIDAR, Camera, Cameras, Lidar
from latentvla_agent.data.splits import resolve_split
from latentvla_agent.errors import ConfigError, DataError
from latentvla_agent.features.windows import PROJECTION, WindowConfig, WindowTargets

SMALL = WindowConfig(width=8, height=4)
LOOK_AHEAD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # right, down and ahead as columns


class Files:
    """Stand-in of `LogSensors`: a picture as grey as the number of the frame that was asked for."""

    def __init__(self, tokens: Sequence[str]):
        self.tokens, self.asked = list(tokens), []  # type: List[str], List[Tuple[str, Tuple[str, ...]]]

    def load(
        self, token: str, paths: Mapping[str, Any], names: Sequence[str], size: Optional[Tuple[int, int]] = None
    ) -> Tuple[Cameras, Lidar]:
        """Only the front camera."""
        self.asked.append((token, tuple(names)))
        image = np.full((8, 16, 3), self.tokens.index(token), np.uint8)
        calibration = {"sensor2lidar_rotation": LOOK_AHEAD, "sensor2lidar_translation": np.array([1.6, 0.0, 1.5])}
        camera = Camera(image=image, intrinsics=np.diag([16.0, 16.0, 1.0]), **calibration)
        return Cameras(cam_f0=camera), NO_LIDAR


class Forbidden:
    """Whoever looks at it fails."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"the latent action model must not look at {name}")


@pytest.fixture(scope="module")
def scene() -> Scene:
    """A scene of the embedded logs, without map and annotations, whose pictures are stand-ins."""
    index = index_scenes(resolve_split("embedded", find_roots(environ={}, split="embedded"), max_scenes=3))
    scene = SceneLoader(index, None, None).build(index.refs[2])  # type: ignore[arg-type]
    blind: Any = Forbidden()
    frames = [
        replace(frame, annotations=blind, traffic_lights=blind, roadblock_ids=blind, sensors={})
        for frame in scene.frames
    ]
    files: Any = Files([frame.token for frame in frames])
    return replace(scene, frames=frames, map_source=blind, sensor_files=files)


def test_frames_and_motion(scene: Scene) -> None:
    found = WindowTargets(SMALL).compute_targets(scene)
    assert found["frames"].shape == (4, 3, 4, 8) and found["motion"].shape == (3, MOTION_SIZE)
    assert found["frames"][:, 0, 0, 0].tolist() == [
        3,
        5,
        7,
        9,
    ], "the current frame is the fourth, log frames are 0.5 s apart"
    seen = found[PROJECTION].numpy() @ [11.6, -2.0, 1.0, 1.0]  # 10 m ahead of the camera, 2 to the right, 0.5 below
    np.testing.assert_allclose(seen, [2.0, 1.0, 10.0], atol=1e-6)
    files: Any = scene.sensor_files
    assert {names for _, names in files.asked} == {("cam_f0",)}


def test_motion_is_that_of_the_human(scene: Scene) -> None:
    motion = WindowTargets(SMALL).compute_targets(scene)["motion"].numpy()
    future = scene.get_future_trajectory(6).poses
    np.testing.assert_allclose(motion[0, :3], future[1], atol=1e-5)
    x, y, heading = future[1]
    dx, dy = future[3, :2] - (x, y)
    expected = [np.cos(heading) * dx + np.sin(heading) * dy, np.cos(heading) * dy - np.sin(heading) * dx]
    np.testing.assert_allclose(motion[1, :2], expected, atol=1e-4)
    np.testing.assert_allclose(motion[0, 3:5], scene.current_frame.ego_status.ego_velocity)


def test_history_alone(scene: Scene) -> None:
    found = WindowTargets(replace(SMALL, frames=(-3, -2, -1, 0))).compute_targets(scene)
    assert found["frames"][:, 0, 0, 0].tolist() == [0, 1, 2, 3]


def test_mistakes(scene: Scene) -> None:
    with pytest.raises(DataError, match="expected frames"):
        WindowTargets(replace(SMALL, frames=(0, 99))).compute_targets(scene)
    with pytest.raises(DataError, match="has no picture of cam_b0"):
        WindowTargets(replace(SMALL, camera="cam_b0")).compute_targets(scene)
    with pytest.raises(DataError, match="no sensor files are open"):
        WindowTargets(SMALL).compute_targets(replace(scene, sensor_files=None))
    for wrong in ({"frames": (0,)}, {"frames": (2, 0)}, {"camera": "front"}):
        with pytest.raises(ConfigError):
            replace(SMALL, **wrong)  # type: ignore[arg-type]
