"""What the teacher gets: pictures of its size, and command and ego state as a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Dict, Tuple

import numpy as np
import torch

from latentvla_agent.data.scene import EgoStatusIndex
from latentvla_agent.data.sensors import CAMERA_NAMES, SensorConfig
from latentvla_agent.errors import ConfigError
from latentvla_agent.features.cameras import CURRENT_FRAME
from latentvla_agent.features.ego_status import EgoStatusFeatures
from latentvla_agent.features.pictures import average_into

COMMANDS = {
    EgoStatusIndex.LEFT: "turn left",
    EgoStatusIndex.STRAIGHT: "go straight",
    EgoStatusIndex.RIGHT: "turn right",
    EgoStatusIndex.UNKNOWN: "go on",
}

Tokenizer = Callable[[str], torch.Tensor]  # a text to its tokens (P,), padded


@dataclass(frozen=True)
class TeacherFeaturesConfig:
    """Cameras, the size of their pictures [px], which is the teacher's, and its tokenizer: that of an open_clip model,
    for texts of `context_length` tokens."""

    cameras: Tuple[str, ...] = ("cam_f0",)
    width: int = 224
    height: int = 224
    tokenizer: str = "coca_ViT-B-32"
    context_length: int = 76

    def __post_init__(self) -> None:
        unknown = [name for name in self.cameras if name not in CAMERA_NAMES]
        if unknown or not self.cameras or self.width < 1 or self.height < 1:
            raise ConfigError(f"expected cameras among {', '.join(CAMERA_NAMES)} and a size, got {self}")


@dataclass(frozen=True)
class TinyTeacherFeaturesConfig(TeacherFeaturesConfig):
    """For our own tiny towers, whose pictures are as wide as a camera's."""

    width: int = 352
    height: int = 192
    tokenizer: str = "ViT-B-32"
    context_length: int = 48


class TeacherFeatures:
    """A feature builder of NAVSIM's interface, of the current frame: nothing of the future goes in."""

    def __init__(self, config: TeacherFeaturesConfig = TeacherFeaturesConfig(), tokenize: Any = None):
        self.config, self._tokenize = config, tokenize
        self._ego_status = EgoStatusFeatures()
        asked = {name: [CURRENT_FRAME] for name in config.cameras}
        self.sensor_config = SensorConfig(**asked, picture_size=(config.width, config.height))

    def get_unique_name(self) -> str:
        """Name of the files that NAVSIM's dataset caching writes."""
        config = self.config
        cameras = "_".join(name.replace("cam_", "") for name in config.cameras)
        return f"latentvla_teacher_{cameras}_{config.width}x{config.height}_{config.tokenizer}"

    def compute_features(self, agent_input: Any) -> Dict[str, torch.Tensor]:
        """teacher_images (C, 3, H, W) uint8, zeros where a camera is missing; teacher_prompt (P,) int64; ego_status."""
        config = self.config
        images = np.zeros((len(config.cameras), 3, config.height, config.width), np.uint8)
        for image, name in zip(images, config.cameras):
            camera = getattr(agent_input.cameras[-1], name)
            if camera.image is not None:
                average_into(image, camera.image)
        status = self._ego_status.compute_features(agent_input)
        if self._tokenize is None:
            self._tokenize = open_tokenizer(config.tokenizer, config.context_length)
        prompt = self._tokenize(describe_ego(status["ego_status"]))
        return {"teacher_images": torch.from_numpy(images), "teacher_prompt": prompt, **status}


def describe_ego(status: torch.Tensor) -> str:
    """Command, speed and acceleration of an ego status (8,) in words and round numbers.

    Tenths are written as whole numbers: a tokenizer of words then needs two tokens for a number, and not five.
    """
    command = COMMANDS[EgoStatusIndex(EgoStatusIndex.LEFT + int(status[EgoStatusIndex.LEFT :].argmax()))]
    if not bool(status[EgoStatusIndex.LEFT :].any()):
        command = COMMANDS[EgoStatusIndex.UNKNOWN]
    speed = round(10.0 * float(status[EgoStatusIndex.VELOCITY_X : EgoStatusIndex.ACCELERATION_X].norm()))
    gain = round(10.0 * float(status[EgoStatusIndex.ACCELERATION_X]))
    verb = "accelerating" if gain > 0 else "braking" if gain < 0 else "steady"
    return f"{command}, speed {speed}, {verb} {abs(gain)}"


def open_tokenizer(name: str, context_length: int) -> Tokenizer:
    """The tokenizer of a model of open_clip; raises `ConfigError` where the library or the model is missing."""
    try:
        import open_clip
    except ImportError as error:
        raise ConfigError('the teacher needs open_clip: pip install "latentvla-agent[teacher]"') from error
    if name not in open_clip.list_models():
        raise ConfigError(f"open_clip has no model {name!r}; see open_clip.list_models()")
    tokenizer = open_clip.get_tokenizer(name, context_length=context_length)
    return lambda text: tokenizer([text])[0]
