"""`LatentVLAAgent`: features and a model make a planner. No model code, and nothing of NAVSIM.

`navsim_bridge.NavsimAgent` wraps it for NAVSIM's scripts; training is imported when a training method is called.
"""

from __future__ import annotations

import time
import warnings
from typing import Any, Dict, List, Optional, Sequence, Tuple

import torch

from latentvla_agent.data.scene import LOG_INTERVAL_S, AgentInput, SensorConfig, Trajectory, TrajectorySampling
from latentvla_agent.features.cameras import is_blank
from latentvla_agent.features.trajectory import TrajectoryTargets
from latentvla_agent.models.plan_details import describe_details
from latentvla_agent.models.weights import load_weights

Tensors = Dict[str, torch.Tensor]

PRESENCE = {
    "camera": "camera_present",
    "lidar": "lidar_present",
}  # a sensor's kind -> the feature that says it is there


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
        self._stage_times: Dict[str, float] = {}
        self._missing_sensors: List[Dict[str, int]] = []  # of the scenes of the last pass
        self._outputs: Tensors = {}  # of the model, in the last pass

    def name(self) -> str:
        """Class name, as NAVSIM's agents give it."""
        return type(self).__name__

    def initialize(self) -> None:
        """Load the weights, strictly; raises `CheckpointError` for one that is missing, too many or misshapen.

        Without a `checkpoint_path` a warning says that the plans will be those of random weights.
        """
        if self._checkpoint_path is None:
            warnings.warn("checkpoint_path is null: this agent plans with random weights", stacklevel=2)
        else:
            load_weights(self.model, self._checkpoint_path)
        self.model.to("cuda" if torch.cuda.is_available() else "cpu")

    def get_sensor_config(self) -> SensorConfig:
        """The sensors that the features need."""
        config = getattr(self.features, "sensor_config", None)
        return config if config is not None else SensorConfig.build_no_sensors()

    def compute_trajectory(self, agent_input: AgentInput) -> Trajectory:
        """The plan, poses (T, 3) float32 in the ego frame."""
        return self.compute_trajectories([agent_input])[0]

    def compute_trajectories(self, agent_inputs: Sequence[AgentInput]) -> List[Trajectory]:
        """The plans of several scenes in one pass of the model, on the GPU where there is one."""
        self.eval()
        begun = time.perf_counter()
        features = [self.features.compute_features(agent_input) for agent_input in agent_inputs]
        batch = {key: torch.stack([own[key] for own in features]) for key in features[0]}
        seen = time.perf_counter()
        device = next(self.model.parameters()).device
        with torch.no_grad():
            self._outputs = self.forward({key: value.to(device) for key, value in batch.items()})
            poses = self._outputs["trajectory"].float().cpu().numpy()  # the copy waits for the device
        planned, count = time.perf_counter(), len(agent_inputs)
        told = float(getattr(self.model, "token_seconds", 0.0))
        times = {"features_ms": seen - begun, "tokens_ms": told, "planner_ms": planned - seen - told}
        self._stage_times = {name: 1e3 * value / count for name, value in times.items() if value}
        self._missing_sensors = [self._count_missing(own) for own in features]
        return [Trajectory(own, self.trajectory_sampling) for own in poses]

    def _count_missing(self, features: Tensors) -> Dict[str, int]:
        if is_blank(self.features):
            return {}  # it asked for no sensor
        return {kind: int((~features[name].bool()).sum()) for kind, name in PRESENCE.items() if name in features}

    def stage_times(self) -> Dict[str, float]:
        """Milliseconds of the last plan: `features_ms`, `planner_ms` from the features to the poses, and where latent
        tokens are made, `tokens_ms`."""
        return dict(self._stage_times)

    def missing_sensors(self, plan: int = -1) -> Dict[str, int]:
        """How many cameras and lidars were blank, by kind (`camera`, `lidar`), in a plan of the last pass.

        A kind that the features say nothing of (`camera_present`, `lidar_present`) is left out.
        """
        return dict(self._missing_sensors[plan]) if self._missing_sensors else {}

    def plan_details(self, plan: int = -1) -> Dict[str, Any]:
        """Proposals with scores, and latent actions, of a plan of the last pass: see `models.plan_details`."""
        return describe_details(self.model, self._outputs, plan) if self._outputs else {}

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
        from latentvla_agent.training.planner_loss import navsim_loss

        return navsim_loss(targets, predictions, self._scores)

    def get_optimizers(self) -> torch.optim.Optimizer:
        """Over all parameters of the model."""
        from latentvla_agent.training.imitation import make_optimizer

        return make_optimizer(self.model, self._learning_rate)

    def get_training_callbacks(self) -> List[Any]:
        """None; but the model gets the weights that a training starts with.

        NAVSIM's `run_training.py` never calls `initialize`; this it calls once, before weights of an earlier run would
        be restored.
        """
        if self._checkpoint_path is not None:
            load_weights(self.model, self._checkpoint_path)
        else:
            from latentvla_agent.models.backbones import load_pretrained_backbones

            load_pretrained_backbones(self.model)
        return []
