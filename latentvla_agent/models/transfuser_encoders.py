"""From a picture and a histogram of lidar points to one feature map of the bird's-eye view, in two ways.

The map's rows run forward (-32..32 m), its columns to the left, as those of the histogram.
"""

from __future__ import annotations

from typing import Dict, List, Tuple

import torch
from torch import nn
from torch.nn import functional

from latentvla_agent.errors import ConfigError
from latentvla_agent.models.backbones import Normalization, make_backbone, make_normalization
from latentvla_agent.models.transfuser_config import TransfuserConfig
from latentvla_agent.models.transfuser_fusion import INITIAL_DEVIATION, TokenFusion

Tensors = Dict[str, torch.Tensor]
IMAGE_FEATURES = "image_features"


class LidarInput(nn.Module):
    """Counts (B, 1, G, G) uint8 to values from 0 to 1, or the same learned grid for every scene."""

    def __init__(self, config: TransfuserConfig):
        super().__init__()
        self.count, self.latent = config.lidar_count, config.latent
        if config.latent:
            self.grid = nn.Parameter(torch.randn(1, 1, config.lidar_size, config.lidar_size))

    def forward(self, features: Tensors) -> torch.Tensor:
        """A latent model does not look at the lidar, which may be absent."""
        if self.latent:
            return self.grid.expand(len(features["ego_status"]), -1, -1, -1)
        return features["lidar"].to(torch.float32, memory_format=torch.channels_last) / self.count


