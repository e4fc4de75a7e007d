"""The torch front end gives what the scorer gives. Skipped where torch is not installed."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from latentvla_agent.errors import TrajectoryError
from latentvla_agent.scoring.scorer import Scorer
from latentvla_agent.scoring.torch_scorer import score_tensors
from latentvla_agent.scoring.warm_up import make_parking_lot

torch = pytest.importorskip("torch", reason="torch is not installed")


def test_tensors_equal_arrays() -> None:
    caches = [make_parking_lot(), make_parking_lot()]
    trajectories = torch.cumsum(torch.rand(2, 5, 8, 3, generator=torch.Generator().manual_seed(0)), dim=2)
    scores = score_tensors(Scorer(), caches, trajectories.requires_grad_())
    expected = Scorer().score(caches[1], trajectories[1].detach().numpy())
    np.testing.assert_array_equal(scores["score"][1].numpy(), expected.score.astype(np.float32))
    np.testing.assert_array_equal(scores["comfort"][1].numpy(), expected.sub_scores["comfort"].astype(np.float32))
    assert set(scores) == {"score", *Scorer().metric.columns} and not scores["score"].requires_grad


def test_every_scene_needs_its_cache() -> None:
    with pytest.raises(TrajectoryError, match="B = 1 caches"):
        score_tensors(Scorer(), [make_parking_lot()], torch.zeros(2, 5, 8, 3))


def test_importing_loads_no_torch() -> None:
    code = "import sys, latentvla_agent.scoring.torch_scorer; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
