"""What goes to a processor of Hugging Face, and what becomes of its answer."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
import pytest
import torch

from latentvla_agent.errors import ConfigError
from latentvla_agent.features.qwen import QwenFeatures, QwenFeaturesConfig
from tests.features.test_teacher import make_input

CONFIG = QwenFeaturesConfig(width=56, height=28, prompt_length=9)


class Processor:
    """Answers as Qwen's does: two tokens of a picture of this size, and four of text."""

    def __init__(self) -> None:
        self.images: List[Any] = []
        self.texts: List[str] = []

    def apply_chat_template(self, messages: List[Dict[str, Any]], add_generation_prompt: bool) -> str:
        assert add_generation_prompt and messages[0]["role"] == "user"
        image, text = messages[0]["content"]
        assert image == {"type": "image"}
        return f"<picture>{text['text']}"

    def __call__(self, text: List[str], images: List[Any], return_tensors: str) -> Dict[str, torch.Tensor]:
        assert return_tensors == "pt"
        self.images += images
        self.texts += text
        return {
            "input_ids": torch.arange(1, 7)[None],
            "attention_mask": torch.ones(1, 6, dtype=torch.long),
            "pixel_values": torch.randn(8, 1176),
            "image_grid_thw": torch.tensor([[1, 2, 4]]),
        }


def test_picture_and_prompt() -> None:
    processor = Processor()
    features = QwenFeatures(CONFIG, processor).compute_features(make_input([1, 0, 0, 0]))
    assert processor.texts == ["<picture>turn left, speed 73, braking 5"]
    assert processor.images[0].shape == (28, 56, 3) and (processor.images[0] == 200).all()
    assert features["qwen_input_ids"].tolist() == [0, 0, 0, 1, 2, 3, 4, 5, 6]
    assert features["qwen_attention_mask"].tolist() == [0, 0, 0, 1, 1, 1, 1, 1, 1]
    assert features["qwen_pixel_values"].shape == (8, 1176) and features["qwen_image_grid"].tolist() == [1, 2, 4]
    assert features["ego_status"].shape == (8,)


def test_a_missing_camera_is_black_and_a_prompt_that_does_not_fit_is_an_error() -> None:
    processor = Processor()
    config = QwenFeaturesConfig(camera="cam_b0", width=56, height=28, prompt_length=6)
    QwenFeatures(config, processor).compute_features(make_input([0, 1, 0, 0]))
    assert not np.any(processor.images[0])
    short = QwenFeatures(QwenFeaturesConfig(prompt_length=5), processor)
    with pytest.raises(ConfigError, match="prompt_length: expected at least 6"):
        short.compute_features(make_input([0, 1, 0, 0]))
    with pytest.raises(ConfigError, match="expected a camera among"):
        QwenFeaturesConfig(camera="front")
