"""What a teacher of Hugging Face gets: a picture and a text, as the processor of its network makes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict

import numpy as np
import torch

from latentvla_agent.data.sensors import CAMERA_NAMES, SensorConfig
from latentvla_agent.errors import CheckpointError, ConfigError
from latentvla_agent.features.cameras import CURRENT_FRAME
from latentvla_agent.features.ego_status import EgoStatusFeatures
from latentvla_agent.features.pictures import average_into
from latentvla_agent.features.teacher import describe_ego


@dataclass(frozen=True)
class QwenFeaturesConfig:
    """One camera, its picture's size [px] (multiples of 28 are kept as they are), and the length of the prompt, picture
    and all, to which it is padded."""

    processor: str = "Qwen/Qwen2.5-VL-3B-Instruct"
    camera: str = "cam_f0"
    width: int = 448
    height: int = 252
    prompt_length: int = 224

    def __post_init__(self) -> None:
        if self.camera not in CAMERA_NAMES or min(self.width, self.height) < 1:
            raise ConfigError(f"expected a camera among {', '.join(CAMERA_NAMES)} and a size, got {self}")


class QwenFeatures:
    """A feature builder of NAVSIM's interface, of the current frame. `processor`: see `open_processor`."""

    def __init__(self, config: QwenFeaturesConfig = QwenFeaturesConfig(), processor: Any = None):
        self.config, self._processor = config, processor
        self._ego_status = EgoStatusFeatures()
        self.sensor_config = SensorConfig(
            **{config.camera: [CURRENT_FRAME]}, picture_size=(config.width, config.height)
        )

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        config = self.config
        return f"latentvla_qwen_{config.camera}_{config.width}x{config.height}_{config.processor.replace('/', '_')}"

    def compute_features(self, agent_input: Any) -> Dict[str, torch.Tensor]:
        """qwen_input_ids and qwen_attention_mask (P,), padded on the left; qwen_pixel_values (patches, numbers),
        qwen_image_grid (3,), ego_status (8,). A missing camera is black."""
        config = self.config
        image = np.zeros((3, config.height, config.width), np.uint8)
        camera = getattr(agent_input.cameras[-1], config.camera)
        if camera.image is not None:
            average_into(image, camera.image)
        status = self._ego_status.compute_features(agent_input)
        found = self._process(image.transpose(1, 2, 0), describe_ego(status["ego_status"]))
        padding = config.prompt_length - found["input_ids"].shape[1]
        if padding < 0:
            raise ConfigError(f"prompt_length: expected at least {found['input_ids'].shape[1]}, got {config}")
        pad = torch.nn.functional.pad
        return {
            "qwen_input_ids": pad(found["input_ids"][0], (padding, 0)),
            "qwen_attention_mask": pad(found["attention_mask"][0], (padding, 0)),
            "qwen_pixel_values": found["pixel_values"],
            "qwen_image_grid": found["image_grid_thw"][0],
            **status,
        }

    def _process(self, image: Any, text: str) -> Dict[str, torch.Tensor]:
        if self._processor is None:
            self._processor = open_processor(self.config.processor)
        said = [{"type": "image"}, {"type": "text", "text": text}]
        prompt = self._processor.apply_chat_template([{"role": "user", "content": said}], add_generation_prompt=True)
        found: Dict[str, torch.Tensor] = self._processor(text=[prompt], images=[image], return_tensors="pt")
        return found


def open_processor(name: str) -> Any:
    """The published processor; raises `CheckpointError` where it can't be had."""
    try:
        import transformers
    except ImportError as error:
        raise ConfigError('this teacher needs transformers: pip install "latentvla-agent[qwen]"') from error
    try:
        return transformers.AutoProcessor.from_pretrained(name)
    except (OSError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"{name}: {reason}") from error
