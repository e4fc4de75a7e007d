"""Which transitions stand for a code."""

from __future__ import annotations

import torch

from latentvla_agent.models.latent_tokens import ActionVocabulary
from latentvla_agent.pipeline.code_pictures import draw_motions, find_carriers

WORDS = ActionVocabulary(num_transitions=2, codes_per_transition=2, num_codes=4)


def test_those_that_have_it_most_often_come_first() -> None:
    codes = torch.tensor([[1, 0, 2, 1], [1, 1, 0, 0], [3, 3, 3, 3]])
    motion = torch.arange(3 * 2 * 7, dtype=torch.float32).reshape(3, 2, 7)
    found = find_carriers(1, codes, motion, WORDS)
    assert found.scene.tolist() == [1, 0, 0] and found.transition.tolist() == [0, 0, 1]
    assert found.slots.tolist() == [[True, True], [True, False], [False, True]]
    assert torch.equal(found.motion, motion[[1, 0, 0], [0, 0, 1], :3])
    assert len(find_carriers(2, codes, motion, WORDS).scene) == 1


def test_a_drawing_has_a_dot_per_transition_and_a_line_per_slot() -> None:
    codes = torch.tensor([[1, 0, 2, 1], [1, 1, 0, 0]])
    motion = torch.tensor([[[5.0, 1.0, 0.1], [9.0, 0.0, 0.0]], [[7.0, -1.0, -0.1], [0.0, 0.0, 0.0]]])
    svg = draw_motions(find_carriers(1, codes, motion, WORDS))
    assert svg.count("<circle") == 3 and svg.count("<path") == 2
    assert 'd="M0 0Q0 -3.00 -0.00 -6.00"' in svg, "the mean of both that have it in the first slot: ahead is up"
