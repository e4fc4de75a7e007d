"""Trajectories that a vehicle can drive: a network chooses accelerations and curvatures, poses follow by integration.

Poses that are regressed one by one jerk, and NAVSIM's comfort counts that; these are smooth by construction. D, neither
in iPad nor in TransFuser.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import torch

from latentvla_agent.data.scene import EgoStatusIndex


class MotionIndex(IntEnum):
    """Columns of what a network chooses for each step, unbounded."""

    ACCELERATION = 0
    CURVATURE = 1


@dataclass(frozen=True)
class MotionConfig:
    """Bounds of a planned motion, a little beyond those of a comfortable one."""

    interval: float = 0.5  # s from pose to pose
    acceleration: float = 6.0  # m/s^2, of both signs
    curvature: float = 0.2  # 1/m, of both signs
    gain: float = 1.0  # of what the network says: a small one keeps a small change from moving the end by metres


def integrate_motion(choices: torch.Tensor, ego_status: torch.Tensor, config: MotionConfig) -> torch.Tensor:
    """Poses (B, ..., T, 3) of the rear axle in the ego frame, which begin with the ego's own speed.

    `choices` (B, ..., T, 2), columns `MotionIndex`; `ego_status` (B, 8), columns `EgoStatusIndex`. Each step has one
    acceleration and one curvature. The ego never reverses; standing, it still learns from a trajectory that goes on.
    """
    speed = ego_status[:, EgoStatusIndex.VELOCITY_X].reshape(-1, *[1] * (choices.dim() - 3)).clamp(min=0.0)
    bounded = (config.gain * choices).tanh()
    gains = config.acceleration * config.interval * bounded[..., MotionIndex.ACCELERATION]
    speeds = _accumulate(speed, gains)
    before = torch.cat([speed.expand_as(speeds[..., 0])[..., None], speeds[..., :-1]], dim=-1)
    way = 0.5 * (before + speeds) * config.interval
    turn = config.curvature * bounded[..., MotionIndex.CURVATURE] * way
    heading = turn.cumsum(dim=-1)
    middle = heading - 0.5 * turn
    x, y = (way * middle.cos()).cumsum(dim=-1), (way * middle.sin()).cumsum(dim=-1)
    return torch.stack([x, y, heading], dim=-1)


def _accumulate(speed: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
    """Speeds (..., T) after gains (..., T), never below zero, with the gradient of speeds that may be."""
    speeds = []
    for gain in gains.unbind(dim=-1):
        free = speed + gain
        speed = free + (free.clamp(min=0.0) - free).detach()
        speeds.append(speed)
    return torch.stack(speeds, dim=-1)
