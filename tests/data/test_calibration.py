"""The camera rig: where cameras look, how pictures scale, and that a log's frame gives it back."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latentvla_agent.data.calibration import (
    camera_rig,
    describe_cameras,
    is_in_picture,
    pixel_rays,
    project_points,
    rig_of_frame,
)
from latentvla_agent.data.sensors import CAMERA_NAMES
from latentvla_agent.errors import DataError

YAWS = {"cam_f0": 0.0, "cam_l0": 55.0, "cam_r0": -55.0, "cam_l1": 111.5, "cam_r2": -141.0, "cam_b0": 180.0}


def test_rotations_are_rotations_and_arrays_are_read_only() -> None:
    for camera in camera_rig().values():
        rotation = camera.sensor2lidar_rotation
        np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-11)
        assert np.linalg.det(rotation) == pytest.approx(1.0)
        with pytest.raises(ValueError):
            rotation[0, 0] = 2.0


@pytest.mark.parametrize("name", YAWS)
def test_a_point_straight_ahead_of_a_camera(name: str) -> None:
    camera, yaw = camera_rig()[name], np.deg2rad(YAWS[name])
    ahead = camera.sensor2lidar_translation + 20.0 * np.array([np.cos(yaw), np.sin(yaw), -np.tan(np.deg2rad(1.0))])
    pixels, depth = project_points(ahead[None], camera)
    np.testing.assert_allclose(pixels, [[960.0, 560.0]], atol=1e-6)
    assert depth == pytest.approx(20.0 / np.cos(np.deg2rad(1.0)))


def test_left_is_left_and_up_is_up() -> None:
    camera = camera_rig()["cam_f0"]
    pixels, _ = project_points(np.array([[20.0, 2.0, 1.0], [20.0, -2.0, 1.0], [20.0, 0.0, 4.0]]), camera)
    assert pixels[0, 0] < 960.0 < pixels[1, 0] and pixels[2, 1] < pixels[0, 1]


def test_left_and_right_mirror_each_other() -> None:
    rig = camera_rig(480, 270)
    points = np.random.default_rng(1).uniform(-30.0, 30.0, (50, 3))
    for side in "012":
        left, _ = project_points(points, rig[f"cam_l{side}"])
        right, _ = project_points(points * [1.0, -1.0, 1.0], rig[f"cam_r{side}"])
        np.testing.assert_allclose(left[:, 0], 480.0 - right[:, 0], atol=1e-6)
        np.testing.assert_allclose(left[:, 1], right[:, 1], atol=1e-6)


def test_points_behind_have_no_pixel() -> None:
    camera = camera_rig()["cam_f0"]
    pixels, depth = project_points(np.array([[-5.0, 0.0, 1.0]]), camera)
    assert depth < 0.0 and np.isnan(pixels).all() and not is_in_picture(pixels, camera).any()
    assert project_points(np.zeros((0, 3)), camera)[0].shape == (0, 2)


@given(st.integers(1, 4000), st.integers(1, 3000))
def test_intrinsics_scale_with_the_picture(width: int, height: int) -> None:
    points = np.array([[12.0, 1.0, 0.5], [30.0, -4.0, 2.0]])
    full, _ = project_points(points, camera_rig()["cam_f0"])
    scaled, _ = project_points(points, camera_rig(width, height)["cam_f0"])
    np.testing.assert_allclose(scaled, full * [width / 1920, height / 1080], rtol=1e-9)


@given(st.floats(0.0, 480.0), st.floats(0.0, 270.0), st.floats(1.0, 100.0), st.sampled_from(CAMERA_NAMES))
def test_rays_are_the_inverse_of_projection(x: float, y: float, distance: float, name: str) -> None:
    camera = camera_rig(480, 270)[name]
    ray = pixel_rays(camera, np.array([[x, y]]))
    pixels, depth = project_points(camera.sensor2lidar_translation + distance * ray, camera)
    np.testing.assert_allclose(pixels, [[x, y]], atol=1e-6)
    np.testing.assert_allclose(depth, distance, rtol=1e-9)


def test_the_cameras_see_all_around() -> None:
    angles = np.linspace(-np.pi, np.pi, 721)
    points = np.column_stack([40.0 * np.cos(angles), 40.0 * np.sin(angles), np.ones(len(angles))])
    seen = [is_in_picture(project_points(points, camera)[0], camera) for camera in camera_rig().values()]
    assert np.any(seen, axis=0).all()


@pytest.mark.parametrize("size", [(480, 270), (1920, 1080), (333, 77)])
def test_a_frame_gives_the_rig_back(size: Tuple[int, int]) -> None:
    rig = camera_rig(*size)
    cams = describe_cameras(rig, "log", "abc")
    assert cams["CAM_L1"]["data_path"] == "log/CAM_L1/abc.jpg" and cams["CAM_L1"]["distortion"].shape == (5,)
    for name, camera in rig_of_frame(cams).items():
        assert (camera.width, camera.height) == size and camera.key == name.upper()
        assert np.array_equal(camera.sensor2lidar_rotation, rig[name].sensor2lidar_rotation)
        assert np.array_equal(camera.intrinsic, rig[name].intrinsic)


def test_a_broken_frame_is_named() -> None:
    cams = describe_cameras(camera_rig(), "log", "abc")
    with pytest.raises(DataError, match="CAM_R0.sensor2lidar_rotation: expected .* got no such key"):
        rig_of_frame({key: value for key, value in cams.items() if key != "CAM_R0"})
    cams["CAM_F0"]["cam_intrinsic"] = np.full((3, 3), np.nan)
    with pytest.raises(DataError, match="CAM_F0.cam_intrinsic: expected finite numbers"):
        rig_of_frame(cams)
    with pytest.raises(DataError, match="at least 1 x 1"):
        camera_rig(0, 270)
