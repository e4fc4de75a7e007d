"""`latentvla world render` on two scenes of minitown-val."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.evaluation.commands import run
from tests.world.two_scenes import SPLIT, write_world


@pytest.mark.slow
def test_windows_are_rendered_and_nothing_else(tmp_path: Path) -> None:
    write_world(tmp_path, (480, 270))
    command = ["world", "render", "--data", str(tmp_path), "--split", SPLIT, "--sensor", "cam_f0", "--frames", "window"]
    answer = run(*command)
    assert answer.status == 0, answer.err
    pictures = {path: path.stat().st_mtime_ns for path in (tmp_path / "sensor_blobs").rglob("*.jpg")}
    assert len(pictures) == 2 * 4, "one second apart, of scenes half a second apart: no picture is of both"
    assert {path.parent.name for path in pictures} == {"CAM_F0"}
    assert run(*command).status == 0
    assert {path: path.stat().st_mtime_ns for path in pictures} == pictures, "what is there is kept"


def test_unknown_frames_are_refused() -> None:
    answer = run("world", "render", "--frames", "windows")
    assert answer.status != 0 and "current, history, all, window" in answer.err
