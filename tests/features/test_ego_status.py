"""Features of the ego status, from our agent input and from whatever has its attributes."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from latentvla_agent.data.scene import EgoStatusIndex
from latentvla_agent.features.ego_status import EgoStatusFeatures


def test_only_the_current_frame_counts() -> None:
    def make(speed: float) -> SimpleNamespace:
        return SimpleNamespace(
            ego_velocity=np.array([speed, 0.5], np.float32),
            ego_acceleration=np.array([-1.0, 0.0], np.float32),
            driving_command=np.array([0, 0, 1, 0]),
        )

    features = EgoStatusFeatures().compute_features(SimpleNamespace(ego_statuses=[make(1.0), make(7.0)]))
    expected = torch.tensor([7.0, 0.5, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0])
    assert set(features) == {"ego_status"} and features["ego_status"].dtype == torch.float32
    assert torch.equal(features["ego_status"], expected) and len(expected) == len(EgoStatusIndex)


def test_the_name_is_not_one_of_navsim() -> None:
    assert EgoStatusFeatures().get_unique_name() == "latentvla_ego_status"
