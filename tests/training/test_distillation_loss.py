"""Distillation: which way the divergence goes, what is optional, who learns."""

from __future__ import annotations

import math

import pytest
import torch

from latentvla_agent.models.latent_tokens import LatentTokens
from latentvla_agent.training.distillation_loss import DistillationConfig, distillation_loss, measure_divergence


def make_tokens(logits: torch.Tensor) -> LatentTokens:
    batch, slots, _ = logits.shape
    return LatentTokens(torch.zeros(batch, 3, 4), torch.ones(batch, slots, 4), logits)


def test_the_divergence_is_that_of_the_student_from_the_teacher() -> None:
    teacher = torch.tensor([0.5, 0.25, 0.25]).log().expand(2, 4, 3)
    student = torch.tensor([0.25, 0.5, 0.25]).log().expand(2, 4, 3)
    expected = 0.5 * math.log(2.0) + 0.25 * math.log(0.5)
    assert measure_divergence(teacher, student).item() == pytest.approx(expected)
    skewed = torch.tensor([0.9, 0.05, 0.05]).log().expand(2, 4, 3)
    forward, backward = measure_divergence(teacher, skewed), measure_divergence(skewed, teacher)
    by_hand = sum(p * math.log(p / q) for p, q in ((0.5, 0.9), (0.25, 0.05), (0.25, 0.05)))
    assert forward.item() == pytest.approx(by_hand, rel=1e-5) and abs(forward - backward) > 0.05


def test_equal_logits_cost_nothing_and_only_the_student_learns() -> None:
    logits = torch.randn(2, 4, 16)
    student, teacher = logits.clone().requires_grad_(), (logits + 1.0).requires_grad_()  # a constant changes nothing
    parts = distillation_loss(make_tokens(student), make_tokens(teacher), DistillationConfig())
    assert list(parts) == ["divergence"] and parts["divergence"].item() == pytest.approx(0.0, abs=1e-6)
    distillation_loss(make_tokens(student), make_tokens(2.0 * teacher), DistillationConfig())["divergence"].backward()
    assert student.grad is not None and student.grad.any() and teacher.grad is None


def test_a_temperature_keeps_the_size_of_gradients() -> None:
    sizes = []
    for temperature in (1.0, 8.0):
        student = torch.zeros(1, 1, 4, requires_grad=True)
        measure_divergence(torch.tensor([[[0.2, 0.0, -0.1, 0.0]]]), student, temperature).backward()
        assert student.grad is not None
        sizes.append(student.grad.norm().item())
    assert sizes[1] == pytest.approx(sizes[0], rel=0.1)


def test_options() -> None:
    config = DistillationConfig(divergence=0.0, codes=2.0, embeddings=3.0)
    student, codes = make_tokens(torch.zeros(2, 4, 16)), torch.randint(0, 16, (2, 4))
    teacher = student._replace(
        action=torch.zeros(2, 4, 4), visual=torch.tensor([1.0, 3.0]).reshape(1, 2, 1).expand(2, 2, 4)
    )
    parts = distillation_loss(student, teacher, config, codes)
    assert {name: round(value.item(), 5) for name, value in parts.items()} == {
        "codes": round(2.0 * math.log(16.0), 5),
        "embeddings": 3.0 * (1.0 + 4.0),  # visual tokens by their mean, of other numbers
    }
    with pytest.raises(ValueError, match="needs the codes"):
        distillation_loss(student, teacher, config)
