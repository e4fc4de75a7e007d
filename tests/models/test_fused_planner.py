"""Planners with latent tokens: equal to those without until trained, and blind to whose tokens they are."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latentvla_agent.models.fused_planner import FusedPlanner
from latentvla_agent.models.fusion import FusionConfig
from latentvla_agent.models.ipad import IPad
from latentvla_agent.models.latent_tokens import Tensors
from latentvla_agent.models.student import Student, TinyStudentConfig
from tests.models.test_ipad import SMALL
from tests.models.test_ipad import make_features as make_ipad_features
from tests.models.transfuser_scenes import LATE
from tests.models.transfuser_scenes import make_features as make_transfuser_features
from tests.models.transfuser_scenes import make_model as make_transfuser

FUSION = FusionConfig(token_width=10, width=16, num_pooled=3, num_heads=2)


def make_planner(kind: str) -> Any:
    torch.manual_seed(0)
    return IPad(SMALL) if kind == "ipad" else make_transfuser(LATE)


def make_features(kind: str) -> Tensors:
    return make_ipad_features() if kind == "ipad" else make_transfuser_features(LATE, batch=2)


def make_student(kind: str, features: Tensors) -> Student:
    """One that fits the planner's features."""
    maps = make_planner(kind).eval().encode(features)["image_features"]
    cameras = maps.shape[1] if maps.dim() == 5 else 1
    config = TinyStudentConfig(
        channels=maps.shape[-3], num_cameras=cameras, grid=(1, 2), width=16, depth=1, num_heads=2, token_width=10
    )
    torch.manual_seed(1)
    return Student(config)


@pytest.mark.parametrize("kind", ("ipad", "transfuser"))
def test_untrained_it_plans_as_without_tokens_to_the_last_bit(kind: str) -> None:
    features = make_features(kind)
    alone = make_planner(kind).eval()
    fused = FusedPlanner(make_planner(kind), FUSION, make_student(kind, features)).eval()
    with torch.no_grad():
        expected, found = alone(features), fused(features)
    assert found["action_logits"].shape == (2, 12, 16) and fused.token_seconds > 0.0
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize("kind", ("ipad", "transfuser"))
def test_tokens_change_the_plan_once_it_is_trained_whoever_made_them(kind: str) -> None:
    features = make_features(kind)
    student = make_student(kind, features)
    with_student, without = (FusedPlanner(make_planner(kind), FUSION, one).eval() for one in (student, None))
    torch.nn.init.normal_(with_student.planner.fusion.output.weight)
    without.planner.load_state_dict(with_student.planner.state_dict())
    with torch.no_grad():
        tokens = student({**features, **with_student.encode(features)}).as_features()
        first, second = with_student(features), without({**features, **tokens})
        third = without({**features, **{name: value.flip(0) for name, value in tokens.items()}})
    torch.testing.assert_close(first["trajectory"], second["trajectory"])
    assert (second["trajectory"] - third["trajectory"]).abs().max() > 1e-5


def test_the_student_never_trains() -> None:
    features = make_features("ipad")
    fused = FusedPlanner(make_planner("ipad"), FUSION, make_student("ipad", features)).train()
    assert fused.planner.training and fused.student is not None and not fused.student.training
    fused(features)["proposals"].sum().backward()
    assert all(own.grad is None for own in fused.student.parameters())
    assert fused.planner.fusion.output.weight.grad is not None
    assert fused.config is SMALL and fused.num_poses == 8
