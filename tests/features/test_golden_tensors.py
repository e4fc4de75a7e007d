"""A refactor leaves every tensor as it was; and what the devkit makes of the same input is known by its digest."""

from __future__ import annotations

import hashlib

import numpy as np

from latentvla_agent.features.transfuser import TransfuserFeatures
from tests.features.golden_tensors import FILE, compute_tensors, make_agent_input

# Of NAVSIM v1.1 (commit 3e8291b) with OpenCV 5.0: its `camera_feature` times 255 as bytes, its `lidar_feature` times 5.
DEVKIT_PICTURE = "bb1a4d750b2502843796a5c651259f706e110a294255eac54ec17de7631389d0"
DEVKIT_LIDAR = "099fc1e468c98f3170f46957ef6c75979bce78cb12f7e21d526646255f5aaaf3"


def test_tensors_are_those_of_before() -> None:
    found = compute_tensors()
    with np.load(FILE) as kept:
        assert sorted(found) == sorted(kept.files)
        for name, array in found.items():
            assert array.dtype == kept[name].dtype and array.shape == kept[name].shape, name
            if array.dtype == np.float32:
                np.testing.assert_allclose(array, kept[name], rtol=1e-6, atol=1e-6, err_msg=name)
            elif name.endswith("bev_semantics"):  # the last bit of a sine differs between machines
                assert np.mean(array != kept[name]) < 2e-4, name
            else:
                assert np.array_equal(array, kept[name]), name


def test_the_devkit_makes_the_same_of_it() -> None:
    found = TransfuserFeatures().compute_features(make_agent_input(1920, 1080))
    digests = [hashlib.sha256(found[name].numpy().tobytes()).hexdigest() for name in ("image", "lidar")]
    assert digests == [DEVKIT_PICTURE, DEVKIT_LIDAR]
