"""Targets of imitation."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import torch

from latentvla_agent.features.trajectory import TrajectoryTargets


def test_the_human_drives_ahead() -> None:
    scene = SimpleNamespace(get_future_trajectory=lambda count: SimpleNamespace(poses=np.full((count, 3), 2.0)))
    targets = TrajectoryTargets(8)
    (poses,) = targets.compute_targets(scene).values()
    assert poses.dtype == torch.float32 and torch.equal(poses, torch.full((8, 3), 2.0))
    assert targets.get_unique_name() != TrajectoryTargets(40).get_unique_name()
