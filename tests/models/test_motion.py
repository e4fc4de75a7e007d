"""Planned motions: circles, standing, bounds, gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import torch

from latentvla_agent.data.scene import EgoStatusIndex
from latentvla_agent.models.motion import MotionConfig, MotionIndex, integrate_motion

CONFIG = MotionConfig()


def make_status(*speeds: float) -> torch.Tensor:
    """The ego status (B, 8) of speeds straight ahead."""
    status = torch.zeros(len(speeds), len(EgoStatusIndex))
    status[:, EgoStatusIndex.VELOCITY_X] = torch.tensor(speeds)
    return status


def make_choices(acceleration: float, curvature: float, steps: int = 8) -> torch.Tensor:
    """One proposal (1, 1, T, 2) with the same acceleration [m/s^2] and curvature [1/m] throughout."""
    choices = torch.zeros(1, 1, steps, len(MotionIndex))
    choices[..., MotionIndex.ACCELERATION] = math.atanh(acceleration / CONFIG.acceleration)
    choices[..., MotionIndex.CURVATURE] = math.atanh(curvature / CONFIG.curvature)
    return choices


def test_constant_acceleration_straight_ahead() -> None:
    poses = integrate_motion(make_choices(2.0, 0.0), make_status(5.0), CONFIG)
    time = torch.arange(1, 9) * CONFIG.interval
    torch.testing.assert_close(poses[0, 0, :, 0], 5.0 * time + 0.5 * 2.0 * time**2)
    assert poses[..., 1:].abs().max() == 0.0


def test_a_small_gain_makes_small_changes_of_what_the_network_says_small() -> None:
    choices, status = torch.full((1, 1, 8, 2), 0.5), make_status(5.0)
    gentle = integrate_motion(choices, status, replace(CONFIG, gain=0.1))
    torch.testing.assert_close(gentle, integrate_motion(0.1 * choices, status, CONFIG))


def test_constant_curvature_is_a_circle() -> None:
    curvature = -0.05
    poses = integrate_motion(make_choices(0.0, curvature), make_status(6.0), CONFIG)[0, 0]
    radius = (poses[:, :2] - torch.tensor([0.0, 1.0 / curvature])).norm(dim=-1)
    torch.testing.assert_close(radius, torch.full((8,), 20.0), atol=0.02, rtol=0.0)
    torch.testing.assert_close(poses[:, 2], curvature * 6.0 * CONFIG.interval * torch.arange(1, 9))


def test_braking_ends_in_standing() -> None:
    poses = integrate_motion(make_choices(-4.0, 0.1), make_status(4.0), CONFIG)[0, 0]
    torch.testing.assert_close(poses[2:], poses[2].expand(6, 3))
    assert poses[-1, 0] > 0.0


def test_no_choice_breaks_the_bounds_and_every_scene_has_its_own_speed() -> None:
    choices = 10.0 * torch.randn(3, 5, 8, len(MotionIndex), generator=torch.Generator().manual_seed(0))
    speeds = 0.0, 3.0, 12.0
    poses = integrate_motion(choices, make_status(*speeds), CONFIG)
    assert poses.shape == (3, 5, 8, 3)
    start = torch.zeros(3, 5, 1, 3)
    way = torch.cat([start, poses], dim=2).diff(dim=2)
    velocity = way[..., :2].norm(dim=-1) / CONFIG.interval
    assert (velocity.diff(dim=-1).abs() <= CONFIG.acceleration * CONFIG.interval + 1e-3).all()
    assert (way[..., 2].abs() <= CONFIG.curvature * CONFIG.interval * velocity * 1.01 + 1e-3).all()
    first = velocity[:, :, 0] - torch.tensor(speeds)[:, None]
    assert (first.abs() <= 0.5 * CONFIG.acceleration * CONFIG.interval + 1e-3).all()


def test_a_standing_plan_learns_to_drive() -> None:
    choices = make_choices(-3.0, 0.0).requires_grad_()
    poses = integrate_motion(choices, make_status(0.0), CONFIG)
    (poses[..., 0] - 10.0).abs().sum().backward()
    assert choices.grad is not None
    assert poses.abs().max() == 0.0 and (choices.grad[..., MotionIndex.ACCELERATION] < 0.0).all()
