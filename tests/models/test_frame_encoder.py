"""Frames to a grid of features."""

from __future__ import annotations

import pytest
import torch

from latentvla_agent.models.backbones import LITE0, BackboneConfig
from latentvla_agent.models.frame_encoder import FrameEncoder


def test_every_frame_becomes_a_grid() -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(BackboneConfig(LITE0, (3,), frozen=True), grid=(2, 3)).eval()
    frames = torch.randint(0, 256, (2, 3, 3, 64, 96), dtype=torch.uint8)
    found = encoder(frames)
    assert found.shape == (2, 3, 6, 112) and not found.requires_grad
    alone = encoder(frames[1:, 2:])
    torch.testing.assert_close(found[1:, 2:], alone, atol=1e-4, rtol=1e-4)


def test_a_frame_of_several_windows_is_seen_once(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    encoder = FrameEncoder(BackboneConfig(LITE0, (3,), frozen=True), grid=(2, 3)).eval()
    seen = []
    backbone = encoder.backbone.forward
    monkeypatch.setattr(encoder.backbone, "forward", lambda pictures: seen.append(len(pictures)) or backbone(pictures))
    frames = torch.randint(0, 256, (6, 3, 64, 96), dtype=torch.uint8)
    windows = torch.stack([frames[:4], frames[2:]])
    with torch.no_grad():
        found = [encoder(window[None])[0] for window in windows]
    assert sum(seen) == 6 and torch.equal(found[0][2:], found[1][:2])
    torch.testing.assert_close(torch.stack(found), encoder(windows).detach(), atol=1e-4, rtol=1e-4)
    assert sum(seen) == 6 + 8, "where somebody trains, nothing is remembered"
    with torch.no_grad():
        encoder.backbone.network.load_state_dict(encoder.backbone.network.state_dict())
        encoder(frames[None, :1])
    assert sum(seen) == 6 + 8 + 1, "nor after weights have been loaded"
