"""`LatentVLAAgent`: features and a model make a planner. No model code, and nothing of NAVSIM.

`navsim_bridge.NavsimAgent` wraps it for NAVSIM's scripts; training is imported when a training method is called.
"""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

import torch

from latentvla_agent.data.scene import LOG_INTERVAL_S, AgentInput, SensorConfig, Trajectory, TrajectorySampling
from latentvla_agent.features.trajectory import TrajectoryTargets
from latentvla_agent.models.weights import load_weights

Tensors = Dict[str, torch.Tensor]


class LatentVLAAgent(torch.nn.Module):
    """A learned planner.

    `features` builds the model's input of an `AgentInput` (ours or NAVSIM's), `model` gives {"trajectory": (B, T, 3)}.
    `targets` builds what it learns from a scene; by default the human's trajectory. `checkpoint_path`: see
    `models.weights.find_checkpoint`; None for a model that is yet to be trained.
    """

    requires_scene = False

    def __init__(
        self,
        features: Any,
        model: torch.nn.Module,
        checkpoint_path: Optional[str] = None,
        learning_rate: float = 1e-4,
        targets: Optional[Any] = None,
    ):
        super().__init__()
        self.model = model
        self.features, self._checkpoint_path, self._learning_rate = features, checkpoint_path, learning_rate
        self.trajectory_sampling = TrajectorySampling(int(model.num_poses), LOG_INTERVAL_S)  # type: ignore[arg-type]
        self.targets = targets or TrajectoryTargets(self.trajectory_sampling.num_poses)

    def name(self) -> str:
        """Class name, as NAVSIM's agents give it."""
        return type(self).__name__

    def initialize(self) -> None:
        """Load the weights, strictly; raises `CheckpointError` for one that is missing, too many or misshapen."""
        if self._checkpoint_path is not None:
            load_weights(self.model, self._checkpoint_path)

    def get_sensor_config(self) -> SensorConfig:
        """The sensors that the features need."""
        config = getattr(self.features, "sensor_config", None)
        return config if config is not None else SensorConfig.build_no_sensors()

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """The plan, poses (T, 3) float32 in the ego frame."""
        self.eval()
        batch = {key: value[None] for key, value in self.features.compute_features(agent_input).items()}
        with torch.no_grad():
            poses = self.forward(batch)["trajectory"][0]
        return Trajectory(poses.cpu().numpy(), self.trajectory_sampling)

    def forward(self, features: Tensors) -> Tensors:
        """The model's predictions for a batch."""
        predictions: Tensors = self.model(features)
        return predictions

    def get_feature_builders(self) -> List[Any]:
        """For NAVSIM's dataset caching and training."""
        return [self.features]

    def get_target_builders(self) -> List[Any]:
        """What the planner learns from."""
        if not self._scores:
            return [self.targets]
        from latentvla_agent.training.scored_targets import ScoredTargets

        return [ScoredTargets(self.trajectory_sampling.num_poses)]

    @property
    def _scores(self) -> Tuple[str, ...]:
        """What the planner predicts of its proposals; empty where it scores none."""
        return tuple(getattr(getattr(self.model, "config", None), "scores", ()))

    def compute_loss(self, features: Tensors, targets: Tensors, predictions: Tensors) -> torch.Tensor:
        """A scalar."""
        from latentvla_agent.training.planner_loss import planner_loss

        return planner_loss(targets, predictions, self._scores)

    def get_optimizers(self) -> torch.optim.Optimizer:
        """Over all parameters of the model."""
        from latentvla_agent.training.imitation import make_optimizer

        return make_optimizer(self.model, self._learning_rate)

    def get_training_callbacks(self) -> List[Any]:
        """None."""
        return []
