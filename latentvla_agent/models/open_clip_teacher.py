"""A teacher of open_clip: any of its models that has an image and a text tower, by name."""

from __future__ import annotations

import logging
import math
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Iterator, List, Optional, Tuple

import torch
from torch import nn

from latentvla_agent.data.scene import EgoStatusIndex
from latentvla_agent.errors import CheckpointError, ConfigError
from latentvla_agent.models.backbones import LITE0_WEIGHTS, read_lite0_weights
from latentvla_agent.models.cached_decoder import CachedDecoder, DecoderState
from latentvla_agent.models.latent_tokens import ActionVocabulary, Tensors
from latentvla_agent.models.teacher import Teacher

OWN_MODELS = Path(__file__).parent / "open_clip_models"  # configs of ours, in the library's format
LANGUAGES = ("text", "tokens")


@dataclass(frozen=True)
class OpenClipTeacherConfig:
    """`name` and `pretrained` tag are open_clip's; the latter is read by `load_pretrained_towers`, and "" is none;
    "efficientnet-lite0" gives the image tower of our own tiny model ImageNet weights.

    `language`: command and ego state as "text", through the text tower, or as learned "tokens" (an ablation). A model
    with a multimodal decoder (CoCa) writes with that, any other with a new one of `decoder_layers` and so on.
    """

    name: str = "coca_ViT-B-32"
    pretrained: str = ""
    num_cameras: int = 1
    frozen_tower: bool = True  # the image tower: a cache can then keep what it sees
    language: str = "text"
    prompt_length: int = 32  # tokens of the text that the decoder reads; behind them is padding
    decoder_layers: int = 6
    decoder_width: int = 512
    decoder_heads: int = 8
    vocabulary: ActionVocabulary = field(default_factory=ActionVocabulary)

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ConfigError(f"language: expected one of {', '.join(LANGUAGES)}, got {self.language!r}")


@dataclass(frozen=True)
class TinyTeacherConfig(OpenClipTeacherConfig):
    """Our own small towers, EfficientNet-lite0 and a short text transformer, and a new decoder: two CPU cores."""

    name: str = "latentvla-tiny"
    pretrained: str = LITE0_WEIGHTS
    decoder_layers: int = 3
    decoder_width: int = 192
    decoder_heads: int = 6


class OpenClipTeacher(Teacher):
    """Features `teacher_images` (B, C, 3, H, W) uint8 of the model's size, or `teacher_features` of `encode`, and
    `teacher_prompt` (B, P) of the model's tokenizer, or `ego_status` (B, 8)."""

    def __init__(self, config: OpenClipTeacherConfig):
        towers = make_towers(config)
        decoder = CachedDecoder(getattr(towers, "text_decoder", None) or _make_decoder(config))
        width = decoder.width
        super().__init__(config.vocabulary, width)
        self.config, self.decoder = config, decoder
        self.visual, mean, deviation = _open_visual(towers)
        self.register_buffer("mean", 255.0 * torch.tensor(mean).reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("deviation", 255.0 * torch.tensor(deviation).reshape(1, 3, 1, 1), persistent=False)
        self.mean: torch.Tensor
        self.deviation: torch.Tensor
        self.text = towers.text if config.language == "text" else None
        if self.text is not None:
            self.text.output_tokens = True
            _drop_pooling(self.text)
            self.prompt = nn.Linear(self.text.transformer.width, width)
        self.ego = nn.Linear(len(EgoStatusIndex), width) if config.language == "tokens" else None
        self.seen = nn.Linear(_find_channels(self.visual), width)
        self.places = nn.Parameter(0.02 * torch.randn(config.num_cameras, _count_places(towers.visual), width))
        if config.frozen_tower:
            self.visual.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> OpenClipTeacher:
        """A frozen tower stays in eval mode."""
        super().train(mode)
        if self.config.frozen_tower:
            self.visual.eval()
        return self

    def encode(self, features: Tensors) -> Tensors:
        """`teacher_features` (B, C, N, D): tokens of the image tower."""
        pictures = (features["teacher_images"].flatten(0, 1) - self.mean) / self.deviation
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.config.frozen_tower):
            tokens = _see(self.visual, pictures)
        return {"teacher_features": tokens.unflatten(0, features["teacher_images"].shape[:2])}

    def look(self, features: Tensors) -> Tuple[torch.Tensor, DecoderState]:
        """See `Teacher`."""
        if "teacher_features" not in features:
            features = {**features, **self.encode(features)}
        tokens = features["teacher_features"].to(self.seen.weight.dtype)
        visual = (self.seen(tokens) + self.places).flatten(1, 2)
        if self.text is not None:
            prompt = self.prompt(self.text(features["teacher_prompt"])[1][:, : self.config.prompt_length])
        else:
            assert self.ego is not None
            prompt = self.ego(features["ego_status"])[:, None]
        _, state = self.decoder.write(prompt, self.decoder.look(visual))
        return visual, state

    def write(self, tokens: torch.Tensor, state: DecoderState) -> Tuple[torch.Tensor, DecoderState]:
        """See `Teacher`."""
        return self.decoder.write(tokens, state)


