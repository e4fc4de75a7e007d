"""What names the content of a feature cache: everything that it depends on."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import torch

from latentvla_agent.models.backbones import BackboneConfig
from latentvla_agent.models.frame_encoder import FrameEncoder
from latentvla_agent.models.transfuser import Transfuser
from latentvla_agent.models.transfuser_config import TinyTransfuserConfig
from latentvla_agent.pipeline.scenes import hash_frozen, hash_weights

FROZEN = BackboneConfig("tf_efficientnet_lite0", (1,), frozen=True)


def make_encoder(config: BackboneConfig = FROZEN, rows: int = 2) -> FrameEncoder:
    torch.manual_seed(0)
    return FrameEncoder(config, (rows, 4))


def test_weights_config_and_cells_name_what_a_frozen_encoder_gives() -> None:
    first = hash_frozen(make_encoder())
    assert first == hash_frozen(make_encoder())
    assert first != hash_frozen(make_encoder(rows=4)), "other cells, same weights"
    assert first != hash_frozen(make_encoder(replace(FROZEN, out_indices=(2,)))), "another layer"
    changed = make_encoder()
    with torch.no_grad():
        next(changed.backbone.parameters()).add_(1.0)
    assert first != hash_frozen(changed)


def test_how_pictures_are_normalised_counts() -> None:
    hashes = []
    for normalize in (True, False):
        torch.manual_seed(0)
        hashes.append(hash_frozen(Transfuser(replace(TinyTransfuserConfig(), normalize_image=normalize))))
    assert hashes[0] != hashes[1]


def test_what_is_trained_has_no_name() -> None:
    assert hash_frozen(make_encoder(replace(FROZEN, frozen=False))) == ""


def test_weights_of_any_type_have_a_name() -> None:
    model = torch.nn.BatchNorm1d(3)  # one of its buffers has no dimensions
    content = b"said" + b"".join(tensor.numpy().tobytes() for tensor in model.state_dict().values())
    assert hash_weights([model], "said") == hashlib.sha256(content).hexdigest()[:16], "that of caches made before"
    half = hash_weights([model.to(torch.bfloat16)], "said")
    torch.nn.init.zeros_(model.weight)
    assert hash_weights([model], "said") != half
