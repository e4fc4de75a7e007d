"""What iPad sees, and where points lie in it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latentvla_agent.data.calibration import CameraCalibration, camera_rig, is_in_picture, look_along, project_points
from latentvla_agent.data.scene import AgentInput, EgoStatus
from latentvla_agent.data.sensors import CAMERA_NAMES, NO_CAMERAS, Camera, Cameras, SensorConfig
from latentvla_agent.errors import ConfigError
from latentvla_agent.features.cameras import CameraFeatures, CameraFeaturesConfig, project_to_picture
from tests.features.sensor_scenes import make_picture, open_scene, write_scene

STATUS = EgoStatus(np.zeros(3), np.ones(2, np.float32), np.zeros(2, np.float32), np.array([0, 1, 0, 0]))
SMALL = CameraFeaturesConfig(width=48, height=27)


def as_camera(camera: CameraCalibration, picture: Any = None) -> Camera:
    """A camera of an agent's input."""
    image = np.zeros((camera.height, camera.width, 3), np.uint8) if picture is None else picture
    rotation, translation = camera.sensor2lidar_rotation, camera.sensor2lidar_translation
    return Camera(image, rotation, translation, camera.intrinsic, camera.distortion)


def make_input(cameras: Cameras = NO_CAMERAS) -> AgentInput:
    """The current frame alone matters."""
    return AgentInput([STATUS] * 4, [NO_CAMERAS] * 3 + [cameras], [])


def project(matrix: Any, points: Any) -> Any:
    """u, v and depth (N, 3) of points (N, 3)."""
    found = np.column_stack([points, np.ones(len(points))]) @ np.asarray(matrix, np.float64).T
    return np.column_stack([found[:, :2] / found[:, 2:], found[:, 2]])


metres = st.floats(-40, 40)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CAMERA_NAMES), st.lists(st.tuples(metres, metres, metres), min_size=1, max_size=20))
def test_points_land_on_the_pixel_of_the_calibration(name: str, places: Any) -> None:
    camera, points = camera_rig(480, 270)[name], np.array(places)
    pixels, depth = project_points(points, camera)
    ahead = depth > 0.1
    found = project(project_to_picture(as_camera(camera)), points[ahead])
    np.testing.assert_allclose(found[:, :2] * [480, 270], pixels[ahead], rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(found[:, 2], depth[ahead], atol=1e-9)
    inside = np.all((found[:, :2] >= 0) & (found[:, :2] < 1), axis=1)
    assert np.array_equal(inside, is_in_picture(pixels[ahead], camera))


@settings(max_examples=40, deadline=None)
@given(st.floats(-3.1, 3.1), st.floats(-0.5, 0.5), st.tuples(metres, metres, metres), st.floats(50, 2000))
def test_any_camera_sees_the_point_on_its_axis_in_its_principal_point(
    yaw: float, pitch: float, place: Any, focal: float
) -> None:
    rotation, translation = look_along(yaw, pitch), np.array(place)
    intrinsic = np.array([[focal, 0.0, 31.0], [0.0, focal, 17.0], [0.0, 0.0, 1.0]])
    camera = CameraCalibration("x", rotation, translation, intrinsic, np.zeros(5), 64, 36)
    found = project(project_to_picture(as_camera(camera)), [translation + 12.0 * rotation[:, 2]])
    np.testing.assert_allclose(found, [[31 / 64, 17 / 36, 12.0]], atol=1e-6)


def test_pictures_and_matrices_of_the_cameras() -> None:
    rig = camera_rig(96, 54)
    cameras = Cameras(**{name: as_camera(rig[name], make_picture(k, 96, 54)) for k, name in enumerate(CAMERA_NAMES)})
    found = CameraFeatures(SMALL).compute_features(make_input(cameras))
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in found.items()} == {
        "images": ((4, 3, 27, 48), torch.uint8),
        "projections": ((4, 3, 4), torch.float32),
        "camera_present": ((4,), torch.bool),
        "ego_status": ((8,), torch.float32),
    }
    means = cameras.cam_l0.image.reshape(27, 2, 48, 2, 3).mean(axis=(1, 3)).transpose(2, 0, 1)
    assert np.abs(found["images"][1].numpy() - means).max() <= 0.51
    np.testing.assert_allclose(found["projections"][3].numpy(), project_to_picture(cameras.cam_b0), rtol=1e-6)
    assert found["camera_present"].all()


def test_a_missing_camera_is_zeros_and_says_so() -> None:
    cameras = Cameras(cam_l0=as_camera(camera_rig(96, 54)["cam_l0"], make_picture(1, 96, 54)))
    found = CameraFeatures(SMALL).compute_features(make_input(cameras))
    assert found["camera_present"].tolist() == [False, True, False, False]
    for name in ("images", "projections"):
        assert found[name][1].any() and not found[name][[0, 2, 3]].any()


def test_blank_asks_for_nothing_and_sees_nothing() -> None:
    blank = CameraFeatures(CameraFeaturesConfig(width=48, height=27, blank=True))
    assert blank.sensor_config.get_sensors_at_iteration(3) == []
    found = blank.compute_features(SimpleNamespace(ego_statuses=[STATUS]))
    seen = CameraFeatures(SMALL).compute_features(make_input())
    assert {name: tensor.shape for name, tensor in found.items()} == {name: seen[name].shape for name in found}
    assert not any(found[name].any() for name in ("images", "projections", "camera_present"))
    assert blank.get_unique_name() != CameraFeatures(SMALL).get_unique_name()


def test_sensors_of_the_current_frame_in_the_size_that_is_needed() -> None:
    config = CameraFeatures().sensor_config
    assert isinstance(config, SensorConfig) and config.picture_size == (480, 270)
    assert config.get_sensors_at_iteration(3) == ["cam_f0", "cam_l0", "cam_r0", "cam_b0"]
    assert config.get_sensors_at_iteration(2) == []
    with pytest.raises(ConfigError, match="cam_x"):
        CameraFeaturesConfig(cameras=("cam_x",))


def test_reduced_pictures_give_nearly_the_same(tmp_path: Path) -> None:
    names = ("cam_f0", "cam_b0")
    write_scene(tmp_path, names, 384, 216)
    builder = CameraFeatures(CameraFeaturesConfig(names, 96, 54))
    reduced = open_scene(tmp_path).get_agent_input(builder.sensor_config)
    whole = open_scene(tmp_path).get_agent_input(SensorConfig(cam_f0=[3], cam_b0=[3]))
    assert reduced.cameras[3].cam_f0.image.shape == (54, 96, 3) and whole.cameras[3].cam_f0.image.shape == (216, 384, 3)
    one, other = (builder.compute_features(found) for found in (reduced, whole))
    assert torch.equal(one["projections"], other["projections"])
    assert (one["images"].float() - other["images"].float()).abs().mean() < 1.5
