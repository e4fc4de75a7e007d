"""Distillation of a miniature."""

from __future__ import annotations

from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.pipeline.two_processes import run_together


@pytest.mark.slow
def test_two_processes_distil_though_no_loss_counts_some_weights(tmp_path: Path) -> None:
    ended = run_together("distill", tmp_path)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert ended.stdout.count("distilled") == 1, "the first alone tells"
    assert load_file(tmp_path / "out" / "model.safetensors")
