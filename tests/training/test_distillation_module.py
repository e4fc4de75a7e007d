"""Distillation in Lightning: what is learnt and what is told."""

from __future__ import annotations

from dataclasses import replace
from typing import Dict

import pytest
import torch

from latentvla_agent.models.latent_tokens import LatentTokens, Tensors
from latentvla_agent.models.student import Student, StudentConfig
from latentvla_agent.training.config import OptimizerConfig
from latentvla_agent.training.distillation_loss import DistillationConfig
from latentvla_agent.training.distillation_module import DistillationModule
from tests.models.test_student import CONFIG, ONE_BY_ONE, make_features


class Recorder(DistillationModule):
    """Keeps what goes into the log."""

    def __init__(self, config: StudentConfig, loss: DistillationConfig = DistillationConfig(), codes: bool = False):
        torch.manual_seed(0)
        super().__init__(Student(config), OptimizerConfig(), loss, torch.randint(0, 16, (9, 12)) if codes else None)
        self.logged: Dict[str, float] = {}

    def log(self, name: str, value: torch.Tensor, **options: object) -> None:  # type: ignore[override]
        self.logged[name] = float(value.detach())

    def log_dict(self, values: Dict[str, torch.Tensor], **options: object) -> None:  # type: ignore[override]
        self.logged.update({name: float(value) for name, value in values.items()})


def make_batch() -> Tensors:
    features = make_features()
    torch.manual_seed(3)
    teacher = LatentTokens(torch.randn(3, 5, 10), torch.randn(3, 12, 10), torch.randn(3, 12, 16))
    return {**features, **teacher.as_features(), "index": torch.tensor([4, 0, 8])}


@pytest.mark.parametrize(("config", "agreement"), ((CONFIG, 0.7), (ONE_BY_ONE, 0.5)))
def test_a_student_comes_closer_to_its_teacher(config: StudentConfig, agreement: float) -> None:
    """One after another, what follows a first slip is no more the teacher's; by chance a sixteenth is."""
    module, batch = Recorder(config), make_batch()
    optimizer = torch.optim.Adam(module.model.parameters(), lr=3e-3)
    for _ in range(120):
        loss = module.training_step(batch, 0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first = module.logged.setdefault("first", loss.item())
    assert module.logged["loss"] < 0.3 * first
    module.eval().validation_step(batch, 0)
    assert module.logged["dev_closeness"] == pytest.approx(-module.logged["loss"], rel=0.3)
    assert module.logged["dev/agreement"] > agreement


def test_one_after_another_it_is_told_what_the_teacher_chose() -> None:
    module, batch = Recorder(ONE_BY_ONE).eval(), make_batch()
    other = dict(batch)
    other["action_logits"] = batch["action_logits"].roll(1, dims=-1)  # other choices
    found = [
        module._look(own, LatentTokens(own["visual_tokens"], own["action_tokens"], own["action_logits"]))
        for own in (batch, other)
    ]
    torch.testing.assert_close(found[0].logits[:, 0], found[1].logits[:, 0])
    assert (found[0].logits[:, 1:] - found[1].logits[:, 1:]).abs().max() > 1e-5


def test_codes_are_those_of_the_scenes_of_the_batch() -> None:
    loss = DistillationConfig(divergence=0.0, codes=1.0)
    module, batch = Recorder(replace(CONFIG), loss, codes=True), make_batch()
    value = module.training_step(batch, 0)
    assert module._codes is not None
    expected = torch.nn.functional.cross_entropy(
        module.model(batch).logits.flatten(0, 1), module._codes[[4, 0, 8]].flatten()
    )
    torch.testing.assert_close(value, expected)


def test_agreement_is_that_of_a_student_left_to_itself() -> None:
    module, batch = Recorder(ONE_BY_ONE).eval(), make_batch()
    with torch.no_grad():
        module.validation_step(batch, 0)
        chosen, wanted = module.model(batch).logits.argmax(dim=-1), batch["action_logits"].argmax(dim=-1)
    assert module.logged["dev/agreement"] == pytest.approx(float((chosen == wanted).float().mean()))
    batch["action_logits"] = torch.nn.functional.one_hot(chosen, 16).float()
    with torch.no_grad():
        module.validation_step(batch, 0)
    assert module.logged["dev/agreement"] == 1.0