def make_towers(config: OpenClipTeacherConfig, load: bool = False) -> Any:
    """The model of open_clip, with random weights, or with those of its tag.

    Raises `ConfigError` for a name that open_clip doesn't know, and `CheckpointError` where the weights can't be had.
    """
    try:
        import open_clip
    except ImportError as error:
        raise ConfigError('this teacher needs open_clip: pip install "latentvla-agent[teacher]"') from error
    open_clip.add_model_config(OWN_MODELS)
    if config.name not in open_clip.list_models():
        raise ConfigError(f"open_clip has no model {config.name!r}; see open_clip.list_models()")
    pretrained = config.pretrained if load and config.pretrained else None
    try:
        with _without_warnings():  # of random weights, which is what is asked for
            towers: Any = open_clip.create_model(
                config.name, pretrained=pretrained, pretrained_text=False, force_custom_text=True
            )
    except (OSError, RuntimeError, ValueError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"open_clip {config.name}, {config.pretrained or 'no weights'}: {reason}") from error
    if not hasattr(getattr(towers, "text", None), "transformer") or not hasattr(towers.text.transformer, "width"):
        raise ConfigError(f"open_clip {config.name}: its text tower is none of open_clip's own")
    return towers


@contextmanager
def _without_warnings() -> Iterator[None]:
    """open_clip warns through the root logger."""
    logger = logging.getLogger()
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def load_pretrained_towers(teacher: OpenClipTeacher) -> None:
    """Give the towers the weights of the config's tag; a constructor touches neither disk nor network."""
    if not teacher.config.pretrained:
        return
    if teacher.config.pretrained == LITE0_WEIGHTS:
        weights = read_lite0_weights()
        teacher.visual.load_state_dict({name: weights[name] for name in teacher.visual.state_dict()})
        return
    towers = make_towers(teacher.config, load=True)
    visual, _, _ = _open_visual(towers)
    teacher.visual.load_state_dict(visual.state_dict())
    if teacher.text is not None:
        _drop_pooling(towers.text)
        teacher.text.load_state_dict(towers.text.state_dict())
    own = getattr(towers, "text_decoder", None)
    if own is not None:
        teacher.decoder.load_state_dict(CachedDecoder(own).state_dict())


def _make_decoder(config: OpenClipTeacherConfig) -> Any:
    from open_clip.transformer import MultimodalTransformer

    decoder: Any = MultimodalTransformer(config.decoder_width, config.decoder_layers, config.decoder_heads)
    return decoder


def _open_visual(towers: Any) -> Tuple[nn.Module, List[float], List[float]]:
    """The part of the image tower that gives tokens, and the mean and deviation of its pictures."""
    visual = towers.visual
    mean, deviation = (getattr(visual, name, None) for name in ("image_mean", "image_std"))
    if mean is None or deviation is None:
        settings = getattr(visual, "preprocess_cfg", {})
        mean, deviation = settings["mean"], settings["std"]
    if hasattr(visual, "trunk"):
        return visual.trunk, list(mean), list(deviation)
    visual.output_tokens = True
    return visual, list(mean), list(deviation)


def _see(visual: Any, pictures: torch.Tensor) -> torch.Tensor:
    """Tokens (B, N, D)."""
    if hasattr(visual, "forward_features"):  # of timm: a map, or tokens
        found = visual.forward_features(pictures)
        return found.flatten(2).transpose(1, 2) if found.dim() == 4 else found
    tokens: torch.Tensor = visual(pictures)[1]
    return tokens


def _find_channels(visual: Any) -> int:
    if hasattr(visual, "num_features"):  # timm
        return int(visual.num_features)
    pooled: Optional[Any] = getattr(visual, "attn_pool", None)
    return int(pooled.attn.embed_dim) if pooled is not None else int(visual.transformer.width)


def _count_places(visual: Any) -> int:
    """Tokens of a picture where its tower doesn't say which comes from where, as a convolutional one; else 1."""
    trunk = getattr(visual, "trunk", None)
    if trunk is None or hasattr(trunk, "pos_embed"):
        return 1
    stride = trunk.feature_info[-1]["reduction"]
    return math.prod(math.ceil(side / stride) for side in visual.image_size)


def _drop_pooling(text: Any) -> None:
    """The tower's projection of the whole text: nobody reads it."""
    text.text_projection = None
