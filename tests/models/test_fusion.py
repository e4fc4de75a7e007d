"""Fusion: it changes nothing at first, then reads both kinds of tokens, of whatever number."""

from __future__ import annotations

import torch

from latentvla_agent.models.fusion import FusionConfig, LatentFusion
from latentvla_agent.models.latent_tokens import LatentTokens, Tensors

CONFIG = FusionConfig(token_width=12, width=16, num_pooled=3, num_heads=2)


def make_fusion(trained: bool) -> LatentFusion:
    torch.manual_seed(0)
    fusion = LatentFusion(CONFIG, query_width=10)
    if trained:
        torch.nn.init.normal_(fusion.output.weight)
    return fusion


def make_tokens(num_visual: int = 7) -> Tensors:
    return LatentTokens(torch.randn(2, num_visual, 12), torch.randn(2, 12, 12), torch.randn(2, 12, 16)).as_features()


def test_untrained_it_gives_back_the_same_bits() -> None:
    queries = torch.randn(2, 5, 10)
    assert torch.equal(make_fusion(trained=False)(queries, make_tokens()), queries)


def test_both_kinds_of_tokens_matter_once_it_is_trained() -> None:
    fusion, queries, tokens = make_fusion(trained=True), torch.randn(2, 5, 10), make_tokens()
    before = fusion(queries, tokens)
    for name in ("visual_tokens", "action_tokens"):
        changed = {**tokens, name: tokens[name].flip(0)}
        assert (fusion(queries, changed) - before).abs().max() > 1e-3
    torch.testing.assert_close(fusion(queries, {**tokens, "action_logits": torch.zeros(0)}), before)


def test_every_parameter_learns_after_the_first_step() -> None:
    fusion = make_fusion(trained=True)
    fusion(torch.randn(2, 5, 10), make_tokens(40)).square().sum().backward()
    assert [name for name, own in fusion.named_parameters() if own.grad is None or not own.grad.any()] == []
    fresh = make_fusion(trained=False)
    fresh(torch.randn(2, 5, 10), make_tokens()).sum().backward()
    assert fresh.output.weight.grad is not None and fresh.output.weight.grad.any()


def test_the_memory_is_as_long_as_the_config_says() -> None:
    tokens = make_tokens(1)
    assert make_fusion(False).make_memory(tokens["visual_tokens"], tokens["action_tokens"]).shape == (2, 6, 16)
