"""Latent actions in two processes: nothing hangs, and the codes are those of the weights that were kept."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from latentvla_agent.models.latent_action import LatentActionModel
from latentvla_agent.models.weights import load_weights
from latentvla_agent.pipeline.latent_actions import encode_scenes
from latentvla_agent.training.action_codes import read_codes
from latentvla_agent.training.config import read_training
from latentvla_agent.training.feature_cache import FeatureCache
from latentvla_agent.training.latent_action_config import LatentActionTraining
from tests.pipeline.two_processes import WINDOWS, run_together

pytestmark = pytest.mark.slow


def check_codes(folder: Path) -> None:
    """The files hold what the second step's weights say."""
    model = LatentActionModel(read_training("latent-actions-tiny", LatentActionTraining, WINDOWS).model)
    load_weights(model, str(folder / "out" / "ego" / "model.safetensors"))
    for name in ("train", "dev"):
        cache = FeatureCache(folder / name)
        found = read_codes(folder / "out" / f"codes-{name}.npz", cache.tokens)
        assert torch.equal(found, encode_scenes(model, cache))


def test_from_start_and_from_the_second_step(tmp_path: Path) -> None:
    ended = run_together("latent-actions", tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert (tmp_path / "out" / "report.json").is_file() and not (tmp_path / "out" / "trials").exists()
    assert ended.stdout.count("codes of dev:") == ended.stdout.count("trained ego codes") == 1, "by the first alone"
    check_codes(tmp_path)
    shutil.rmtree(tmp_path / "out" / "ego")
    for name in ("train", "dev"):
        (tmp_path / "out" / f"codes-{name}.npz").unlink()
    ended = run_together("latent-actions", tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    check_codes(tmp_path)