class StagedEncoder(nn.Module):
    """Two backbones of four stages; after each, tokens of both meet and what they learn is added to both maps."""

    def __init__(self, config: TransfuserConfig):
        super().__init__()
        self.normalization = make_normalization(config.image_backbone) if config.normalize_image else Normalization()
        self.lidar_input = LidarInput(config)
        self.image_backbone = make_backbone(config.image_backbone)
        self.lidar_backbone = make_backbone(config.lidar_backbone)
        image_widths, lidar_widths = self.image_backbone.channels, self.lidar_backbone.channels
        if len(image_widths) != len(lidar_widths):
            raise ConfigError(f"image_backbone has {len(image_widths)} stages, lidar_backbone {len(lidar_widths)}")
        pairs = list(zip(image_widths, lidar_widths))
        self.fusions = nn.ModuleList(TokenFusion(config, image) for image, _ in pairs)
        self.to_image = nn.ModuleList(nn.Conv2d(lidar, image, 1) for image, lidar in pairs)
        self.to_lidar = nn.ModuleList(nn.Conv2d(image, lidar, 1) for image, lidar in pairs)
        self.channels = lidar_widths[-1]

    def forward(self, features: Tensors) -> torch.Tensor:
        """(B, channels, *bev_tokens)."""
        image, lidar = self.normalization(features["image"]), self.lidar_input(features)
        stages = list(zip(self.image_backbone.stages(), self.lidar_backbone.stages()))
        for index, (image_stage, lidar_stage) in enumerate(stages):
            image, lidar = _run(image_stage, image), _run(lidar_stage, lidar)
            image, lidar = self._fuse(index, image, lidar, last=index + 1 == len(stages))
        return lidar

    def _fuse(
        self, index: int, image: torch.Tensor, lidar: torch.Tensor, last: bool
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """Behind the last stage nobody reads the picture's map: it is not computed."""
        fusion: TokenFusion = self.fusions[index]  # type: ignore[assignment]
        image_tokens = functional.adaptive_avg_pool2d(image, fusion.image_tokens)
        lidar_tokens = self.to_image[index](functional.adaptive_avg_pool2d(lidar, fusion.bev_tokens))
        if last:
            seen_lidar = fusion.fuse_bev(image_tokens, lidar_tokens)
        else:
            seen_image, seen_lidar = fusion(image_tokens, lidar_tokens)
            image = image + _resize(seen_image, image)
        return image, lidar + _resize(self.to_lidar[index](seen_lidar), lidar)


class LateEncoder(nn.Module):
    """A frozen picture backbone and a small lidar network; their last maps meet once."""

    def __init__(self, config: TransfuserConfig):
        super().__init__()
        if len(config.image_backbone.out_indices) != 1:
            raise ConfigError("a frozen image_backbone gives one feature map: name one of out_indices")
        self.normalization = make_normalization(config.image_backbone) if config.normalize_image else Normalization()
        self.lidar_input = LidarInput(config)
        self.image_backbone = make_backbone(config.image_backbone)
        self.lidar_network = _make_lidar_network(config.lidar_widths)
        self.channels = config.lidar_widths[-1]
        patch = _patch_size(config, self.image_backbone.strides[0])
        self.to_tokens = nn.Conv2d(self.image_backbone.channels[0], self.channels, patch, stride=patch)
        self.fusion = TokenFusion(config, self.channels)

    def encode(self, features: Tensors) -> Tensors:
        """{"image_features": (B, C, H / stride, W / stride)} float32: nothing before them is ever trained."""
        (image_features,) = self.image_backbone(self.normalization(features["image"]))
        return {IMAGE_FEATURES: image_features}

    def forward(self, features: Tensors) -> torch.Tensor:
        """(B, channels, *bev_tokens), of what `encode` gives; from a cache, in half precision too."""
        image = self.to_tokens(features[IMAGE_FEATURES].to(self.to_tokens.weight.dtype))
        lidar: torch.Tensor = self.lidar_network(self.lidar_input(features))
        return lidar + self.fusion.fuse_bev(image, lidar)


class PictureTokens(nn.Module):
    """The cells of a frozen picture's features (B, C, h, w) as tokens (B, h * w, model_size), each in its place."""

    def __init__(self, config: TransfuserConfig, encoder: nn.Module):
        super().__init__()
        if not isinstance(encoder, LateEncoder):
            raise ConfigError("decoder_sees_picture: expected a frozen image_backbone")
        backbone, (height, width) = encoder.image_backbone, config.image_size
        cells = (height // backbone.strides[0]) * (width // backbone.strides[0])
        self.project = nn.Conv2d(backbone.channels[0], config.model_size, 3, padding=1)
        self.norm = nn.LayerNorm(config.model_size)  # the backbone's features are large beside the other tokens
        self.places = nn.Parameter(INITIAL_DEVIATION * torch.randn(1, cells, config.model_size))

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """See the class; maps in half precision, too."""
        tokens = self.project(maps.to(self.places.dtype)).flatten(2).transpose(1, 2)
        placed: torch.Tensor = self.norm(tokens) + self.places
        return placed


def _make_lidar_network(widths: Tuple[int, ...]) -> nn.Sequential:
    """Halves both sides once per width."""
    layers: List[nn.Module] = []
    for before, after in zip((1, *widths), widths):
        layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


def _patch_size(config: TransfuserConfig, stride: int) -> Tuple[int, int]:
    """Cells of the picture's feature map per token; also checks that the lidar's map has a cell per token."""
    rows, columns = (side // (stride * count) for side, count in zip(config.image_size, config.image_tokens))
    if (rows * stride * config.image_tokens[0], columns * stride * config.image_tokens[1]) != tuple(config.image_size):
        raise ConfigError(f"image_size {config.image_size} is no multiple of stride {stride} x {config.image_tokens}")
    side = config.lidar_size // 2 ** len(config.lidar_widths)
    if tuple(config.bev_tokens) != (side, side):
        raise ConfigError(f"lidar_size and lidar_widths give {side} x {side} tokens, bev_tokens is {config.bev_tokens}")
    return rows, columns


def _run(layers: List[nn.Module], value: torch.Tensor) -> torch.Tensor:
    for layer in layers:
        value = layer(value)
    return value


def _resize(source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    if source.shape[2:] == target.shape[2:]:
        return source
    return functional.interpolate(source, size=target.shape[2:], mode="bilinear", align_corners=False)
