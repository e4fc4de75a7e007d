"""What the command tells of itself."""

from __future__ import annotations

import re

import pytest

from latentvla_agent import __version__
from tests.evaluation.commands import Answer, call, run


@pytest.mark.parametrize("name", ["eval", "cache", "score"])
def test_help_shows_an_example(name: str) -> None:
    answer = call(name, "--help")
    assert answer.status == 0 and re.search(rf"Examples?:\n +latentvla {name} ", answer.out)


def test_help_lists_the_commands() -> None:
    answer = call("--help")
    assert answer.status == 0 and all(
        re.search(rf"^ +{name} ", answer.out, re.M) for name in ("eval", "cache", "score")
    )


def test_version() -> None:
    assert call("--version") == Answer(0, f"latentvla-agent {__version__}\n", "")


def test_the_command_is_installed_as_a_process() -> None:
    assert run("--version").out == f"latentvla-agent {__version__}\n"
