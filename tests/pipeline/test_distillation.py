"""Distillation of a miniature."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, List

import pytest
from safetensors.torch import load_file

from latentvla_agent.data.files import hash_file
from latentvla_agent.errors import ConfigError
from latentvla_agent.pipeline.distillation import hash_sources
from latentvla_agent.training.distillation_config import DistillationTraining
from tests.pipeline.two_processes import run_together


@pytest.mark.slow
def test_two_processes_distil_though_no_loss_counts_some_weights(tmp_path: Path) -> None:
    ended = run_together("distill", tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("distilled") == 1, "the first alone tells"
    assert load_file(tmp_path / "out" / "model.safetensors")
    claimed = json.loads((tmp_path / "out" / "identity.json").read_text())
    assert claimed["codes"] == hash_file(tmp_path / "codes-train.npz") and claimed["teacher"] == "none"


def test_other_weights_and_codes_under_the_same_path_are_another_training(tmp_path: Path) -> None:
    scenes: List[Any] = [SimpleNamespace(name="train")]
    training = replace(DistillationTraining(), start=str(tmp_path / "planner.safetensors"), codes=str(tmp_path))
    files = {"start": tmp_path / "planner.safetensors", "codes": tmp_path / "codes-train.npz"}
    files["start"].write_bytes(b"one")
    with pytest.raises(ConfigError, match="codes-train.npz: expected the file"):
        hash_sources(training, scenes)
    files["codes"].write_bytes(b"one")
    before = hash_sources(training, scenes)
    for name, path in files.items():
        path.write_bytes(b"two")
        after = hash_sources(training, scenes)
        assert {own for own in files if before[own] != after[own]} == {name}
        before = after
    assert hash_sources(replace(training, start="", codes=""), scenes) == {}, "as those before were claimed"
