"""The student: both ways to decode, both planners' features, and who sees what."""

from __future__ import annotations

from dataclasses import replace
from typing import Tuple

import pytest
import torch

from latentvla_agent.errors import ConfigError
from latentvla_agent.models.latent_tokens import Tensors
from latentvla_agent.models.student import Student, StudentConfig, TinyStudentConfig

CONFIG = TinyStudentConfig(channels=6, num_cameras=2, grid=(2, 3), width=16, depth=2, num_heads=2, token_width=10)
ONE_BY_ONE = replace(CONFIG, decoding="autoregressive")


def make_student(config: StudentConfig) -> Student:
    torch.manual_seed(0)
    return Student(config).eval()


def make_features(shape: Tuple[int, ...] = (3, 2, 6, 5, 7)) -> Tensors:
    torch.manual_seed(1)
    return {"image_features": torch.randn(shape), "ego_status": torch.randn(shape[0], 8)}


@pytest.mark.parametrize("config", (CONFIG, ONE_BY_ONE))
def test_shapes(config: StudentConfig) -> None:
    tokens = make_student(config)(make_features())
    assert (
        tokens.visual.shape == (3, 12, 10) and tokens.action.shape == (3, 12, 10) and tokens.logits.shape == (3, 12, 16)
    )


def test_one_stitched_picture() -> None:
    student = make_student(replace(CONFIG, num_cameras=1))
    tokens = student(make_features((2, 6, 4, 9)))
    assert tokens.visual.shape == (2, 6, 10)


def test_half_precision_of_a_cache() -> None:
    features = make_features()
    features["image_features"] = features["image_features"].half()
    assert make_student(CONFIG)(features).logits.dtype == torch.float32


@pytest.mark.parametrize("name", ("image_features", "ego_status"))
def test_everything_that_it_sees_matters(name: str) -> None:
    student, features = make_student(CONFIG), make_features()
    before = student(features)
    after = student({**features, name: features[name] + 1.0})
    assert (before.logits - after.logits).abs().max() > 1e-4


def test_what_is_seen_does_not_depend_on_the_actions() -> None:
    """So that it can be remembered while they are decoded."""
    student, features = make_student(ONE_BY_ONE), make_features()
    first, second = (student(features, torch.full((3, 12), code)) for code in (0, 5))
    assert torch.equal(first.visual, second.visual) and not torch.equal(first.action, second.action)


def test_a_slot_knows_the_codes_before_it_alone() -> None:
    student, features = make_student(ONE_BY_ONE), make_features()
    codes = torch.zeros(3, 12, dtype=torch.long)
    changed = codes.clone()
    changed[:, 4] = 7
    before, after = student(features, codes).logits, student(features, changed).logits
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().amax(dim=(0, 2)).min() > 1e-5


def test_decoding_is_teacher_forcing_with_its_own_choices() -> None:
    student, features = make_student(ONE_BY_ONE), make_features()
    chosen = student(features)
    forced = student(features, chosen.logits.argmax(dim=-1))
    for one, other in zip(chosen, forced):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_all_parameters_learn() -> None:
    student = make_student(ONE_BY_ONE).train()
    tokens = student(make_features(), torch.randint(0, 16, (3, 12)))
    sum(one.square().mean() for one in tokens).backward()  # type: ignore[union-attr]
    assert [name for name, own in student.named_parameters() if own.grad is None or not own.grad.any()] == []


@pytest.mark.parametrize("config", [CONFIG, ONE_BY_ONE])
def test_what_the_planner_is_told_learns_from_the_codes(config: StudentConfig) -> None:
    student = make_student(config).train()
    student(make_features(), torch.randint(0, 16, (3, 12))).logits.square().mean().backward()
    assert student.action_output.weight.grad is not None and student.action_output.weight.grad.any()


def test_the_paper_has_fifty_million_parameters() -> None:
    with torch.device("meta"):
        count = sum(own.numel() for own in Student(StudentConfig()).parameters())
    assert 45e6 < count < 55e6


def test_another_decoding_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected one of parallel, autoregressive, got 'beam'"):
        replace(CONFIG, decoding="beam")
