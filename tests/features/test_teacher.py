"""What the teacher gets: pictures, and a text that says what the ego status says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import List

import numpy as np
import pytest
import torch

from latentvla_agent.data.scene import EgoStatusIndex
from latentvla_agent.data.sensors import Camera, Cameras
from latentvla_agent.errors import ConfigError
from latentvla_agent.features.teacher import TeacherFeatures, TeacherFeaturesConfig, describe_ego, open_tokenizer

CONFIG = TeacherFeaturesConfig(cameras=("cam_f0", "cam_b0"), width=16, height=8)


def make_input(command: List[int]) -> SimpleNamespace:
    status = SimpleNamespace(
        ego_velocity=np.array([7.26, 0.0], np.float32),
        ego_acceleration=np.array([-0.5, 0.0], np.float32),
        driving_command=np.array(command),
    )
    front = Camera(image=np.full((32, 64, 3), 200, np.uint8))
    return SimpleNamespace(ego_statuses=[status], cameras=[Cameras(cam_f0=front)])


def test_pictures_and_prompt() -> None:
    texts: List[str] = []

    def tokenize(text: str) -> torch.Tensor:
        texts.append(text)
        return torch.tensor([1, 2])

    features = TeacherFeatures(CONFIG, tokenize).compute_features(make_input([1, 0, 0, 0]))
    assert features["teacher_images"].shape == (2, 3, 8, 16)
    assert (features["teacher_images"][0] == 200).all() and not features["teacher_images"][1].any(), "no rear camera"
    assert texts == ["turn left, speed 73, braking 5"] and features["teacher_prompt"].tolist() == [1, 2]
    assert set(features) == {"teacher_images", "teacher_prompt", "ego_status"}


@pytest.mark.parametrize(
    "command, acceleration, text",
    [
        (EgoStatusIndex.STRAIGHT, 0.0, "go straight, speed 50, steady 0"),
        (EgoStatusIndex.RIGHT, 1.26, "turn right, speed 50, accelerating 13"),
        (EgoStatusIndex.UNKNOWN, -0.01, "go on, speed 50, steady 0"),
        (None, 0.0, "go on, speed 50, steady 0"),
    ],
)
def test_the_text(command: "EgoStatusIndex | None", acceleration: float, text: str) -> None:
    status = torch.zeros(len(EgoStatusIndex))
    status[EgoStatusIndex.VELOCITY_X], status[EgoStatusIndex.VELOCITY_Y] = 3.0, 4.0
    status[EgoStatusIndex.ACCELERATION_X] = acceleration
    if command is not None:
        status[command] = 1.0
    assert describe_ego(status) == text


def test_the_tokenizer_is_open_clips() -> None:
    open_clip = pytest.importorskip("open_clip")
    tokenize = open_tokenizer("ViT-B-32", 48)
    found = tokenize("turn left, speed 73, braking 5")
    assert found.shape == (48,) and found.dtype == torch.int64
    assert torch.equal(found[:12], open_clip.get_tokenizer("ViT-B-32")(["turn left, speed 73, braking 5"])[0, :12])
    with pytest.raises(ConfigError, match="no model 'ViT-B-31'"):
        open_tokenizer("ViT-B-31", 48)


def test_mistakes() -> None:
    with pytest.raises(ConfigError, match="expected cameras among"):
        TeacherFeaturesConfig(cameras=("front",))


def test_only_the_current_frame_is_asked_for() -> None:
    builder = TeacherFeatures(CONFIG)
    assert builder.sensor_config.cam_f0 == [3] and builder.sensor_config.cam_l0 is False
    assert builder.sensor_config.picture_size == (16, 8)
    assert builder.get_unique_name() == "latentvla_teacher_f0_b0_16x8_coca_ViT-B-32"
