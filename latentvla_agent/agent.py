"""`LatentVLAAgent`: features and a model make a planner. No model code, and nothing of NAVSIM.

`navsim_bridge.NavsimAgent` wraps it for NAVSIM's scripts; training is imported when a training method is called.
"""

from __future__ import annotations

import time
from typing import Any, Dict, List, Optional

import torch

from latentvla_agent.data.scene import LOG_INTERVAL_S, AgentInput, SensorConfig, Trajectory, TrajectorySampling
from latentvla_agent.features.trajectory import TrajectoryTargets
from latentvla_agent.models.weights import load_weights

Tensors = Dict[str, torch.Tensor]

PRESENCE = {
    "camera": "camera_present",
    "lidar": "lidar_present",
}  # a sensor's kind -> the feature that says it is there


class LatentVLAAgent(torch.nn.Module):
    """A learned planner.

    `features` builds the model's input of an `AgentInput` (ours or NAVSIM's), `model` gives {"trajectory": (B, T, 3)}.
    `checkpoint_path`: see `models.weights.find_checkpoint`; None for a model that is yet to be trained.
    """

    requires_scene = False

    def __init__(
        self, features: Any, model: torch.nn.Module, checkpoint_path: Optional[str] = None, learning_rate: float = 1e-4
    ):
        super().__init__()
        self.model = model
        self._features, self._checkpoint_path, self._learning_rate = features, checkpoint_path, learning_rate
        self.trajectory_sampling = TrajectorySampling(int(model.num_poses), LOG_INTERVAL_S)  # type: ignore[arg-type]
        self._stage_times: Dict[str, float] = {}
        self._missing_sensors: Dict[str, int] = {}

    def name(self) -> str:
        """Class name, as NAVSIM's agents give it."""
        return type(self).__name__

    def initialize(self) -> None:
        """Load the weights, strictly; raises `CheckpointError` for one that is missing, too many or misshapen."""
        if self._checkpoint_path is not None:
            load_weights(self.model, self._checkpoint_path)

    def get_sensor_config(self) -> SensorConfig:
        """The sensors that the features need."""
        config = getattr(self._features, "sensor_config", None)
        return config if config is not None else SensorConfig.build_no_sensors()

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """The plan, poses (T, 3) float32 in the ego frame."""
        self.eval()
        begun = time.perf_counter()
        features = self._features.compute_features(agent_input)
        seen = time.perf_counter()
        batch = {key: value[None] for key, value in features.items()}
        with torch.no_grad():
            poses = self.forward(batch)["trajectory"][0].cpu().numpy()  # the copy waits for the device
        planned = time.perf_counter()
        self._stage_times = {"features_ms": 1e3 * (seen - begun), "planner_ms": 1e3 * (planned - seen)}
        self._missing_sensors = {
            kind: int((~features[name].bool()).sum()) for kind, name in PRESENCE.items() if name in features
        }
        return Trajectory(poses, self.trajectory_sampling)

    def stage_times(self) -> Dict[str, float]:
        """Milliseconds of the last plan: `features_ms`, and `planner_ms` from the features to the poses."""
        return dict(self._stage_times)

    def missing_sensors(self) -> Dict[str, int]:
        """How many cameras and lidars were blank in the last plan, by kind (`camera`, `lidar`).

        A kind that the features say nothing of (`camera_present`, `lidar_present`) is left out.
        """
        return dict(self._missing_sensors)

    def forward(self, features: Tensors) -> Tensors:
        """The model's predictions for a batch."""
        predictions: Tensors = self.model(features)
        return predictions

    def get_feature_builders(self) -> List[Any]:
        """For NAVSIM's dataset caching and training."""
        return [self._features]

    def get_target_builders(self) -> List[Any]:
        """The human's trajectory."""
        return [TrajectoryTargets(self.trajectory_sampling.num_poses)]

    def compute_loss(self, features: Tensors, targets: Tensors, predictions: Tensors) -> torch.Tensor:
        """A scalar."""
        from latentvla_agent.training.imitation import imitation_loss

        return imitation_loss(targets, predictions)

    def get_optimizers(self) -> torch.optim.Optimizer:
        """Over all parameters of the model."""
        from latentvla_agent.training.imitation import make_optimizer

        return make_optimizer(self.model, self._learning_rate)

    def get_training_callbacks(self) -> List[Any]:
        """None."""
        return []
