"""Features of two builders as one."""

from __future__ import annotations

import pytest
import torch

from latentvla_agent.data.sensors import SensorConfig
from latentvla_agent.features.cameras import CameraFeatures, is_blank
from latentvla_agent.features.fused import FusedFeatures, join_sensors
from latentvla_agent.features.teacher import TeacherFeatures
from tests.features.test_cameras import make_input


@pytest.mark.parametrize(
    "first, second, wanted",
    (
        (SensorConfig(cam_f0=[3]), SensorConfig(cam_f0=[2]), SensorConfig(cam_f0=[2, 3])),
        (SensorConfig(cam_f0=[3]), SensorConfig(cam_f0=True), SensorConfig(cam_f0=True)),
        (SensorConfig(cam_b0=[3]), SensorConfig(lidar_pc=[3]), SensorConfig(cam_b0=[3], lidar_pc=[3])),
        (
            SensorConfig(picture_size=(480, 270)),
            SensorConfig(picture_size=(352, 288)),
            SensorConfig(picture_size=(480, 288)),
        ),
        (SensorConfig(picture_size=(480, 270)), SensorConfig(), SensorConfig()),  # one wants all there is
    ),
)
def test_sensors_are_those_of_both(first: SensorConfig, second: SensorConfig, wanted: SensorConfig) -> None:
    assert join_sensors(first, second) == wanted == join_sensors(second, first)


def test_a_scene_gives_what_both_give() -> None:
    agent_input = make_input()
    planner, teacher = CameraFeatures(), TeacherFeatures(tokenize=lambda text: torch.tensor([len(text)]))
    fused = FusedFeatures(planner, teacher)
    parts = (planner.compute_features(agent_input), teacher.compute_features(agent_input))
    found = fused.compute_features(agent_input)
    assert set(found) == {*parts[0], *parts[1]}
    assert all(torch.equal(found[name], value) for part in parts for name, value in part.items())
    assert planner.get_unique_name() in fused.get_unique_name() and teacher.get_unique_name() in fused.get_unique_name()
    assert not is_blank(fused)
