"""Controls: tokens that look like a student's and say nothing of the scene."""

from __future__ import annotations

import pytest
import torch

from latentvla_agent.models.fused_planner import FusedPlanner
from latentvla_agent.models.ipad import IPad
from latentvla_agent.models.token_controls import ForeignTokens, RandomTokens
from tests.models.test_fused_planner import FUSION, make_features, make_student
from tests.models.test_ipad import SMALL


def test_random_tokens_are_the_same_in_every_scene() -> None:
    tokens = RandomTokens(token_width=10, num_seen=5)(make_features("ipad"))
    assert (
        tokens.visual.shape == (2, 5, 10) and tokens.action.shape == (2, 12, 10) and tokens.logits.shape == (2, 12, 16)
    )
    assert all(torch.equal(part[0], part[1]) for part in tokens)
    again = RandomTokens(token_width=10, num_seen=5)
    again.load_state_dict(RandomTokens(token_width=10, num_seen=5).state_dict())


def test_foreign_tokens_are_a_students_of_the_scenes_that_came_first() -> None:
    features = make_features("ipad")
    student = make_student("ipad", features).eval()
    foreign = ForeignTokens(student, num_kept=3)
    encoded = {**features, **IPad(SMALL).eval().encode(features)}
    later = {name: value.flip(0) + 0.5 if value.is_floating_point() else value for name, value in encoded.items()}
    with torch.no_grad():
        first = student(encoded)
        foreign(encoded)
        foreign(later)
        assert int(foreign.count) == 3 and torch.equal(foreign.logits[:2], first.logits)
        kept = {name: value.clone() for name, value in foreign.named_buffers()}
        found, again = foreign(later), foreign(later)
    assert all(torch.equal(value, kept[name]) for name, value in foreign.named_buffers()), "full: nothing changes"
    for index in range(2):
        assert any(torch.equal(found.action[index], one) for one in foreign.action)
    assert torch.equal(found.action, again.action)


@pytest.mark.parametrize("student_trains", (False, True))
def test_a_student_from_scratch_learns_with_the_planner(student_trains: bool) -> None:
    features = make_features("ipad")
    fused = FusedPlanner(IPad(SMALL), FUSION, make_student("ipad", features), student_trains).train()
    torch.nn.init.normal_(fused.planner.fusion.output.weight)
    fused(features)["proposals"].sum().backward()
    assert fused.student is not None and fused.student.training == student_trains
    assert any(own.grad is not None for own in fused.student.parameters()) == student_trains
