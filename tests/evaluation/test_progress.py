"""Outside a terminal, a stage is one line."""

from __future__ import annotations

import re

import pytest

from latentvla_agent.evaluation.progress import StageProgress


def test_a_stage_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress("plan", total=4, finished=1, failed=1) as progress:
        progress.advance(failed=True)
        progress.advance(failed=False)
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(r"plan: 2 in \d+\.\d s \(\d+\.\d scenes/s\), 1 from the journal, 2 failed\n", err)


def test_nothing_left_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress("score", total=3, finished=3):
        pass
    assert capsys.readouterr().err == "score: all 3 from the journal\n"


def test_an_error_has_the_last_word(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError), StageProgress("score", total=3):
        raise RuntimeError
    assert capsys.readouterr().err == ""
