"""Killed at any moment, the same command resumes, and the result equals that of an uninterrupted run."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path
from typing import Any, Dict

import pytest

from tests.evaluation.kill_and_resume import (
    MAIN_KILLED,
    WORKER_KILLED,
    Plan,
    finish,
    interrupt_once,
    kill_main,
    read_outputs,
)

SCENES, SLOW_SCENES = 16, 20
SHORT, LONG = Plan(SCENES), Plan(SLOW_SCENES)


def wait_for_lines(path: Path, count: int) -> None:
    """Return as soon as a journal holds so many lines."""
    deadline = time.monotonic() + 120.0
    while not path.exists() or path.read_bytes().count(b"\n") < count:
        assert time.monotonic() < deadline, f"{path} does not grow"
        time.sleep(0.002)


@pytest.mark.slow
def test_a_kill_and_an_interrupt(tmp_path: Path) -> None:
    """Killed while it plans, interrupted by Ctrl-C while it scores, then left alone."""
    out = tmp_path / "killed" / "out"
    process = SHORT.begin(tmp_path / "killed")
    wait_for_lines(out / "predictions.journal", 3)
    assert kill_main(process) == MAIN_KILLED
    process = SHORT.begin(tmp_path / "killed")
    wait_for_lines(out / "scores.journal", 2)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the workers too
    printed, messages = process.communicate(timeout=60)
    assert process.returncode == 130 and printed == ""
    assert messages.splitlines()[3:] == [
        "latentvla: interrupted; the same command goes on where this one stopped"
    ], messages
    assert not (out / "scores.csv").exists()
    messages = finish(SHORT.begin(tmp_path / "killed"))
    assert f"plan: all {2 * SCENES} from the journal" in messages and " from the journal\n" in messages
    finish(SHORT.begin(tmp_path / "whole"))
    assert read_outputs(tmp_path / "killed") == read_outputs(tmp_path / "whole")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """Duration and outputs of an uninterrupted run."""
    folder = tmp_path_factory.mktemp("whole")
    begun = time.monotonic()
    finish(LONG.begin(folder))
    return {"duration": time.monotonic() - begun, "outputs": read_outputs(folder)}


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_kills_at_random_moments(whole: Dict[str, Any], tmp_path: Path, number: int) -> None:
    chance = random.Random(number)
    delay = chance.uniform(0.1, 1.0) * whole["duration"]
    interrupt_once(LONG, tmp_path, delay, WORKER_KILLED if number in (1, 3) else MAIN_KILLED, chance)
    assert read_outputs(tmp_path) == whole["outputs"]
