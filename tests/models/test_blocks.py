"""Transformer blocks: who sees whom, and what is remembered."""

from __future__ import annotations

import torch

from latentvla_agent.models.blocks import Block


def test_a_mask_keeps_tokens_from_looking() -> None:
    torch.manual_seed(0)
    block, tokens = Block(8, 2), torch.randn(1, 4, 8)
    mask = torch.ones(4, 4, dtype=torch.bool).tril()
    changed = tokens.clone()
    changed[:, 3] += 1.0
    before, after = block(tokens, mask)[0], block(changed, mask)[0]
    torch.testing.assert_close(before[:, :3], after[:, :3])
    assert (before[:, 3] - after[:, 3]).abs().max() > 1e-3


def test_what_was_read_before_is_as_good_as_reading_it_again() -> None:
    torch.manual_seed(0)
    block, tokens = Block(8, 2), torch.randn(2, 5, 8)
    whole, _ = block(tokens, torch.ones(5, 5, dtype=torch.bool).tril())
    first, memory = block(tokens[:, :2], torch.ones(2, 2, dtype=torch.bool).tril())
    second, memory = block(tokens[:, 2:3], None, memory)
    third, memory = block(tokens[:, 3:], torch.ones(2, 5, dtype=torch.bool).tril(3), memory)
    torch.testing.assert_close(torch.cat([first, second, third], dim=1), whole)
    assert memory.keys.shape == (2, 2, 5, 4)
