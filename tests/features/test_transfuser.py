"""What TransFuser sees."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from latentvla_agent.data.sensors import NO_LIDAR, Camera, Cameras, Lidar
from latentvla_agent.errors import ConfigError
from latentvla_agent.features.lidar_histogram import LidarHistogramConfig, count_points
from latentvla_agent.features.transfuser import TransfuserFeatures, TransfuserFeaturesConfig
from tests.features.sensor_scenes import make_picture, make_points, open_scene, write_scene
from tests.features.test_cameras import STATUS

TINY = TransfuserFeaturesConfig(width=512, height=128, histogram=LidarHistogramConfig(size=128))


def make_input(width: int, height: int, lidar: Lidar = NO_LIDAR) -> Any:
    """Three pictures of this size."""
    l0, f0, r0 = (Camera(make_picture(seed, width, height)) for seed in range(3))
    return SimpleNamespace(ego_statuses=[STATUS], cameras=[Cameras(cam_l0=l0, cam_f0=f0, cam_r0=r0)], lidars=[lidar])


def stitch(cameras: Any, rows: int, columns: int) -> Any:
    """The row of crops (3, H, W), whole."""
    sides = [camera.image[rows:-rows, columns:-columns] for camera in (cameras.cam_l0, cameras.cam_r0)]
    return np.concatenate([sides[0], cameras.cam_f0.image[rows:-rows], sides[1]], axis=1).transpose(2, 0, 1)


def test_crops_of_the_full_size_side_by_side() -> None:
    given = make_input(1920, 1080)
    found = TransfuserFeatures().compute_features(given)["image"].numpy()
    row = stitch(given.cameras[0], 28, 416).astype(int).reshape(3, 256, 4, 1024, 4)
    assert found.shape == (3, 256, 1024)
    assert np.array_equal(found, (row[:, :, 1:3, :, 1:3].sum(axis=(2, 4)) + 2) // 4)


def test_crops_are_fractions_of_the_picture() -> None:
    given = make_input(480, 270)
    row = stitch(given.cameras[0], 7, 104)
    assert np.array_equal(TransfuserFeatures().compute_features(given)["image"].numpy(), row)
    tiny = TransfuserFeatures(TINY).compute_features(given)["image"].numpy()
    assert np.array_equal(tiny, (row.astype(int).reshape(3, 128, 2, 512, 2).sum(axis=(2, 4)) + 2) // 4)
    odd = TransfuserFeatures(TINY).compute_features(make_input(501, 283))["image"].numpy()
    assert np.abs(odd.astype(int) - tiny).mean() < 60 and (odd.reshape(3, -1).max(axis=1) > 0).all()


def test_shapes_and_presence() -> None:
    points = make_points(2000)
    found = TransfuserFeatures(TINY).compute_features(make_input(480, 270, Lidar(points)))
    assert {name: (tuple(tensor.shape), tensor.dtype) for name, tensor in found.items()} == {
        "image": ((3, 128, 512), torch.uint8),
        "lidar": ((1, 128, 128), torch.uint8),
        "camera_present": ((3,), torch.bool),
        "lidar_present": ((), torch.bool),
        "ego_status": ((8,), torch.float32),
    }
    assert found["camera_present"].all() and found["lidar_present"]
    assert np.array_equal(found["lidar"].numpy(), count_points(points, TINY.histogram))


def test_what_is_missing_is_zeros_and_says_so() -> None:
    whole, part = make_input(480, 270), make_input(480, 270)
    part.cameras[0] = Cameras(cam_l0=whole.cameras[0].cam_l0, cam_r0=whole.cameras[0].cam_r0)
    one, other = (TransfuserFeatures(TINY).compute_features(given) for given in (whole, part))
    assert other["camera_present"].tolist() == [True, False, True] and not other["lidar_present"]
    assert not other["image"][:, :, 136:376].any() and not other["lidar"].any()
    assert torch.equal(one["image"][:, :, :136], other["image"][:, :, :136])
    assert torch.equal(one["image"][:, :, 376:], other["image"][:, :, 376:])


def test_blank_and_latent_ask_for_less() -> None:
    blank, latent = (
        TransfuserFeatures(TransfuserFeaturesConfig(**{k: v})) for k, v in (("blank", True), ("with_lidar", False))
    )
    assert TransfuserFeatures().sensor_config.get_sensors_at_iteration(3) == ["cam_f0", "cam_l0", "cam_r0", "lidar_pc"]
    assert latent.sensor_config.get_sensors_at_iteration(3) == ["cam_f0", "cam_l0", "cam_r0"]
    assert blank.sensor_config.get_sensors_at_iteration(3) == []
    given = make_input(480, 270, Lidar(make_points(2000)))
    dark, seen = blank.compute_features(SimpleNamespace(ego_statuses=[STATUS])), latent.compute_features(given)
    assert not any(dark[name].any() for name in ("image", "lidar", "camera_present", "lidar_present"))
    assert seen["camera_present"].all() and not seen["lidar"].any() and not seen["lidar_present"]
    assert {name: tensor.shape for name, tensor in dark.items()} == {name: seen[name].shape for name in seen}
    assert len({one.get_unique_name() for one in (blank, latent, TransfuserFeatures(), TransfuserFeatures(TINY))}) == 4
    with pytest.raises(ConfigError, match="3 x 1"):
        TransfuserFeaturesConfig(width=3, height=1)


@pytest.mark.parametrize("width, height", ((512, 128), (1024, 256), (2048, 512)))
def test_reduced_pictures_are_cut_between_pixels(width: int, height: int) -> None:
    """28 of 1,080 rows are 3.5 of 135: such a picture would be shifted."""
    config = TransfuserFeaturesConfig(width=width, height=height, reduced=True)
    size = TransfuserFeatures(config).sensor_config.picture_size
    assert size is not None and size[0] >= width * 1920 / 4096 and size[1] >= height * 1080 / 1024
    assert size[0] * 416 % 1920 == 0 and size[1] * 28 % 1080 == 0


def test_reduced_pictures_give_nearly_the_same(tmp_path: Path) -> None:
    write_scene(tmp_path, ("cam_l0", "cam_f0", "cam_r0", "lidar_pc"), 960, 540)
    exact, reduced = (TransfuserFeatures(TransfuserFeaturesConfig(reduced=reduced)) for reduced in (False, True))
    assert exact.sensor_config.picture_size is None and reduced.sensor_config.picture_size == (480, 270)
    given = [open_scene(tmp_path).get_agent_input(builder.sensor_config) for builder in (exact, reduced)]
    assert [found.cameras[3].cam_f0.image.shape[1] for found in given] == [960, 480]
    one, other = exact.compute_features(given[0]), reduced.compute_features(given[1])
    assert (one["image"].float() - other["image"].float()).abs().mean() < 2.0
    assert torch.equal(one["lidar"], other["lidar"]) and one["lidar"].any()
