"""Training configs: every entry is a field, and the shipped ones can be read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.training.config import PlannerTraining, list_configs, read_training
from latentvla_agent.training.distillation_config import DistillationTraining
from latentvla_agent.training.latent_action_config import LatentActionTraining
from latentvla_agent.training.teacher_config import TeacherTraining


@pytest.mark.parametrize("name", list_configs())
def test_shipped_configs(name: str) -> None:
    kinds = {
        "latent-actions": LatentActionTraining,
        "teacher": TeacherTraining,
        "distillation": DistillationTraining,
    }
    kind = next((own for start, own in kinds.items() if name.startswith(start)), PlannerTraining)
    assert read_training(name, kind).train_split


def test_entries_are_replaced() -> None:
    training = read_training("ipad-tiny", PlannerTraining, {"optimizer.learning_rate": 1, "epochs": 3})
    assert training.optimizer.learning_rate == 1.0 and training.epochs == 3 and training.agent == "ipad"


@pytest.mark.parametrize(
    "content, message",
    (
        ("agent: ipad\nepoch: 3\n", "unknown entry 'epoch'; did you mean 'epochs'"),
        ("agent: ipad\noptimizer:\n  learning_rat: 1\n", "optimizer: unknown entry 'learning_rat'"),
        ("agent: ipad\nepochs: many\n", "epochs: expected int, got 'many'"),
        ("agent: ipad\nepochs: true\n", "epochs: expected int, got True"),
        ("epochs: 3\n", "expected the entry agent"),
        ("3\n", "expected a mapping, got int"),
    ),
)
def test_mistakes_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError, match=message):
        read_training(str(path), PlannerTraining)


def test_an_unknown_name_is_answered_with_a_known_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'ipad-tiny'"):
        read_training("ipad-tini", PlannerTraining)


def test_what_a_nested_config_does_not_say_is_as_it_was() -> None:
    training = read_training("latent-actions-tiny", LatentActionTraining, {"window.frames": [0, 1], "model.width": 64})
    assert training.window.frames == (0, 1) and training.window.camera == "cam_f0"
    assert training.model.width == 64 and training.model.num_tokens == 15
    with pytest.raises(ConfigError, match="model: expected LatentActionConfig, got 3"):
        read_training("latent-actions-tiny", LatentActionTraining, {"model": 3})


def test_yes_and_no() -> None:
    training = read_training("teacher-tiny", TeacherTraining, {"teacher.frozen_tower": False})
    assert training.teacher.frozen_tower is False and training.teacher.name == "latentvla-tiny"
    with pytest.raises(ConfigError, match="frozen_tower: expected bool, got 1"):
        read_training("teacher-tiny", TeacherTraining, {"teacher.frozen_tower": 1})


@pytest.mark.parametrize(
    "config, agent",
    (
        ("teacher-tiny", "latentvla_teacher"),
        pytest.param("teacher-paper", "latentvla_teacher_paper", marks=pytest.mark.slow),
    ),
)
def test_a_taught_teacher_fits_the_agent_that_it_is_for(config: str, agent: str) -> None:
    pytest.importorskip("open_clip")
    from latentvla_agent.evaluation.agents import build_agent, find_agent
    from latentvla_agent.pipeline.tokens import list_entries

    training = read_training(config, TeacherTraining)
    built: Any = build_agent(find_agent(agent))
    assert list_entries(built.model.student.config) == list_entries(training.teacher)
    assert list_entries(built.features.teacher.config) == list_entries(training.features)
