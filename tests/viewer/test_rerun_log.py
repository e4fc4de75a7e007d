"""Logs for Rerun: written where it is installed, one line where it is not."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from latentvla_agent.errors import ConfigError
from latentvla_agent.evaluation.comparison_scenes import open_scenes
from latentvla_agent.viewer.rerun_log import find_rerun, pick_scene, write_rerun
from latentvla_agent.viewer.rerun_scene import move_boxes
from latentvla_agent.viewer.shown_runs import collect_plans, read_runs
from tests.evaluation.comparison_runs import Runs


def test_without_the_extra_one_line_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(ConfigError, match=r'pip install "latentvla-agent\[rerun\]"'):
        find_rerun()


def test_a_scene_is_picked_by_token_or_as_the_worst(runs: Runs) -> None:
    shown = read_runs([runs.folder])
    first, second = (ref.token for ref in runs.index.refs)
    assert pick_scene(shown, first) == first and pick_scene(shown, "worst") == second
    with pytest.raises(ConfigError, match="expected the token of a scene, or worst; did you mean"):
        pick_scene(shown, f"{first[:-1]}x")


def test_boxes_are_moved_into_another_frame() -> None:
    (box,) = move_boxes(np.array([[10.0, 1.0, 0.5, 4.0, 2.0, 1.5, 0.25]]), np.array([3.0, 4.0, np.pi / 2]))
    assert box == pytest.approx([2.0, 14.0, 0.5, 4.0, 2.0, 1.5, 0.25 + np.pi / 2])


@pytest.mark.slow
def test_a_log_is_written(runs: Runs, tmp_path: Path) -> None:
    pytest.importorskip("rerun", reason="rerun-sdk is not installed here")
    shown = read_runs([runs.folder])
    token = runs.index.refs[0].token
    path = write_rerun(shown, open_scenes(shown.first, shown.logs), collect_plans(shown), token, tmp_path)
    content = path.read_bytes()
    assert path.name == f"{token}.rrd" and content[:3] == b"RRF" and len(content) > 20_000
