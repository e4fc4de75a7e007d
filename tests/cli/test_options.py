"""How a command ends."""

from __future__ import annotations

from typing import Dict

import pytest
import typer

from latentvla_agent.cli import COMMANDS, app
from latentvla_agent.cli.options import EXIT_INTERRUPTED, report_errors

ANEW, ON = "the same command begins anew", "the same command goes on where this one stopped"


@pytest.mark.parametrize(("resumes", "message"), [(True, ON), (False, ANEW)])
def test_an_interrupt_says_what_the_same_command_does(
    capsys: pytest.CaptureFixture[str], resumes: bool, message: str
) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as end:
        report_errors(interrupted, resumes)()
    assert end.value.exit_code == EXIT_INTERRUPTED
    assert capsys.readouterr().err == f"latentvla: interrupted; {message}\n"


def test_only_commands_that_go_on_say_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    said: Dict[str, str] = {}
    for module, name, options in (
        ("show", "read_runs", ["--run", "x"]),
        ("score", "read_trajectories", ["--trajectories", "x.json"]),
        ("compare", "read_results", ["--results", "x"]),
        (
            "submit",
            "find_roots",
            ["--agent", "stop", *"--team t --authors a --email e --institution i --country c".split()],
        ),
    ):
        assert module in COMMANDS
        monkeypatch.setattr(f"latentvla_agent.cli.{module}.{name}", stop)
        with pytest.raises(SystemExit):
            app([module, *options])
        said[module] = capsys.readouterr().err.strip().split("; ")[-1]
    assert said == {"show": ANEW, "score": ANEW, "compare": ANEW, "submit": ON}
