"""The scorer's look at all pictures: what is to be seen reaches the scores, and no proposal's place counts."""

from __future__ import annotations

import torch

from latentvla_agent.models.score_decoder import ScoreDecoder, ScoreDecoderConfig

CONFIG = ScoreDecoderConfig(grid=(2, 3), width=16, num_layers=2, num_heads=2, feedforward_width=24)


def make_decoder() -> ScoreDecoder:
    torch.manual_seed(0)
    return ScoreDecoder(CONFIG, width=8, num_cameras=2).eval()


def test_every_picture_and_the_ego_reach_every_proposal() -> None:
    decoder = make_decoder()
    proposals, ego, maps = torch.randn(1, 5, 8), torch.randn(1, 1, 8), torch.randn(1, 2, 8, 4, 6)
    changed = maps.clone()
    changed[:, 1, :, 3, 5] += 1.0  # a corner of the second picture
    with torch.no_grad():
        before = decoder(proposals, ego, maps)
        others = decoder(proposals, ego, changed), decoder(proposals, ego + 1.0, maps)
    assert before.shape == (1, 5, 16)
    for other in others:
        assert ((before - other).abs().amax(dim=2) > 1e-6).all()


def test_the_order_of_proposals_does_not_matter_but_the_others_do() -> None:
    decoder = make_decoder()
    proposals, ego, maps = torch.randn(1, 5, 8), torch.randn(1, 1, 8), torch.randn(1, 2, 8, 4, 6)
    with torch.no_grad():
        found, turned = decoder(proposals, ego, maps), decoder(proposals.flip(1), ego, maps)
        alone = decoder(proposals[:, :1], ego, maps)
    torch.testing.assert_close(turned.flip(1), found)
    assert (alone - found[:, :1]).abs().max() > 1e-4
