"""Agents without learning: the human's log, exact and in bins, PDM-Closed, constant velocity, standing still.

They have the interface of NAVSIM's `AbstractAgent`: `name`, `initialize`, `get_sensor_config`, `compute_trajectory`,
and `requires_scene` for those that may see the future.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from latentvla_agent.data.pose_bins import PoseBins
from latentvla_agent.data.scene import (
    AgentInput,
    PoseIndex,
    Scene,
    SensorConfig,
    Trajectory,
    TrajectorySampling,
    to_local_frame,
)
from latentvla_agent.scoring.config import DEFAULT_CONFIG, STEP_S
from latentvla_agent.scoring.reference.planner import plan_references, prepare_route
from latentvla_agent.scoring.versions import V1


class BaselineAgent:
    """What all of them share: a sampling, no sensors, nothing to load."""

    requires_scene = False

    def __init__(self, num_poses: int = 8, interval_length: float = 0.5):
        self.trajectory_sampling = TrajectorySampling(num_poses, interval_length)

    def name(self) -> str:
        """Class name, as NAVSIM's agents give it."""
        return type(self).__name__

    def initialize(self) -> None:
        """Nothing to load."""

    def get_sensor_config(self) -> SensorConfig:
        """No sensors."""
        return SensorConfig.build_no_sensors()

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Trajectory:
        """Poses (T, 3) in the current ego frame."""
        raise NotImplementedError


class ConstantVelocityAgent(BaselineAgent):
    """Straight ahead at the current speed, in float32 as NAVSIM's agent of this name."""

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Trajectory:
        """Poses on the ego's x axis."""
        velocity = agent_input.ego_statuses[-1].ego_velocity
        speed = (velocity**2).sum(-1) ** 0.5
        interval = self.trajectory_sampling.interval_length
        poses = np.array(
            [[(i + 1) * interval * speed, 0.0, 0.0] for i in range(self.trajectory_sampling.num_poses)], np.float32
        )
        return Trajectory(poses, self.trajectory_sampling)


class StopAgent(BaselineAgent):
    """Wants to be where it is: the simulated vehicle brakes as hard as the tracker lets it."""

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Trajectory:
        """Poses at the origin."""
        return Trajectory(
            np.zeros((self.trajectory_sampling.num_poses, len(PoseIndex)), np.float32), self.trajectory_sampling
        )


class HumanAgent(BaselineAgent):
    """Replays the log: the upper reference (privileged)."""

    requires_scene = True

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Trajectory:
        """The human's own future poses."""
        assert scene is not None, "HumanAgent requires the scene"
        return scene.get_future_trajectory(self.trajectory_sampling.num_poses)


class HumanInBinsAgent(HumanAgent):
    """Replays the log as a model that writes poses as tokens could write it at best (privileged)."""

    def __init__(self, num_poses: int = 8, interval_length: float = 0.5, bins: PoseBins = PoseBins()):
        super().__init__(num_poses, interval_length)
        self._bins = bins

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Trajectory:
        """The human's own future poses, each number the middle of its bin."""
        exact = super().compute_trajectory(agent_input, scene)
        return Trajectory(self._bins.read(self._bins.write(exact.poses)).astype(np.float32), exact.trajectory_sampling)


class PDMClosedAgent(BaselineAgent):
    """The rule-based planner whose plan progress is measured against (privileged: knows map, route and true boxes)."""

    requires_scene = True

    def __init__(self, num_poses: int = 40, interval_length: float = STEP_S):
        super().__init__(num_poses, interval_length)

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Trajectory:
        """The reference plan of PDMS v1.1, seen from the ego."""
        assert scene is not None, "PDMClosedAgent requires the scene"
        frame = scene.current_frame
        context = prepare_route(frame, scene.map_api, DEFAULT_CONFIG)
        (plan,) = plan_references(frame, context, DEFAULT_CONFIG, (V1,))
        stride = int(round(self.trajectory_sampling.interval_length / STEP_S))
        poses = plan.poses[stride::stride][: self.trajectory_sampling.num_poses]
        return Trajectory(to_local_frame(poses, frame.ego_status.ego_pose), self.trajectory_sampling)
