"""Agents that fail on purpose in about every tenth scene, chosen by token; elsewhere they stand still."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from typing import Any, Optional

import numpy as np

from latentvla_agent.baselines import BaselineAgent
from latentvla_agent.data.scene import AgentInput, Scene, Trajectory

SHARE, CHOSEN = 10, 7


class Plan:
    """What NAVSIM calls a Trajectory, without its checks."""

    def __init__(self, poses: Any, trajectory_sampling: Any):
        self.poses = poses
        self.trajectory_sampling = trajectory_sampling


def is_chosen(token: str) -> bool:
    """Whether the agents fail in this scene."""
    return hashlib.sha256(token.encode()).digest()[0] % SHARE == CHOSEN


class FailingAgent(BaselineAgent):
    """Stands still, or fails."""

    requires_scene = True

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Any:
        """Poses at the origin where the agent works."""
        assert scene is not None
        return self.fail() if is_chosen(scene.token) else self.plan(np.zeros((8, 3), np.float32))

    def plan(self, poses: Any) -> Plan:
        """Poses with the sampling of this agent."""
        return Plan(poses, self.trajectory_sampling)

    def fail(self) -> Any:
        """What happens in a chosen scene."""
        raise NotImplementedError


class Raises(FailingAgent):
    """Raises an error of two lines."""

    def fail(self) -> Any:
        """Raise."""
        raise RuntimeError("on purpose\nwith a second line")


class Hangs(FailingAgent):
    """Never answers."""

    def fail(self) -> Any:
        """Hang."""
        time.sleep(3600.0)


class NotANumber(FailingAgent):
    """Returns a NaN among its poses."""

    def fail(self) -> Any:
        """NaN in the last pose."""
        poses = np.zeros((8, 3), np.float32)
        poses[-1, 0] = np.nan
        return self.plan(poses)


class WrongShape(FailingAgent):
    """Forgets the heading."""

    def fail(self) -> Any:
        """Two columns."""
        return self.plan(np.zeros((8, 2), np.float32))


class WrongType(FailingAgent):
    """Returns whole numbers."""

    def fail(self) -> Any:
        """Integers."""
        return self.plan(np.zeros((8, 3), np.int64))


class ReturnsNone(FailingAgent):
    """Forgets to return."""

    def fail(self) -> Any:
        """Nothing."""
        return None


class KillsProcess(FailingAgent):
    """Ends its process, as running out of memory does."""

    def fail(self) -> Any:
        """Die."""
        os.kill(os.getpid(), signal.SIGKILL)


class CannotStart(BaselineAgent):
    """Its weights are missing."""

    def initialize(self) -> None:
        """Fail."""
        raise FileNotFoundError("no such file: weights.safetensors")


class CannotBeBuilt(BaselineAgent):
    """Its constructor raises."""

    def __init__(self) -> None:
        raise KeyError("missing entry")


class NoAgent:
    """A class without plans."""


class FarAgent(BaselineAgent):
    """Plans that the stand-in of the devkit can't score."""

    def compute_trajectory(self, agent_input: AgentInput, scene: Optional[Scene] = None) -> Trajectory:
        """Poses far beyond every map."""
        return Trajectory(np.full((8, 3), 1e9, np.float32), self.trajectory_sampling)
