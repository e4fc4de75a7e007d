"""TransFuser, paper size and tiny: shapes, gradients, caches, strict weights, outputs that a refactor keeps."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, Dict

import pytest
import torch
from safetensors.torch import load_file

from latentvla_agent.errors import ConfigError
from latentvla_agent.models.transfuser import EGO_DYNAMICS, Transfuser
from latentvla_agent.models.transfuser_config import TinyTransfuserConfig, TransfuserConfig
from latentvla_agent.models.weights import load_weights, write_weights
from tests.models.transfuser_scenes import BY_KIND, LATE, STAGED, make_features, make_model

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "transfuser.safetensors"
KINDS = pytest.mark.parametrize("kind", BY_KIND)


@KINDS
def test_shapes(kind: str) -> None:
    config = BY_KIND[kind]
    found = make_model(config)(make_features(config, batch=3))
    shapes = {name: tuple(tensor.shape) for name, tensor in found.items()}
    assert shapes == {
        "trajectory": (3, 8, 3),
        "agent_boxes": (3, 30, 5),
        "agent_logits": (3, 30),
        "bev_logits": (3, 7, *config.bev_size),
    }
    assert all(tensor.dtype == torch.float32 and tensor.isfinite().all() for tensor in found.values())


@KINDS
def test_the_gradient_reaches_every_trainable_parameter(kind: str) -> None:
    config = BY_KIND[kind]
    model = make_model(config).train()
    for module in model.modules():
        if isinstance(
            module, torch.nn.BatchNorm2d
        ):  # the last of a residual branch begins at 0, which hides the branch
            torch.nn.init.ones_(module.weight)
    sum(tensor.square().mean() for tensor in model(make_features(config)).values()).backward()
    trainable = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert [name for name, p in trainable.items() if p.grad is None or not p.grad.any()] == []
    frozen = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert all(name.startswith("encoder.image_backbone.") for name in frozen) and bool(frozen) == model.cacheable


@KINDS
def test_rows_do_not_touch_each_other(kind: str) -> None:
    config = BY_KIND[kind]
    model, features = make_model(config).eval(), make_features(config, batch=3)
    with torch.no_grad():
        together = model(features)
        alone = [model({name: tensor[row : row + 1] for name, tensor in features.items()}) for row in range(3)]
    for name, tensor in together.items():
        torch.testing.assert_close(tensor, torch.cat([one[name] for one in alone]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("missing", ["image", "lidar", "ego_status"])
@pytest.mark.parametrize("kind", ["late", "staged"])
def test_every_input_is_looked_at(kind: str, missing: str) -> None:
    config = BY_KIND[kind]
    model, features = make_model(config).eval(), make_features(config)
    if kind == "late":  # unit variances of a random backbone's batch norm leave its maps near zero
        model.encoder.to_tokens.weight.data *= 100  # type: ignore[union-attr, operator]
    with torch.no_grad():
        with_it, without = model(features), model({**features, missing: torch.zeros_like(features[missing])})
    assert not torch.allclose(with_it["trajectory"], without["trajectory"], atol=1e-6)


@KINDS
def test_blank_input_trains(kind: str) -> None:
    config = BY_KIND[kind]
    model = make_model(config).train()
    blank = {name: torch.zeros_like(tensor) for name, tensor in make_features(config).items()}
    found = model(blank)
    found["trajectory"].sum().backward()
    assert all(tensor.isfinite().all() for tensor in found.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_latent_model_needs_no_lidar() -> None:
    for kind in ("late-latent", "staged-latent"):
        config = BY_KIND[kind]
        model, features = make_model(config).eval(), make_features(config)
        without = {name: tensor for name, tensor in features.items() if name != "lidar"}
        assert torch.equal(model(features)["trajectory"], model(without)["trajectory"])


def test_cached_features_give_what_the_picture_gives() -> None:
    model, features = make_model(LATE), make_features(LATE)
    cached = {name: tensor for name, tensor in {**features, **model.encode(features)}.items() if name != "image"}
    assert cached["image_features"].shape == (2, 112, 4, 16) and not cached["image_features"].requires_grad
    for mode in (True, False):
        model.train(mode)
        found = []
        for batch in (features, cached):
            torch.manual_seed(3)  # of dropout
            found.append(model(batch))
        for name, tensor in found[0].items():
            torch.testing.assert_close(tensor, found[1][name], atol=1e-5, rtol=0)
    half = model({**cached, "image_features": cached["image_features"].half()})
    torch.testing.assert_close(half["trajectory"], model(cached)["trajectory"], atol=1e-2, rtol=0)


def test_a_trained_backbone_cannot_be_cached() -> None:
    model = make_model(STAGED)
    assert not model.cacheable
    with pytest.raises(ConfigError, match="cannot be cached"):
        model.encode(make_features(STAGED))


def test_ego_status_dropout_hides_the_dynamics_of_whole_scenes_in_training() -> None:
    model = make_model(replace(LATE, ego_status_dropout=0.5))
    status = torch.randn(200, 8)
    assert torch.equal(model.eval()._hide_dynamics(status), status)
    before = status.clone()
    found = model.train()._hide_dynamics(status)
    hidden = (found[:, EGO_DYNAMICS] == 0).all(dim=1)
    assert 60 < int(hidden.sum()) < 140
    assert torch.equal(found[~hidden], status[~hidden]) and torch.equal(found[:, 4:], status[:, 4:])
    assert torch.equal(status, before)


def test_memory_reaches_the_trajectory() -> None:
    class Reader(torch.nn.Module):
        """Adds the mean of what is remembered."""

        def forward(self, queries: torch.Tensor, features: Dict[str, torch.Tensor]) -> torch.Tensor:
            assert queries.shape == (2, 64, 128)
            return queries + features["memory"].mean(dim=(1, 2), keepdim=True)

    model, features = make_model(LATE).eval(), make_features(LATE)
    alone = model(features)["trajectory"]
    model.fusion = Reader()
    found = [model({**features, "memory": torch.full((2, 5, 7), value)})["trajectory"] for value in (0.0, 1.0)]
    assert torch.equal(found[0], alone) and not torch.allclose(found[1], alone)


def test_every_cell_of_the_picture_reaches_the_trajectory_by_itself() -> None:
    model: Any = make_model(LATE).eval()
    features = make_features(LATE, batch=1)
    features.update(model.encode(features))
    maps, changed = features["image_features"], features["image_features"].clone()
    changed[..., -1, -1] += 3.0
    torch.nn.init.zeros_(model.encoder.to_tokens.weight)  # not through the bird's-eye view
    with torch.no_grad():
        tokens, others = model.picture(maps), model.picture(changed)
        plans = [model({**features, "image_features": own})["trajectory"] for own in (maps, changed)]
    assert tokens.shape == (1, 4 * 16, LATE.model_size)
    assert (tokens != others).any(dim=2).sum() == 4, "the cell and its neighbours, at a corner of the picture"
    assert (plans[0] - plans[1]).abs().max() > 1e-6
    with pytest.raises(ConfigError, match="decoder_sees_picture: expected a frozen image_backbone"):
        make_model(replace(STAGED, decoder_sees_picture=True))


@KINDS
def test_weights_are_saved_and_loaded_strictly(kind: str, tmp_path: Path) -> None:
    config = BY_KIND[kind]
    first, second, features = make_model(config, 0).eval(), make_model(config, 5).eval(), make_features(config)
    write_weights(first, tmp_path / "w.safetensors")
    load_weights(second, str(tmp_path / "w.safetensors"))
    assert all(torch.equal(tensor, second(features)[name]) for name, tensor in first(features).items())


def golden_outputs() -> Dict[str, torch.Tensor]:
    """Every output of every kind with weights that come from no random numbers, thinned out to a few KB."""
    found: Dict[str, torch.Tensor] = {}
    for kind, config in BY_KIND.items():
        model = make_model(config).eval()
        for index, (_, tensor) in enumerate(sorted(model.state_dict().items())):
            if tensor.is_floating_point():
                wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + index)
                start = 1.0 if tensor.dim() == 1 else 0.0  # scales and variances of norms
                tensor.copy_((start + 0.1 * wave).reshape(tensor.shape))
        row = torch.arange(8, dtype=torch.float32)
        side, (height, width) = config.lidar_size, config.image_size
        features = {
            "image": (torch.arange(3 * height * width) * 37 % 256).to(torch.uint8).reshape(1, 3, height, width),
            "lidar": (torch.arange(side * side) * 7 % 6).to(torch.uint8).reshape(1, 1, side, side),
            "ego_status": torch.cos(row)[None],
        }
        with torch.no_grad():
            outputs = model(features)
        found.update({f"{kind}.{name}": tensor.flatten()[::11].clone() for name, tensor in outputs.items()})
    return found


def test_outputs_are_the_golden_ones() -> None:
    """After a change on purpose: python -m tests.models.test_transfuser writes them anew."""
    golden = load_file(GOLDEN)
    found = golden_outputs()
    assert set(found) == set(golden)
    for name, tensor in golden.items():
        torch.testing.assert_close(found[name], tensor, atol=2e-4, rtol=1e-3, msg=name)


def test_a_constructor_asks_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(torch, "load", refuse)
    for config in (TinyTransfuserConfig(), TinyTransfuserConfig(latent=True)):
        assert sum(parameter.numel() for parameter in Transfuser(config).parameters()) < 2_000_000


def test_sizes_that_do_not_fit_are_named() -> None:
    for wrong, message in (
        (replace(LATE, image_tokens=(3, 8)), "no multiple of stride 16"),
        (replace(LATE, lidar_size=64), "4 x 4 tokens, bev_tokens is"),
        (replace(LATE, image_backbone=replace(LATE.image_backbone, out_indices=(2, 3))), "one of out_indices"),
        (replace(STAGED, lidar_backbone=replace(STAGED.lidar_backbone, out_indices=(1, 2))), "lidar_backbone 2"),
    ):
        with pytest.raises(ConfigError, match=message):
            Transfuser(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("latent", [False, True])
def test_one_training_step_of_the_paper_size(latent: bool) -> None:
    from latentvla_agent.training.transfuser_loss import TransfuserLossConfig, transfuser_loss
    from tests.models.transfuser_scenes import make_targets

    config = TransfuserConfig(latent=latent)
    model = make_model(config).train()
    assert sum(parameter.numel() for parameter in model.parameters()) == 55_970_149 + latent * 256**2
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)
    losses = transfuser_loss(make_targets(config), model(make_features(config)), TransfuserLossConfig())
    losses["loss"].backward()
    assert [name for name, parameter in model.named_parameters() if parameter.grad is None] == []
    optimizer.step()
    with torch.no_grad():
        again = transfuser_loss(make_targets(config), model(make_features(config)), TransfuserLossConfig())
    assert float(again["trajectory"]) < float(losses["trajectory"])


if __name__ == "__main__":
    from safetensors.torch import save_file

    save_file(golden_outputs(), GOLDEN)
